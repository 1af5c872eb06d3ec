"""What goes wrong in a stream: a draft's events turned into the steps that are really taken."""

from collections.abc import Iterable, Iterator
from itertools import chain, cycle, islice, repeat
from typing import TypeAlias

import msgspec
import trio

from gateway.simulator.errors import MESSAGES, encode_error
from gateway.simulator.events import PING, StreamEvent, frame
from gateway.simulator.reply import SPELLINGS, Fault, Reply
from gateway.simulator.spelling import (
    empty_text,
    endless_text,
    half_character,
    respelled,
    stray_delta,
    unknown_delta,
)


class Fragment(msgspec.Struct, frozen=True):
    """Bytes to send at once and alone, whatever they are a part of."""

    piece: bytes
    of: StreamEvent


class Silence(msgspec.Struct, frozen=True):
    """Nothing for `seconds`, or nothing but one event again and again."""

    seconds: float
    sound: bytes | None


class HeldBack(msgspec.Struct, frozen=True):
    """Nothing until `gate` is set."""

    gate: trio.Event


class Reset(msgspec.Struct, frozen=True):
    """The connection is reset here."""


class Truncation(msgspec.Struct, frozen=True):
    """The connection ends here, in the middle of a chunk that begins with `piece`."""

    piece: bytes


class End(msgspec.Struct, frozen=True):
    """The body ends here, tidily."""


FaultStep: TypeAlias = StreamEvent | Fragment | Silence | HeldBack | Reset | Truncation | End

_BAD_UTF8 = frame(
    "content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "broken: ~"}}
).replace(b"~", b"\xff\xfe")
_BAD_JSON = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":\n\n'
)
_UNKNOWN = frame("content_block_telemetry", {"index": 0, "telemetry": {"note": "new"}})
_SOUNDS = {"pings": PING, "noise": _UNKNOWN}
_SIZES = (1, 2, 3, 5, 7, 11, 1, 13)


def steps(events: Iterable[StreamEvent], reply: Reply, request_id: str) -> Iterator[FaultStep]:
    """The steps of a stream: its events, with the reply's fault (if any) where it belongs."""
    fault = reply.fault
    if fault is None:
        return _served(events, reply.tool_delay)
    if fault.kind == "double_stop":
        return _double_stop(events)
    if fault.kind in SPELLINGS:
        return respelled(events, fault.kind)
    before, after = _cut(events, fault)
    held = () if reply.gate is None else (HeldBack(reply.gate),)
    return chain(_served(before, reply.tool_delay), held, _failing(after, fault, request_id))


def _served(events: Iterable[StreamEvent], seconds: float) -> Iterator[FaultStep]:
    """The events, with the time that the provider's own tools take before their results."""
    if not seconds:
        return iter(events)
    return chain.from_iterable(
        (Silence(seconds, PING), event) if event.served else (event,) for event in events
    )


def _cut(
    events: Iterable[StreamEvent], fault: Fault
) -> tuple[Iterator[StreamEvent], Iterator[StreamEvent]]:
    """The events before the fault, and those after."""
    at = fault.at
    if fault.results is not None:
        events = list(events)
        came = [number for number, event in enumerate(events, 1) if event.served]
        at = came[fault.results - 1] if fault.results <= len(came) else len(events)
    if at < 0:
        whole = list(events)
        return iter(whole[:at]), iter(whole[at:])
    remaining = iter(events)
    return islice(remaining, at), remaining


def _failing(rest: Iterator[StreamEvent], fault: Fault, request_id: str) -> Iterator[FaultStep]:
    """What follows the events before the fault. A stream shorter than that has no fault."""
    first = next(rest, None)
    if first is None:
        return
    match fault.kind:
        case "error":
            yield _error(fault, request_id)
        case "reset":
            yield Reset()
        case "truncate":
            yield Truncation(first.frame[: len(first.frame) // 2])
        case "end":
            yield End()
        case "endless":
            yield first
            yield from repeat(endless_text(first))
        case "split":
            for event in chain((first,), rest):
                yield from _fragments(event)
        case _:
            yield from _surprise(first, rest, fault)
            yield from rest


def _surprise(first: StreamEvent, rest: Iterator[StreamEvent], fault: Fault) -> Iterator[FaultStep]:
    """The faults after which the stream goes on."""
    match fault.kind:
        case "bad_json":
            yield StreamEvent(_BAD_JSON, is_delta=True)
        case "bad_utf8":
            yield StreamEvent(_BAD_UTF8, is_delta=True)
        case "unknown_event":
            yield StreamEvent(_UNKNOWN)
            yield first
        case "unknown_delta":
            yield unknown_delta(first)
            yield first
        case "stray_delta":
            yield stray_delta(first)
            yield first
        case "half":
            yield half_character(first)
        case "out_of_order":
            yield from islice(rest, 1)
            yield first
        case "empties":
            yield Silence(fault.seconds, empty_text(first))
            yield first
        case "stall" | "pings" | "noise":
            yield Silence(fault.seconds, _SOUNDS.get(fault.kind))
            yield first


def encoded_error(fault: Fault, request_id: str) -> bytes:
    """The error that a fault tells of, as JSON."""
    message = fault.message or MESSAGES.get(fault.error_type, "Error")
    return encode_error(fault.error_type, message, request_id)


def _error(fault: Fault, request_id: str) -> StreamEvent:
    body = encoded_error(fault, request_id)
    return StreamEvent(b"event: error\ndata: %b\n\n" % body, ends=True)


def _double_stop(events: Iterable[StreamEvent]) -> Iterator[FaultStep]:
    last = None
    for last in events:
        yield last
    if last is not None:
        yield last


def _fragments(event: StreamEvent) -> Iterator[Fragment]:
    start = 0
    silent = StreamEvent(b"")
    for size in cycle(_SIZES):
        piece = event.frame[start : start + size]
        start += size
        last = start >= len(event.frame)
        yield Fragment(piece, event if last else silent)
        if last:
            return
