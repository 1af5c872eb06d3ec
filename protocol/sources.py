"""The sources of an answer: pages that were found or cited, and files that code has made."""

from __future__ import annotations

import re

from protocol.provider.content import Block
from protocol.turn import SourceFound

FILE_URL = "https://api.anthropic.com/v1/files/{}/content"
"""Where a file is to be had, with the key of the provider (its page on the Files API)."""

MOST_SOURCES = 1_000
"""Sources that a turn shows; a search brings ten or so, a proxy may bring any number at once."""

_FILE_ID = re.compile(r"[a-zA-Z0-9_-]{1,128}")


class Sources:
    """What a turn has shown already: each address is a source once."""

    def __init__(self, urls: set[str]) -> None:
        self._urls = urls

    def of_block(self, block: Block) -> list[SourceFound]:
        """The new sources in a block that has begun."""
        match block:
            case {"type": "web_search_tool_result", "content": [*results]}:
                return [source for result in results for source in self.of_citation(result)]
            case {"type": "web_fetch_tool_result", "content": {"url": str(url), **page}}:
                return self._page(url, _title_of(page.get("content")))
            case {"tool_use_id": _, "content": {"content": [*outputs]}}:
                return [source for output in outputs for source in self._file(output)]
        return []

    def of_citation(self, found: object) -> list[SourceFound]:
        """The source that a citation or a result of a search names, if it is new."""
        match found:
            case {"url": str(url), **more}:
                return self._page(url, more.get("title"))
            case {"type": "search_result_location", "source": str(url), **more}:
                return self._page(url, more.get("title"))
        return []

    def _page(self, url: str, title: object) -> list[SourceFound]:
        if not url.startswith(("http://", "https://")) or not self._is_new(url):
            return []
        return [SourceFound(url, title if isinstance(title, str) else None)]

    def _is_new(self, url: str) -> bool:
        """Whether it is to be shown; from now on it is not new any more."""
        if url in self._urls or len(self._urls) >= MOST_SOURCES:
            return False
        self._urls.add(url)
        return True

    def _file(self, output: object) -> list[SourceFound]:
        """A file that code has made; its content is to be had from the provider's Files API."""
        match output:
            case {"type": str(kind), "file_id": str(name)} if kind.endswith("execution_output"):
                url = FILE_URL.format(name)
                if _FILE_ID.fullmatch(name) and self._is_new(url):
                    return [SourceFound(url, None, name)]
        return []


def _title_of(document: object) -> object:
    return document.get("title") if isinstance(document, dict) else None
