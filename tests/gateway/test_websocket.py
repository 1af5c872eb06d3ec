"""Frames written below trio-websocket are the frames that it would write."""

from __future__ import annotations

import pytest
from wsproto import ConnectionType
from wsproto.connection import Connection
from wsproto.events import BytesMessage, TextMessage

from gateway.websocket import BINARY, TEXT, frame_of

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
