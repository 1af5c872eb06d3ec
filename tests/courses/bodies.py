"""What a request says to the provider: plain functions on its decoded body.

The markers of the provider's cache are no part of what is said, so they are left out everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from gateway.simulator import find_model
from gateway.simulator.generations import checks_prefix, takes_system_messages
from gateway.simulator.tool_changes import offered
from gateway.simulator.transcript import THOUGHTS

Json = dict[str, Any]
Kind = Literal["checked", "appended", "rebuilt"]
"""How models take a conversation: they check what stands before their thinking, they only take
what is told in the middle, or they do neither."""

encode = msgspec.json.Encoder().encode


def kind_of(model: str) -> Kind:
    """How this model takes a conversation."""
    spec = find_model(model)
    assert spec is not None, model
    if checks_prefix(spec):
        return "checked"
    return "appended" if takes_system_messages(spec) else "rebuilt"


def unmarked(value: Any) -> Any:
    """The value without any marker of the cache."""
    match value:
        case dict():
            return {k: unmarked(v) for k, v in value.items() if k != "cache_control"}
        case list():
            return [unmarked(one) for one in value]
    return value


class Sent(NamedTuple):
    """The parts of a request in the order in which they are read, each as its JSON."""

    system: tuple[bytes, ...]
    tools: tuple[bytes, ...]
    messages: tuple[bytes, ...]

    @classmethod
    def of(cls, body: Json) -> Sent:
        """What a body says."""
        parts = (body.get("system") or [], body.get("tools") or [], body["messages"])
        return cls(*(tuple(encode(unmarked(one)) for one in part) for part in parts))

    def departs_from(self, former: Sent, *, head: bool = True) -> str:
        """Where it does not begin with a former request, in words; nothing when it does.

        Without `head` the messages alone are compared.
        """
        if head and self.system != former.system:
            return f"another system prompt: {former.system!r}, then {self.system!r}"
        if head and self.tools != former.tools:
            return f"other tools: {former.tools!r}, then {self.tools!r}"
        for at, message in enumerate(former.messages):
            later = self.messages[at] if at < len(self.messages) else b"nothing"
            if later != message:
                return f"messages.{at} was {message!r} and is {later!r}"
        return ""


def blocks_of(message: Json) -> list[Json]:
    """A message's content as blocks."""
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def thinking_in(messages: Sequence[Json]) -> list[Json]:
    """The blocks of thinking in the messages, as they are."""
    return [block for one in messages for block in blocks_of(one) if block["type"] in THOUGHTS]


def answers_in(body: Json) -> int:
    """How many messages the model has said."""
    return sum(message["role"] == "assistant" for message in body["messages"])


def block_at(body: Json, path: str) -> Json:
    """The block that the provider names, such as `messages.3.content.0`."""
    _, message, _, place = path.split(".")
    return blocks_of(body["messages"][int(message)])[int(place)]


def question_at(body: Json) -> int:
    """Which message is the last one of the user."""
    roles = [message["role"] for message in body["messages"]]
    return len(roles) - 1 - roles[::-1].index("user")


def announced(body: Json) -> list[Json]:
    """Every block of every system message, in their order."""
    return [
        block
        for message in body["messages"]
        if message["role"] == "system"
        for block in blocks_of(message)
    ]


def told_last(body: Json) -> list[Json]:
    """The blocks of the system message behind the last question; none when there is none."""
    behind = body["messages"][question_at(body) + 1 :]
    return [block for one in behind if one["role"] == "system" for block in blocks_of(one)]


def offered_names(body: Json) -> set[str]:
    """The names of the tools that the model may call at the end of the request."""
    return {str(tool["name"]) for tool in offered(unmarked(body))}


def text_in(blocks: Sequence[Json]) -> str:
    """The texts of the blocks, one after the other."""
    return "".join(block["text"] for block in blocks if block["type"] == "text")
