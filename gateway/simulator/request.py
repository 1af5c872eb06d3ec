"""A request as it arrived, and the parts of it that the rules ask about."""

from typing import Any

import msgspec

from gateway.simulator.models import ModelSpec
from gateway.simulator.reply import Json
from gateway.simulator.transcript import blocks_of, last_said


class Received(msgspec.Struct, frozen=True):
    """One HTTP request. Header names are lower case; `body` is the decoded JSON, if it was any."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any
    raw: bytes
    request_id: str


def betas(request: Received) -> frozenset[str]:
    """The betas that the request's headers ask for."""
    names = request.headers.get("anthropic-beta", "").split(",")
    return frozenset(name.strip() for name in names if name.strip())


def last_text(body: Json) -> str:
    """The text of the last message that is not the system's, its blocks joined by line ends."""
    blocks = blocks_of(last_said(body["messages"])["content"])
    return "\n".join(block["text"] for block in blocks if block.get("type") == "text")


def thinking_type(body: Json, model: ModelSpec) -> str:
    """The kind of thinking in force: what the request says, or what the model does unasked."""
    asked = body.get("thinking")
    if asked:
        return str(asked["type"])
    return "adaptive" if model.thinks_unasked else "disabled"


def shows_thinking(body: Json, model: ModelSpec) -> bool:
    """Whether thinking comes with its text, or with its signature alone."""
    asked = body.get("thinking") or {}
    return (asked.get("display") or model.display) == "summarized"
