"""When to try again, and after how long: a plain rule."""

from __future__ import annotations

import msgspec

from protocol.errors import Failure


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """At most `attempts` tries again, each after at most `cap_seconds`."""

    attempts: int
    cap_seconds: float
    first_seconds: float = 0.5

    def delay(self, failure: Failure, attempt: int, jitter: float) -> float | None:
        """Seconds to wait before try number `attempt` (from 1) again; `None` is to give up.

        `jitter` is a random number from 0 to 1. If the provider asks for a longer wait than the
        cap, this gives up: the client is told how long to wait.
        """
        if not failure.retryable or attempt > self.attempts:
            return None
        if failure.retry_after_ms is not None:
            asked = failure.retry_after_ms / 1_000
            return asked if asked <= self.cap_seconds else None
        doubled: float = self.first_seconds * 2 ** (attempt - 1)
        return min(self.cap_seconds, doubled) * (0.5 + jitter / 2)
