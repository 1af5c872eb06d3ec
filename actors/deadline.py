"""How long an actor waits for another: every ask has an end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import trio

from protocol.errors import Failure, GatewayError

TOO_SLOW = Failure(
    code="OVERLOADED",
    message="The gateway is too busy to answer this now. Try again in a moment.",
    retryable=True,
)


@contextmanager
def deadline(seconds: float, *, shield: bool = False) -> Iterator[None]:
    """At most `seconds` for what is awaited inside. Raises GatewayError(OVERLOADED) after them."""
    try:
        with trio.fail_after(seconds, shield=shield):
            yield
    except trio.TooSlowError:
        raise GatewayError.of(TOO_SLOW) from None
