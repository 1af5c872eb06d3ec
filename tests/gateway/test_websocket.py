"""What is written and read without wsproto is what it would write and read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto import ConnectionType, WSConnection
from wsproto.connection import Connection
from wsproto.events import BytesMessage, Event, TextMessage
from wsproto.handshake import H11Handshake
from wsproto.utilities import RemoteProtocolError

from gateway.websocket import BINARY, TEXT, Rules, frame_of, message_of
from tests.support import client_frame

SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, 100_000]
"""Around the three ways to write a length."""


@pytest.mark.parametrize("size", SIZES)
def test_a_text_frame_is_as_wsproto_writes_it(size: int) -> None:
    """To the byte, whatever its length."""
    text = "é" * (size // 2) + "e" * (size % 2)
    wanted = Connection(ConnectionType.SERVER).send(TextMessage(data=text))
    assert frame_of(TEXT, text.encode()) == wanted


@pytest.mark.parametrize("size", SIZES)
def test_a_binary_frame_is_as_wsproto_writes_it(size: int) -> None:
    """To the byte, whatever its length."""
    payload = bytes(range(256)) * (size // 256) + bytes(size % 256)
    wanted = Connection(ConnectionType.SERVER).send(BytesMessage(data=payload))
    assert frame_of(BINARY, payload) == wanted


# --- reading -----------------------------------------------------------------------------------


MASK = b"\x01\x80\xff\x37"


def masked(first: int, payload: bytes) -> bytes:
    """A client's frame, whose payload cannot be read without its mask."""
    return client_frame(first, payload, mask=MASK)


PAYLOADS = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=200).map(str.encode),
    st.sampled_from([125, 126, 127, 300]).map(lambda size: b"x" * size),
)
FIRST_BYTES = st.sampled_from([0x81, 0x82, 0x01, 0x02, 0x80, 0x00, 0x89, 0x8A, 0x88, 0xC1, 0x83])
FRAMES = st.builds(client_frame, FIRST_BYTES, PAYLOADS, mask=st.binary(min_size=4, max_size=4))
MESSAGES = st.builds(masked, st.sampled_from([TEXT, BINARY]), PAYLOADS)
CUTS = st.binary(min_size=1, max_size=40)
READS = st.lists(st.one_of(MESSAGES, MESSAGES, FRAMES, CUTS), max_size=8)


def read_by(rules: WSConnection, reads: list[bytes]) -> tuple[list[Event], bool]:
    """All that is made of the `reads`, and whether they have broken a rule."""
    rules.connection = Connection(ConnectionType.SERVER)
    rules.handshake = H11Handshake(ConnectionType.SERVER)
    events: list[Event] = []
    try:
        for data in reads:
            rules.receive_data(data)
            events += rules.events()
    except RemoteProtocolError:
        return events, True
    return events, False


@given(READS)
def test_whatever_comes_is_read_as_wsproto_reads_it(reads: list[bytes]) -> None:
    """Whole messages, parts of them, control frames, and what is none of these."""
    ours = read_by(Rules(ConnectionType.SERVER), reads)
    assert ours == read_by(WSConnection(ConnectionType.SERVER), reads)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 125, 126, 127, 5_000, 16_000])
def test_a_message_that_is_all_that_came_is_read_at_once(size: int) -> None:
    """Whatever its length."""
    text = ("é" * size)[: size // 2] + "e" * (size % 2)
    assert message_of(masked(TEXT, text.encode())) == TextMessage(text)
    data = bytes(range(256)) * (size // 256) + bytes(range(size % 256))
    assert message_of(masked(BINARY, data)) == BytesMessage(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x81",
        masked(TEXT, b"more")[:-1],
        masked(TEXT, b"more") + b"\x81",
        masked(TEXT, b"x" * 200)[:-1],
        masked(TEXT, b"\xff"),
        masked(0x01, b"the first part"),
        masked(0xC1, b"packed"),
        masked(0x89, b"ping"),
        frame_of(TEXT, b"not masked"),
        b"\x81\xfe\x00\x05" + masked(TEXT, b"short")[2:],
    ],
    ids=range(11),
)
def test_anything_else_is_left_to_wsproto(data: bytes) -> None:
    """Which knows what to say to it."""
    assert message_of(data) is None
