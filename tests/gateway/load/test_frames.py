"""The frames of a WebSocket, against the library's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import SERVER, Protocol, State

from gateway.load.frames import CLOSE, PONG, TEXT, BadFrame, FrameReader, masked


def written(opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
    """A frame as the library's server writes it."""
    return Frame(opcode, data, fin).serialize(mask=False)


@given(st.lists(st.binary(max_size=70_000), max_size=5), st.data())
def test_messages_come_out_whole_however_the_bytes_come(
    messages: list[bytes], data: st.DataObject
) -> None:
    """Cut anywhere, in frames of every size."""
    stream = b"".join(written(Opcode.TEXT, message) for message in messages)
    reader, found, at = FrameReader(), [], 0
    while at < len(stream):
        size = data.draw(st.integers(1, len(stream)))
        found += [bytes(each) for each in reader.feed(stream[at : at + size])]
        at += size
    assert found == messages


def test_byte_by_byte_is_the_same() -> None:
    """Also where the size itself is cut."""
    stream = written(Opcode.TEXT, b"x" * 70_000) + written(Opcode.TEXT, b"y" * 200)
    reader = FrameReader()
    found = [each for byte in stream for each in reader.feed(bytes((byte,)))]
    assert found == [b"x" * 70_000, b"y" * 200]


def test_a_message_in_several_frames_is_one() -> None:
    """With a ping in between, which is to be answered."""
    reader = FrameReader()
    found = reader.feed(
        written(Opcode.TEXT, b"one ", fin=False)
        + written(Opcode.PING, b"there?")
        + written(Opcode.CONT, b"message")
        + written(Opcode.PONG, b"")
    )
    assert found == [b"one message"]
    assert reader.pings == [b"there?"]


@pytest.mark.parametrize(("payload", "code"), [(b"\x03\xe9bye", 1001), (b"", 1005)])
def test_a_close_tells_its_code(payload: bytes, code: int) -> None:
    """Or that it named none."""
    reader = FrameReader()
    assert reader.feed(written(Opcode.CLOSE, payload)) == []
    assert reader.close_code == code


@pytest.mark.parametrize(
    "stream",
    [b"\x81\x85abcdhello", b"\x8b\x00", b"\x81\x7f" + (2**40).to_bytes(8, "big")],
    ids=["masked", "unknown", "too long"],
)
def test_what_no_server_sends_is_refused(stream: bytes) -> None:
    """Before anything is kept of it."""
    with pytest.raises(BadFrame):
        FrameReader().feed(stream)


@given(st.sampled_from([0, 1, 125, 126, 65_535, 65_536]), st.sampled_from([TEXT, CLOSE, PONG]))
def test_a_server_reads_what_is_written(size: int, kind: int) -> None:
    """Masked, as a client's frames must be."""
    payload = b"\x03\xe8" if kind == CLOSE else b"x" * (size if kind == TEXT else min(size, 125))
    server = Protocol(SERVER, state=State.OPEN, max_size=2**20)
    server.receive_data(masked(kind, payload))
    (event,) = server.events_received()
    assert isinstance(event, Frame)
    assert (event.opcode, event.data, event.fin) == (kind, payload, True)
    assert server.parser_exc is None
