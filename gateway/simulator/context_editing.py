"""Context editing: old results of tools are cleared before the prompt is read, counted and billed.

`clear_tool_uses_20250919` alone. The request keeps what it sent; the model gets a placeholder.
"""

from typing import Any

import msgspec

from gateway.simulator.errors import invalid
from gateway.simulator.models import ModelSpec
from gateway.simulator.prompt import segments
from gateway.simulator.reply import Json
from gateway.simulator.tokenizer import ByteTokenizer
from gateway.simulator.transcript import blocks_of

CONTEXT_MANAGEMENT = "context-management-2025-06-27"
"""The beta that it takes."""
CLEAR_TOOL_USES = "clear_tool_uses_20250919"
PLACEHOLDER = "[cleared to save context]"

DEFAULT_TRIGGER = 100_000
DEFAULT_KEEP = 3


class Edited(msgspec.Struct, frozen=True):
    """A request as the model gets it: the body, its tokens before, and what was done to it."""

    body: Json
    original_tokens: int
    applied: tuple[Json, ...] = ()


def edit(body: Json, model: ModelSpec, tokenizer: ByteTokenizer) -> Edited | None:
    """The request after the edits it asks for, if it does; ApiError for one that cannot be."""
    if body.get("context_management") is None:
        return None
    edited = Edited(body, measure(body, tokenizer))
    for at, asked in enumerate(_edits(body)):
        place = f"context_management.edits.{at}"
        if not isinstance(asked, dict) or asked.get("type") != CLEAR_TOOL_USES:
            raise invalid(f"{place}: Input tag does not match the expected tag: {CLEAR_TOOL_USES}")
        if model.released < "2025-05":
            raise invalid(f"{place}: {CLEAR_TOOL_USES} is not supported on this model.")
        edited = _clear(edited, asked, place, tokenizer)
    return edited


def measure(body: Json, tokenizer: ByteTokenizer) -> int:
    """The tokens of a request's prompt."""
    return sum(segment.tokens for segment in segments(body, tokenizer))


def _edits(body: Json) -> list[Any]:
    management = body["context_management"]
    if not isinstance(management, dict) or not isinstance(management.get("edits", []), list):
        raise invalid("context_management.edits: Input should be a valid list")
    return list(management.get("edits", []))


def _clear(edited: Edited, asked: Json, place: str, tokenizer: ByteTokenizer) -> Edited:
    keep = _figure(asked, "keep", ("tool_uses",), DEFAULT_KEEP, place)
    least = _figure(asked, "clear_at_least", ("input_tokens",), 0, place)
    trigger = _figure(asked, "trigger", ("input_tokens", "tool_uses"), DEFAULT_TRIGGER, place)
    by_tokens = (asked.get("trigger") or {}).get("type") != "tool_uses"
    before = measure(edited.body, tokenizer)
    calls = _answered_calls(edited.body)
    if (before if by_tokens else len(calls)) <= trigger:
        return edited
    spared = asked.get("exclude_tools") or []
    old = [call for call in calls[: max(0, len(calls) - keep)] if call["name"] not in spared]
    body = _without(edited.body, old, asked.get("clear_tool_inputs"))
    cleared = before - measure(body, tokenizer)
    if not old or cleared < max(1, least):
        return edited
    done = {"type": CLEAR_TOOL_USES, "cleared_tool_uses": len(old), "cleared_input_tokens": cleared}
    return Edited(body, edited.original_tokens, (*edited.applied, done))


def _figure(asked: Json, name: str, kinds: tuple[str, ...], default: int, place: str) -> int:
    match asked.get(name):
        case None:
            return default
        case {"type": kind, "value": int(value)} if kind in kinds and value >= 0:
            return value
        case _:
            raise invalid(f"{place}.{name}: Input should be one of {', '.join(kinds)} and a value")


def _answered_calls(body: Json) -> list[Json]:
    """The calls of the client's tools that have a result, oldest first."""
    blocks = [b for message in body["messages"] for b in blocks_of(message["content"])]
    answered = {b["tool_use_id"] for b in blocks if b["type"] == "tool_result"}
    return [b for b in blocks if b["type"] == "tool_use" and b["id"] in answered]


def _without(body: Json, old: list[Json], inputs: Any) -> Json:
    """The body without the results of these calls, and without the inputs that shall go."""
    ids = {call["id"] for call in old}

    def shown(block: Json) -> Json:
        match block:
            case {"type": "tool_result", "tool_use_id": call} if call in ids:
                return {**block, "content": PLACEHOLDER}
            case {"type": "tool_use", "id": call, "name": name} if call in ids:
                goes = inputs is True or (isinstance(inputs, list) and name in inputs)
                return {**block, "input": {}} if goes else block
            case _:
                return block

    messages = [
        {**message, "content": [shown(block) for block in blocks_of(message["content"])]}
        for message in body["messages"]
    ]
    return {**body, "messages": messages}
