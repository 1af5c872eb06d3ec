"""Assembling a request from its sections: plain functions on plain data.

What is inspected is what is sent: the same `Parts` make the sections and the request's body.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from actors.ports import AgentFiles
from protocol.client import ToolDeclaration
from protocol.content import UserContent, user_blocks
from protocol.context import SectionName
from protocol.errors import GatewayError
from protocol.provider import MessagesRequest, RequestMessage, SystemBlock, Tool
from protocol.records import MessageRecord

RESPONSE_FORMAT = """\
# Response format

Write Markdown. Put code into fenced blocks that name their language. Use lists for what is a \
list and block quotes for what is quoted. Answer a simple question in plain sentences, without \
headings."""

SYSTEM_SECTIONS: tuple[SectionName, ...] = ("system_prompt", "response_format", "memory", "skills")

_encode = msgspec.json.Encoder().encode


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """The context's parts before they are joined. Texts may be empty: then nothing is sent.

    `tools` is the JSON list as it goes upstream; `user` the content's JSON, or `None`.
    """

    system: dict[SectionName, str]
    tools: bytes | None
    history: list[MessageRecord]
    user: bytes | None

    def texts(self) -> dict[SectionName, str]:
        """Each section's text, in the order in which they are sent."""
        sections: dict[SectionName, str] = {name: self.system[name] for name in SYSTEM_SECTIONS}
        sections["tools"] = self.tools.decode() if self.tools else ""
        sections["history"] = _encode(self._history()).decode() if self.history else ""
        sections["user_message"] = shown(self.user) if self.user else ""
        return sections

    def request(
        self,
        *,
        model: str,
        max_tokens: int,
        thinking: dict[str, Any] | None,
        effort: str | None,
    ) -> bytes:
        """The body of `POST /v1/messages`, as JSON."""
        messages = self._history()
        if self.user:
            messages.append(RequestMessage("user", msgspec.Raw(self.user)))
        return _encode(
            MessagesRequest(
                model=model,
                max_tokens=max_tokens,
                system=[SystemBlock(text) for text in self.system.values() if text],
                tools=msgspec.json.decode(self.tools, type=list[Tool]) if self.tools else [],
                messages=messages,
                thinking=thinking,
                output_config={"effort": effort} if effort else None,
                stream=True,
            )
        )

    def _history(self) -> list[RequestMessage]:
        return [
            RequestMessage(message.role, msgspec.Raw(message.content)) for message in self.history
        ]


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


def encode_tools(declared: Sequence[ToolDeclaration]) -> bytes | None:
    """The tools' JSON as it goes upstream; `None` for none.

    Raises GatewayError(INVALID_MESSAGE) for what the provider would refuse.
    """
    names = [tool.name for tool in declared]
    for number, tool in enumerate(declared):
        if tool.name in names[:number]:
            raise GatewayError(
                "INVALID_MESSAGE", f"`tools[{number}].name`: there is one of this name already."
            )
        if tool.input_schema.get("type") != "object":
            raise GatewayError(
                "INVALID_MESSAGE", f'`tools[{number}].inputSchema`: its `type` must be "object".'
            )
    tools = [Tool(tool.name, tool.description, tool.input_schema) for tool in declared]
    return _encode(tools) if tools else None


NOT_RUN = "This tool was not run."
_RESULT = b'[{"type":"tool_result"'


def encode_content(content: UserContent, calls: Sequence[str] = ()) -> bytes:
    """A user's content as it is stored and sent: a string stays a string.

    The provider takes a tool call only with its result behind it: `calls` are those that nobody
    answered, and they are answered first.
    """
    if not calls:
        return _encode(content)
    results = [
        {"type": "tool_result", "tool_use_id": call, "content": NOT_RUN, "is_error": True}
        for call in calls
    ]
    return _encode([*results, *user_blocks(content)])


def answers_calls(message: MessageRecord) -> bool:
    """Whether a user's message begins with the results of the tools called before it."""
    return message.content.startswith(_RESULT)


def unanswered_calls(message: MessageRecord) -> list[str]:
    """The ids of the tools that an assistant's message, the last of its turn, has called."""
    if b'"tool_use"' not in message.content:
        return []
    return [
        block["id"]
        for block in msgspec.json.decode(message.content)
        if block.get("type") == "tool_use"
    ]


def shown(content: bytes) -> str:
    """A content's JSON as a section shows it: a string's own text, or the blocks' JSON."""
    if content[:1] == b'"':
        return msgspec.json.decode(content, type=str)
    return content.decode()


IMAGE_TOKENS = 1_600
"""About what a picture costs at most after the provider's scaling (its page on vision)."""

PDF_BYTES_PER_TOKEN = 30
"""A rough figure for base64 documents: 1,500 to 3,000 tokens a page (its page on PDFs)."""


def countable(content: bytes) -> tuple[str, int]:
    """What to count of a content's JSON: its text, and the tokens of what is no text.

    Signatures and encrypted pieces are left out; of tool calls the JSON is counted.
    """
    decoded = msgspec.json.decode(content)
    if isinstance(decoded, str):
        return decoded, 0
    texts: list[str] = []
    extra = 0
    for block in decoded:
        text, tokens = _countable_block(block)
        texts.append(text)
        extra += tokens
    return "\n".join(texts), extra


def _countable_block(block: dict[str, Any]) -> tuple[str, int]:
    match block:
        case {"type": "text", "text": str(text)} | {"type": "thinking", "thinking": str(text)}:
            return text, 0
        case {"type": "image"}:
            return "", IMAGE_TOKENS
        case {"type": "document", "source": {"type": "text", "data": str(text)}}:
            return text, 0
        case {"type": "document", "source": {"type": "base64", "data": str(data)}}:
            return "", len(data) // PDF_BYTES_PER_TOKEN
        case {"type": "document"}:
            return "", IMAGE_TOKENS
        case {"type": "redacted_thinking"}:
            return "", 0
    return _encode(block).decode(), 0


def title_of(content: UserContent) -> str | None:
    """A session's title, from its first message: the first line, at most 60 characters."""
    if not isinstance(content, str):
        content = next((block.text for block in content if hasattr(block, "text")), "")
    line = content.strip().partition("\n")[0]
    if not line:
        return None
    return line if len(line) <= 60 else line[:59] + "…"


def fit(turns: Sequence[int], room: float) -> int:
    """How many of the oldest turns, given by their tokens, to leave out to keep within `room`.

    Whole turns only: never a tool call without its result, never an assistant's message first.
    """
    total = 0
    for kept, tokens in enumerate(reversed(turns)):
        total += tokens
        if total > room:
            return len(turns) - kept
    return 0
