"""Server-sent events from bytes, as far as the provider uses them: the `data` of each event.

The SDK's own reader costs 13 us an event and leaves its inner generators to the garbage collector
when a stream is not read to its end; this is one buffer and no generator.
"""

from __future__ import annotations

from protocol.provider.events import MalformedEvent

LONGEST_EVENT = 16 * 1024 * 1024
"""Bytes; the largest real ones are search results, well below 1 MiB."""


class EventReader:
    """Cuts a body into events, however its bytes arrive."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The data of the events that `data` completes. Raises MalformedEvent."""
        data = self._rest + data
        if b"\r" in data:
            # A carriage return at the very end may be half of a line end: it waits.
            whole = data.removesuffix(b"\r")
            held = data[len(whole) :]
            data = whole.replace(b"\r\n", b"\n").replace(b"\r", b"\n") + held
        *events, self._rest = data.split(b"\n\n")
        if len(self._rest) > LONGEST_EVENT:
            raise MalformedEvent("the provider sent an event that does not end")
        return [found for event in events if (found := _data_of(event))]


def _data_of(event: bytes) -> bytes:
    """The `data` fields of an event, joined by line ends (HTML standard, section 9.2.6)."""
    fields = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line[:5] == b"data:"]
    return b"\n".join(fields)
