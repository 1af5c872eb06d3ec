"""Server-sent events from bytes, as far as the provider uses them: each event's name and data.

The SDK's own reader costs 13 us an event and leaves its inner generators to the garbage collector
when a stream is not read to its end; this is one buffer and no generator. However many pieces an
event comes in, each of its bytes is looked at once.

The rules are those of the HTML standard, section 9.2, with two more. The last event counts without
a blank line after it: some proxies take that away. A body that is one JSON object and no stream at
all is taken for the data of an event: some providers answer so.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from protocol.free_form import HEAVIEST, weight
from protocol.provider.events import MalformedEvent

LONGEST_EVENT = 16 * 1024 * 1024
"""Bytes; the largest real ones are documents that the provider has fetched."""

A_LINE = 4
"""What a line of an event weighs, beside the JSON in it: an event of a million lines is work."""

_ALONE = re.compile(rb"event: ([^\n]*)\ndata: ([^\n]+)\n\n")
"""An event as the provider itself writes it. Nearly always a read brings one of them."""

_PLAIN = re.compile(rb"^" + _ALONE.pattern, re.MULTILINE)
"""The same at the beginning of a line. It has three line ends. Where there are no other line ends
than those of such events, there is nothing else."""

_RETURN = ord("\r")  # `in` finds a number in bytes faster than it finds bytes

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


ServerSentEvent: TypeAlias = tuple[bytes, bytes]
"""An event's name, which may be empty, and its data."""


class EventReader:
    """Cuts a body into events, however its bytes arrive."""

    def __init__(self) -> None:
        self._held = bytearray()  # the beginning of an event
        self._weight = 0
        self._is_first = True
        self._after_return = False

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """The events that `data` completes. Raises MalformedEvent."""
        if self._after_return or _RETURN in data:
            data = self._with_line_feeds(data)
        if self._held:
            end = self._end(data)
            self._hold(data[:end])
            return [] if end is None else [*self.finish(), *self._cut(data[end:])]
        if alone := _ALONE.fullmatch(data):
            self._is_first = False
            return [(alone[1], alone[2])]
        return self._cut(data)

    def _cut(self, data: bytes) -> list[ServerSentEvent]:
        end = data.rfind(b"\n\n") + 2
        plain: list[ServerSentEvent] = _PLAIN.findall(data, 0, end)
        if plain and 3 * len(plain) == data.count(b"\n", 0, end):
            self._is_first = False
            if end < len(data):
                self._hold(data[end:])
            return plain
        *texts, rest = data.split(b"\n\n")
        if rest:
            self._hold(rest)
        return self._parse(texts)

    def finish(self) -> list[ServerSentEvent]:
        """The event that is held; at the body's end it is the last one."""
        held, self._held, self._weight = bytes(self._held), bytearray(), 0
        return self._parse([held])

    def _end(self, data: bytes) -> int | None:
        """How much of `data` belongs to the event that is held; `None` if it does not end there."""
        if self._held[-1:] == data[:1] == b"\n":
            return 1
        return data.find(b"\n\n") + 2 if b"\n\n" in data else None

    def _hold(self, data: bytes) -> None:
        self._held += data
        self._weight += weight(data) + A_LINE * data.count(b"\n")
        if len(self._held) > LONGEST_EVENT or self._weight > HEAVIEST:
            raise MalformedEvent("the provider sent an event that does not end")

    def _with_line_feeds(self, data: bytes) -> bytes:
        """The same with one kind of line end; a pair may be cut between its two."""
        if self._after_return and data:
            data = data.removeprefix(b"\n")
            self._after_return = False
        if data:
            self._after_return = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _parse(self, texts: list[bytes]) -> list[ServerSentEvent]:
        if self._is_first and texts:
            texts[0] = texts[0].removeprefix(_BYTE_ORDER_MARK)
            self._is_first = False
        return [event for text in texts if text and (event := _event(text)) is not None]


def _event(text: bytes) -> ServerSentEvent | None:
    """The event in its lines; `None` if it has no data, as a comment has none."""
    name, data = b"", []
    for line in text.split(b"\n"):
        if line[:5] == b"data:":
            data.append(line[6:] if line[5:6] == b" " else line[5:])
        elif line[:6] == b"event:":
            name = line[6:].removeprefix(b" ")
    if data:
        return name, b"\n".join(data)
    text = text.lstrip()
    return (b"", text) if text.startswith(b"{") else None
