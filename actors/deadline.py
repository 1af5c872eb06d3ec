"""How long an actor waits for another: every ask has an end."""

from __future__ import annotations

from types import TracebackType

import trio

from protocol.errors import Failure, GatewayError

TOO_SLOW = Failure(
    code="OVERLOADED",
    message="The gateway is too busy to answer this now. Try again in a moment.",
    retryable=True,
)


class deadline:  # noqa: N801 - it reads as what it does, in `with deadline(1.0):`
    """At most `seconds` for what is awaited inside. Raises GatewayError(OVERLOADED) after them.

    It is `trio.fail_after` in fewer steps: each turn has several.
    """

    __slots__ = ("_scope",)

    def __init__(self, seconds: float, *, shield: bool = False) -> None:
        self._scope = trio.CancelScope(relative_deadline=seconds, shield=shield)

    def __enter__(self) -> None:
        self._scope.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._scope.__exit__(kind, error, trace)
        if self._scope.cancelled_caught:
            raise GatewayError.of(TOO_SLOW) from None
