"""When a model calls tools in a circle.

Two signs: the same call fails the same way again, or a whole step is what an earlier step was,
calls and answers alike. A second time may be another try, and who waits for something may well
ask a few times: the limits are those of patience.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from protocol.content import Block
from protocol.tools import ToolAnswer

SAME_FAILURES = 3
SAME_STEPS = 5

_encode = msgspec.json.Encoder(order="deterministic").encode


class Repetition:
    """What a turn's tools were asked and answered."""

    def __init__(self) -> None:
        self._failures: Counter[bytes] = Counter()
        self._steps: Counter[bytes] = Counter()

    def observe(self, calls: Sequence[Block], answers: Sequence[ToolAnswer]) -> bool:
        """Take down one step's calls and their answers; whether the model goes in a circle."""
        seen = [
            _encode((call["name"], call.get("input"), answer))
            for call, answer in zip(calls, answers, strict=True)
        ]
        failed = {one for one, answer in zip(seen, answers, strict=True) if answer.is_error}
        self._failures.update(failed)
        step = b"\n".join(sorted(seen))
        self._steps[step] += 1
        return self._steps[step] >= SAME_STEPS or any(
            self._failures[one] >= SAME_FAILURES for one in failed
        )
