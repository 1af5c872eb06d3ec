"""A stream that says the same in other bytes, or a little more: what proxies make of it."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from gateway.simulator.events import PING, StreamEvent, frame

_MARK = b"\xef\xbb\xbf"
_ENDS = {"returns": b"\r", "both_ends": b"\r\n"}
_BARE_PING = b"event: ping\ndata: {}\n\n"
_FIELDS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}

_decode = msgspec.json.Decoder(dict[str, Any]).decode


def respelled(events: Iterable[StreamEvent], kind: str) -> Iterator[StreamEvent]:
    """The events of a whole stream in this spelling, a kind of fault."""
    match kind:
        case "returns" | "both_ends":
            yield from _ended(events, _ENDS[kind])
        case "mark":
            first, *rest = events
            yield _with(first, _MARK + first.frame)
            yield from rest
        case "bare_pings":
            for event in events:
                yield _with(event, _BARE_PING) if event.frame == PING else event
        case "unterminated":
            *before, last = events
            yield from before
            yield _with(last, last.frame.removesuffix(b"\n\n"))
        case "torn":
            for event in events:
                yield from _torn(event)
        case "whole_input":
            yield from _whole_inputs(events)
        case "odd_fields":
            yield from map(_with_odd_fields, events)


def half_character(event: StreamEvent) -> StreamEvent:
    """A delta of text that ends with half a character."""
    data = _data(event)
    if _field(data) is None:
        return event
    return _grown(event, data, data["delta"][_field(data)] + "\ud83d")


def endless_text(before: StreamEvent) -> StreamEvent:
    """A long piece of text, in the block of the event `before`."""
    delta = {"type": "text_delta", "text": "and so on " * 800}
    index = _data(before).get("index", 0)
    return StreamEvent(frame("content_block_delta", {"index": index, "delta": delta}), True, 8_000)


def empty_text(following: StreamEvent) -> bytes:
    """A delta of text without any, of the block to which the `following` event belongs."""
    index = _data(following).get("index", 0)
    delta = {"type": "text_delta", "text": ""}
    return frame("content_block_delta", {"index": index, "delta": delta})


def unknown_delta(following: StreamEvent) -> StreamEvent:
    """A delta that nobody knows, of the block to which the `following` event belongs."""
    delta = {"type": "annotation_delta", "annotation": {"note": "new"}}
    index = _data(following).get("index", 0)
    return StreamEvent(frame("content_block_delta", {"index": index, "delta": delta}))


def stray_delta(following: StreamEvent) -> StreamEvent:
    """A piece of another type than the block to which the `following` event belongs."""
    data = _data(following)
    kind = "thinking" if _field(data) == "text" else "text"
    delta = {"type": f"{kind}_delta", kind: "stray"}
    event = {"index": data.get("index", 0), "delta": delta}
    return StreamEvent(frame("content_block_delta", event), is_delta=True)


def _data(event: StreamEvent) -> dict[str, Any]:
    return _decode(event.frame.partition(b"data: ")[2])


def _field(data: dict[str, Any]) -> str | None:
    """Where the text of a delta stands; `None` if it has none."""
    return _FIELDS.get(data.get("delta", {}).get("type"))


def _with(event: StreamEvent, whole: bytes) -> StreamEvent:
    return msgspec.structs.replace(event, frame=whole)


def _ended(events: Iterable[StreamEvent], end: bytes) -> Iterator[StreamEvent]:
    for event in events:
        yield _with(event, event.frame.replace(b"\n", end))


def _torn(event: StreamEvent) -> Iterator[StreamEvent]:
    """A delta, cut between the two halves of its first character that has two."""
    data = _data(event)
    field = _field(data)
    text = data["delta"][field] if field else ""
    at = next((at for at, character in enumerate(text) if character > "\uffff"), None)
    if at is None:
        yield event
        return
    pair = text[at].encode("utf-16-be")
    first, second = (half.decode("utf-16-be", "surrogatepass") for half in (pair[:2], pair[2:]))
    yield _grown(event, data, text[:at] + first)
    yield _grown(StreamEvent(b"", is_delta=True), data, second + text[at + 1 :])


def _grown(event: StreamEvent, data: dict[str, Any], text: str) -> StreamEvent:
    """The delta with another text, halves of characters in it as escapes."""
    delta = {**data["delta"], _field(data): text}
    sent = json.dumps({**data, "delta": delta})
    return _with(event, b"event: content_block_delta\ndata: %b\n\n" % sent.encode())


def _with_odd_fields(event: StreamEvent) -> StreamEvent:
    """The event with fields of the wrong type, where an answer is whole without them."""
    data = _data(event)
    kind = data.pop("type")
    match kind:
        case "message_start":
            data["message"] |= {"id": 5, "input_transformations": [5], "container": "none"}
        case "content_block_start" if data["content_block"]["type"] == "text":
            data["content_block"]["citations"] = 5
        case "message_delta":
            data["delta"] |= {"container": 5, "stop_details": [5], "stop_sequence": 5}
            data["context_management"] = {"applied_edits": [5, {"cleared_tool_uses": "many"}]}
        case _:
            return event
    return _with(event, frame(kind, data))


def _given(text: str) -> Any:
    """The arguments in a text; one that is no JSON is all that there is of them."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _whole_inputs(events: Iterable[StreamEvent]) -> Iterator[StreamEvent]:
    """Calls whose input stands in the block's beginning; their one delta is empty."""
    begun: StreamEvent | None = None
    pieces: list[str] = []
    for event in events:
        data = _data(event)
        if "input" in data.get("content_block", {}):
            begun, pieces = event, []
        elif begun is None:
            yield event
        elif data["type"] == "content_block_delta":
            pieces.append(data["delta"]["partial_json"])
        else:
            block = _data(begun)
            block["content_block"]["input"] = _given("".join(pieces) or "{}")
            yield _with(begun, frame(block.pop("type"), block))
            empty = {"type": "input_json_delta", "partial_json": ""}
            yield StreamEvent(
                frame("content_block_delta", {"index": block["index"], "delta": empty})
            )
            yield event
            begun = None
