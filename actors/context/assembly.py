"""Assembling a request from its sections: plain functions on plain data.

What is inspected is what is sent: the same `Parts` make the sections and the request's body.
"""

from __future__ import annotations

from typing import Any

import msgspec

from actors.context.toolset import Toolset
from actors.ports import AgentFiles
from protocol.context import SectionName
from protocol.prompt import sent_messages
from protocol.provider.content import UserContent
from protocol.provider.request import CACHE_BREAKPOINT, RequestHead, SystemBlock
from protocol.records import MessageRecord

RESPONSE_FORMAT = """\
# Response format

Write Markdown. Put code into fenced blocks that name their language. Use lists for what is a \
list and block quotes for what is quoted. Answer a simple question in plain sentences, without \
headings."""

SYSTEM_SECTIONS: tuple[SectionName, ...] = ("system_prompt", "response_format", "memory", "skills")

_encode = msgspec.json.Encoder().encode


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """The context's parts before they are joined. Texts may be empty: then nothing is sent."""

    system: dict[SectionName, str]
    toolset: Toolset
    turns: list[list[MessageRecord]]
    user: MessageRecord | None
    caches: bool

    def contents(self) -> dict[SectionName, bytes]:
        """Each section's text in UTF-8, in the order in which they are sent."""
        sections: dict[SectionName, bytes] = {
            name: self.system[name].encode() for name in SYSTEM_SECTIONS
        }
        sections["tools"] = self.toolset.json or b""
        sections["history"] = self._history()
        sections["user_message"] = shown(self.user.content) if self.user else b""
        return sections

    @property
    def has_tools(self) -> bool:
        """Whether any tool goes with it."""
        return self.toolset.json is not None

    def head(
        self,
        *,
        model: str,
        max_tokens: int,
        thinking: dict[str, Any] | None,
        effort: str | None,
        edits: dict[str, Any] | None,
    ) -> bytes:
        """The body of `POST /v1/messages` without its messages, as JSON."""
        system = [SystemBlock(text) for text in self.system.values() if text]
        breakpoint_ = CACHE_BREAKPOINT if self.caches else None
        if system:
            system[-1] = SystemBlock(system[-1].text, breakpoint_)
        tools = self.toolset.json
        return _encode(
            RequestHead(
                model=model,
                max_tokens=max_tokens,
                system=system,
                tools=msgspec.UNSET if tools is None else msgspec.Raw(tools),
                thinking=thinking,
                output_config={"effort": effort} if effort else None,
                context_management=edits,
                cache_control=breakpoint_,
                stream=True,
            )
        )

    @property
    def records(self) -> list[MessageRecord]:
        """All messages, the user's last."""
        own = [] if self.user is None else [self.user]
        return [message for turn in self.turns for message in turn] + own

    def _history(self) -> bytes:
        sent = sent_messages(self.records, caches=self.caches)
        history = sent if self.user is None else sent[:-1]
        return _encode(history) if history else b""


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


def shown(content: bytes) -> bytes:
    """A content's JSON as a section shows it: a string's own text, or the blocks' JSON."""
    if content[:1] == b'"':
        return msgspec.json.decode(content, type=str).encode()
    return content


def title_of(content: UserContent) -> str | None:
    """A session's title, from its first message: the first line, at most 60 characters."""
    if not isinstance(content, str):
        content = next((block.text for block in content if hasattr(block, "text")), "")
    line = content.strip().partition("\n")[0]
    if not line:
        return None
    return line if len(line) <= 60 else line[:59] + "…"
