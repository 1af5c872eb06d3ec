"""Where a request's own limits cut an answer off: stop sequences, `max_tokens`, the window."""

from collections.abc import Sequence

import msgspec

from gateway.simulator.draft import TOKENS_PER_MESSAGE, arguments_of, size_of
from gateway.simulator.reply import Json, Reply, ReplyBlock, ReplyText, ReplyThinking, ToolUse


def limited(reply: Reply, body: Json, *, room: int, ratio: float) -> Reply:
    """The reply as far as the request lets it go; `room` is what the window has left (tokens)."""
    reply = _stopped(reply, body.get("stop_sequences") or ())
    budget = min(body["max_tokens"], room)
    blocks = _within(reply.blocks, budget, ratio)
    if blocks == reply.blocks:
        return reply
    full = body["max_tokens"] <= room
    reason = "max_tokens" if full else "model_context_window_exceeded"
    return msgspec.structs.replace(reply, blocks=blocks, stop_reason=reason, stop_sequence=None)


def _stopped(reply: Reply, sequences: Sequence[str]) -> Reply:
    """The reply up to the first stop sequence in its text."""
    for at, block in enumerate(reply.blocks):
        if not isinstance(block, ReplyText):
            continue
        found = [(block.text.find(s), s) for s in sequences if s in block.text]
        if found:
            end, sequence = min(found)
            kept = (ReplyText(block.text[:end]),) if end else ()
            return msgspec.structs.replace(
                reply,
                blocks=(*reply.blocks[:at], *kept),
                stop_reason="stop_sequence",
                stop_sequence=sequence,
            )
    return reply


def _within(blocks: tuple[ReplyBlock, ...], budget: int, ratio: float) -> tuple[ReplyBlock, ...]:
    """The blocks that fit into `budget` tokens; the last text or call among them may be cut.

    That a call may end inside its arguments is on the page on stop reasons, August 2026.
    """
    left = int(max(0, budget - TOKENS_PER_MESSAGE) * ratio)
    kept: list[ReplyBlock] = []
    for block in blocks:
        text = _text_of(block)
        if text is None:
            kept.append(block)
            continue
        size = size_of(text)
        if size > left:
            part = text.encode()[:left].decode(errors="ignore")
            return (*kept, msgspec.structs.replace(block, text=part)) if part else tuple(kept)
        left -= size
        kept.append(block)
    return tuple(kept) if budget else ()


def _text_of(block: ReplyBlock) -> str | None:
    """What the model wrote in a block that can be cut."""
    match block:
        case ReplyText(text) | ReplyThinking(text):
            return text
        case ToolUse():
            return msgspec.json.encode(arguments_of(block)).decode()
    return None
