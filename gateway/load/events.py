"""What a load must know of a frame: a few fields, whatever else stands in it."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

STREAMED: Final = frozenset({"chat.stream.delta", "chat.stream.reasoning"})
TERMINAL: Final = frozenset({"chat.stream.end", "error"})


class BilledTokens(msgspec.Struct, frozen=True, rename="camel"):
    """How many tokens a turn was billed."""

    total_tokens: int = 0


class BilledCost(msgspec.Struct, frozen=True, rename="camel"):
    """What a turn cost, in USD."""

    total_cost: Decimal = Decimal(0)


class WireEvent(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A frame of the gateway; a field that its type does not have is empty."""

    type: str
    request_id: str = ""
    seq: int | None = None
    delta: str = ""
    turn_id: str = ""
    session_id: str = ""
    tool_call_id: str = ""
    client_side: bool = False
    stop_reason: str = ""
    code: str = ""
    usage: BilledTokens | None = None
    cost: BilledCost | None = None


_decode: Final = msgspec.json.Decoder(WireEvent).decode


class BadEvent(ValueError):
    """A frame that is no message of the protocol."""


def event_of(frame: bytes | bytearray) -> WireEvent:
    """The event in a frame. Raises BadEvent."""
    try:
        return _decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadEvent from error
