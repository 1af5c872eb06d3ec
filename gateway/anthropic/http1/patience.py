"""How long bytes are waited for."""

from __future__ import annotations

import math
from types import TracebackType

import httpx2
import trio

COARSE_SECONDS = 1.0
"""The deadline moves no more often: to move it with each piece would cost more than the piece."""


class Patience:
    """A scope that ends so many `seconds` after bytes last moved, about; then with ReadTimeout."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._scope = trio.CancelScope()
        self._moved = trio.current_time()

    def __enter__(self) -> Patience:
        self._scope.deadline = self._moved + self._seconds
        self._scope.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._scope.__exit__(kind, error, trace)
        if self._scope.cancelled_caught:
            raise httpx2.ReadTimeout("the provider sent nothing for too long")

    def end(self) -> None:
        """Whoever reads from here on has a deadline of its own."""
        self._scope.deadline = math.inf

    def moved(self) -> None:
        """Bytes have moved."""
        now = trio.current_time()
        if now - self._moved >= COARSE_SECONDS:
            self._moved = now
            self._scope.deadline = now + self._seconds
