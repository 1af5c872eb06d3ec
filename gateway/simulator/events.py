"""A draft as server-sent events, encoded.

The frames that make up nearly all of a stream (text, thinking and JSON deltas) are joined from a
prefix that is made once a block and the encoded piece: one small encoding an event.
"""

from collections.abc import Iterator

import msgspec

from gateway.simulator.draft import ReplyDraft
from gateway.simulator.reply import Json
from gateway.simulator.server_tools import is_result

_encode = msgspec.json.Encoder().encode

PING = b'event: ping\ndata: {"type": "ping"}\n\n'


class StreamEvent(msgspec.Struct, frozen=True, gc=False):
    """One event. `spoken` and `thought` are the bytes of output in it, before any encoding.

    `served`: the type of a result of the provider's own tools that is in it.
    `tells`: the final bill is in it. `ends`: whoever has read it knows that nothing more will come.
    """

    frame: bytes
    is_delta: bool = False
    spoken: int = 0
    thought: int = 0
    served: str = ""
    tells: bool = False
    ends: bool = False


def frame(name: str, body: Json) -> bytes:
    """A server-sent event as it goes over the wire."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _encode({"type": name, **body}))


def events(draft: ReplyDraft) -> Iterator[StreamEvent]:
    """Every event of the answer in order; `message_start` first, a `ping` after the first block."""
    yield StreamEvent(frame("message_start", {"message": draft.opening()}))
    for index, block in enumerate(draft.content):
        start = {"index": index, "content_block": _empty(block)}
        served = str(block["type"]) if is_result(block) else ""
        yield StreamEvent(frame("content_block_start", start), served=served)
        if index == 0:
            yield StreamEvent(PING)
        yield from _deltas(index, block, draft.reply.chars)
        yield StreamEvent(frame("content_block_stop", {"index": index}))
    ending = {
        "delta": draft.ending(),
        "usage": draft.usage.in_delta(),
        **draft.beside_ending(),
    }
    yield StreamEvent(frame("message_delta", ending), tells=True)
    yield StreamEvent(frame("message_stop", {}), ends=True)


def _empty(block: Json) -> Json:
    """A block as its start shows it: what deltas will bring is left out."""
    match block:
        case {"type": "text", "citations": _}:
            return {**block, "text": "", "citations": []}
        case {"type": "text"}:
            return {**block, "text": ""}
        case {"type": "thinking", "signature": _}:
            return {**block, "thinking": "", "signature": ""}
        case {"type": "tool_use" | "server_tool_use"}:
            return {**block, "input": {}}
        case _:
            return block


def _deltas(index: int, block: Json, chars: int) -> Iterator[StreamEvent]:
    match block:
        case {"type": "text", "text": text}:
            yield from _pieces(index, "text_delta", "text", text, chars)
            for citation in block.get("citations") or ():
                yield _delta(index, {"type": "citations_delta", "citation": citation})
        case {"type": "thinking", "thinking": text, "signature": signature}:
            yield from _pieces(index, "thinking_delta", "thinking", text, chars)
            yield _delta(index, {"type": "signature_delta", "signature": signature})
        case {"type": "tool_use" | "server_tool_use", "input": arguments}:
            yield _delta(index, {"type": "input_json_delta", "partial_json": ""})
            text = _encode(arguments).decode()
            yield from _pieces(index, "input_json_delta", "partial_json", text, chars)


def _delta(index: int, delta: Json) -> StreamEvent:
    return StreamEvent(
        frame("content_block_delta", {"index": index, "delta": delta}), is_delta=True
    )


def _pieces(index: int, kind: str, field: str, text: str, chars: int) -> Iterator[StreamEvent]:
    head = (
        f'event: content_block_delta\ndata: {{"type":"content_block_delta","index":{index},'
        f'"delta":{{"type":"{kind}","{field}":'
    ).encode()
    thinks = kind == "thinking_delta"
    for start in range(0, len(text), chars):
        piece = text[start : start + chars]
        size = len(piece.encode())
        whole = b"%b%b}}\n\n" % (head, _encode(piece))
        yield StreamEvent(whole, True, 0 if thinks else size, size if thinks else 0)
