"""Assembling a request: the texts of its system prompt, and its JSON without the messages."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.ports import AgentFiles
from protocol.context import SectionName
from protocol.provider.choosing import gone_on
from protocol.provider.content import UserContent
from protocol.provider.request import (
    CACHE_BREAKPOINT,
    CACHE_FOR_AN_HOUR,
    CACHE_MARK,
    MARK_FOR_AN_HOUR,
    NO_TOOLS,
    RequestHead,
    SystemBlock,
)
from protocol.records import Container
from protocol.wishes import NO_WISHES, Wishes

RESPONSE_FORMAT = """\
# Response format

Write Markdown. Put code into fenced blocks that name their language. Use lists for what is a \
list and block quotes for what is quoted. Answer a simple question in plain sentences, without \
headings."""

_encode = msgspec.json.Encoder().encode


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """A request but for its texts: how the model is to answer. `max_tokens` are of output."""

    model: str
    max_tokens: int
    thinking: dict[str, Any] | None
    effort: str | None
    edits: dict[str, Any] | None
    caches: bool
    wishes: Wishes = NO_WISHES
    output_format: bytes = b""
    for_an_hour: bool = False
    container: Container | None = None

    @property
    def kind_of_thinking(self) -> int:
        """A hash of how the model is to think, and whether it must use a tool.

        Another costs the messages their place in the provider's cache (its page on prompt caching).
        """
        return hash((repr(self.thinking), self.effort, repr(self.wishes.tool_choice)))

    def going_on(self, begins_with: str) -> Shape:
        """How the turn's later requests are answered; its answers begin with such a block."""
        return msgspec.structs.replace(
            self,
            wishes=self.wishes.unforced,
            thinking=gone_on(self.thinking, begins_with),
        )

    @property
    def mark(self) -> bytes:
        """A breakpoint as the last field of a block."""
        return MARK_FOR_AN_HOUR if self.for_an_hour else CACHE_MARK

    @property
    def _output_config(self) -> dict[str, Any] | None:
        config: dict[str, Any] = {"effort": self.effort} if self.effort else {}
        if self.output_format:
            config["format"] = {"type": "json_schema", "schema": msgspec.Raw(self.output_format)}
        return config or None

    def head(self, system: tuple[tuple[SectionName, str], ...], tools: bytes) -> bytes:
        """The body of `POST /v1/messages` without its messages, as JSON.

        `tools` is a JSON list, as `marked` makes it.
        """
        breakpoint_: dict[str, str] | None
        breakpoint_ = CACHE_FOR_AN_HOUR if self.for_an_hour else CACHE_BREAKPOINT
        if not self.caches:
            breakpoint_ = None
        blocks = [SystemBlock(text) for _, text in system]
        if blocks:
            blocks[-1] = SystemBlock(blocks[-1].text, breakpoint_)
        return _encode(
            RequestHead(
                model=self.model,
                max_tokens=self.max_tokens,
                system=blocks,
                tools=msgspec.UNSET if tools == NO_TOOLS else msgspec.Raw(tools),
                thinking=self.thinking,
                output_config=self._output_config,
                context_management=self.edits,
                cache_control=breakpoint_,
                container=None if self.container is None else self.container.id,
                **msgspec.structs.asdict(self.wishes),
                stream=True,
            )
        )


def marked(tools: bytes, *, caches: bool, for_an_hour: bool = False) -> bytes:
    """A JSON list of tools as it is sent: with a breakpoint at the last one, if it `caches`."""
    if tools == NO_TOOLS or not caches:
        return tools
    return tools[:-2] + (MARK_FOR_AN_HOUR if for_an_hour else CACHE_MARK) + b"}]"


def system_texts(
    *, system_prompt: str, response_format: bool, files: AgentFiles
) -> dict[SectionName, str]:
    """The system prompt's sections."""
    return {
        "system_prompt": system_prompt,
        "response_format": RESPONSE_FORMAT if response_format else "",
        "memory": f"# Memory\n\n{files.memory}" if files.memory else "",
        "skills": _skills(files),
    }


def _skills(files: AgentFiles) -> str:
    if not files.skills:
        return ""
    lines = [f"- {skill.name}: {skill.description}" for skill in files.skills]
    return "\n".join(["# Skills", "", "You have been given these skills:", *lines])


def title_of(content: UserContent) -> str | None:
    """A session's title, from its first message: the first line, at most 60 characters."""
    if not isinstance(content, str):
        content = next((block.text for block in content if hasattr(block, "text")), "")
    line = content.strip().partition("\n")[0]
    if not line:
        return None
    return line if len(line) <= 60 else line[:59] + "…"
