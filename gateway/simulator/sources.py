"""Made-up sources, and citations of them in the API's shapes."""

import base64
import hashlib
import re

from gateway.simulator.reply import (
    CodeExecution,
    Json,
    ReplyText,
    ServerCall,
    WebFetch,
    WebSearch,
)

_SITES = (
    ("https://docs.example.org/{slug}", "{topic}: the documentation"),
    ("https://en.example.net/wiki/{slug}", "{topic}, an overview"),
    ("https://blog.example.com/{slug}-in-practice", "{topic} in practice"),
    ("https://papers.example.edu/{slug}.html", "A survey of {topic}"),
)


def results_for(topic: str, count: int = 3) -> tuple[tuple[str, str], ...]:
    """Pairs of url and title."""
    slug = re.sub(r"[^a-z0-9]+", "-", topic.lower()).strip("-")[:40] or "answer"
    found = []
    for at in range(count):
        url, title = _SITES[at % len(_SITES)]
        again = f"?page={at // len(_SITES) + 1}" if at >= len(_SITES) else ""
        found.append((url.format(slug=slug) + again, title.format(topic=topic)))
    return tuple(found)


def cite(text: str, results: tuple[tuple[str, str], ...]) -> ReplyText:
    """A text that rests on these results."""
    return ReplyText(text, tuple(_web_citation(url, title) for url, title in results))


def _web_citation(url: str, title: str) -> Json:
    index = base64.b64encode(hashlib.sha256(url.encode()).digest()).decode()
    return {
        "type": "web_search_result_location",
        "cited_text": f"{title} says so in its first paragraph.",
        "url": url,
        "title": title,
        "encrypted_index": index,
    }


def cite_page(text: str, page: WebFetch) -> ReplyText:
    """A text that rests on a page that was fetched."""
    document = {"title": page.title, "source": {"type": "text", "data": page.text}}
    return cite_document(text, 0, document)


def told_of(served: ServerCall) -> ReplyText:
    """A text that tells what one of the provider's own tools brought, with its sources."""
    match served:
        case WebSearch(results=results):
            return cite("What they agree on.", results)
        case WebFetch(cited=True):
            return cite_page("What the page says.", served)
        case WebFetch():
            return ReplyText("What the page says.")
        case CodeExecution(stdout=stdout):
            return ReplyText(f"It printed `{stdout.strip()}`.")


def cite_document(text: str, index: int, document: Json) -> ReplyText:
    """A text that rests on a document of the request."""
    return ReplyText(text, (_document_citation(index, document),))


def _document_citation(index: int, document: Json) -> Json:
    common = {"document_index": index, "document_title": document.get("title"), "file_id": None}
    match document.get("source"):
        case {"type": "text", "data": str(whole)}:
            end = min(len(whole), 80)
            place: Json = {"start_char_index": 0, "end_char_index": end}
            return {"type": "char_location", "cited_text": whole[:end], **common, **place}
        case {"type": "content", "content": content}:
            cited = content if isinstance(content, str) else str(content[0].get("text", ""))
            place = {"start_block_index": 0, "end_block_index": 1}
            return {"type": "content_block_location", "cited_text": cited, **common, **place}
        case _:
            place = {"start_page_number": 1, "end_page_number": 2}
            return {"type": "page_location", "cited_text": "Page one.", **common, **place}
