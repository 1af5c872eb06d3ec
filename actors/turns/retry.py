"""When to try again, and after how long: a plain rule.

The pause has a least part, for which nobody comes back, and a spread on top of it, of which each
turn takes its own share. So turns that failed together, or were given the same hint, do not come
back together.

    own    = first_seconds doubled at every attempt, up to the cap
    pause  = max(hint, own / 2) + jitter * max(own / 2, hint / 4)

Without a hint that is from half of `own` to all of it; with a hint of 4 s, from 4 s to 5 s.
"""

from __future__ import annotations

import msgspec

from protocol.errors import Failure


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """At most `attempts` tries again; none after a hint of more than `cap_seconds`."""

    attempts: int
    cap_seconds: float
    first_seconds: float = 0.5

    def delay(self, failure: Failure, attempt: int, jitter: float) -> float | None:
        """Seconds to wait before try number `attempt` (from 1) again; `None` is to give up.

        `jitter` is a random number from 0 to 1. If the provider asks for a longer wait than the
        cap, this gives up: the client is told how long to wait.
        """
        hint = (failure.retry_after_ms or 0) / 1_000
        if not failure.retryable or attempt > self.attempts or hint > self.cap_seconds:
            return None
        doubled: float = self.first_seconds * 2 ** (attempt - 1)
        half = min(self.cap_seconds, doubled) / 2
        return max(hint, half) + jitter * max(half, hint / 4)
