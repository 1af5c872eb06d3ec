"""When a model calls tools in a circle.

Three signs: the same call fails the same way again, or fails again and again in other words, or a
whole step is what an earlier step was, calls and answers alike. A second time may be another try,
and who waits for something may well ask a few times: the limits are those of patience.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from protocol.provider.content import Block
from protocol.tools import ToolAnswer

SAME_FAILURES = 3
FAILURES = 6
SAME_STEPS = 5

_encode = msgspec.json.Encoder(order="deterministic").encode


class Repetition:
    """What a turn's tools were asked and answered."""

    def __init__(self) -> None:
        self._seen: Counter[bytes] = Counter()

    def observe(self, calls: Sequence[Block], answers: Sequence[ToolAnswer]) -> bool:
        """Take down one step's calls and their answers; whether the model goes in a circle."""
        signs: dict[bytes, int] = {}
        whole: list[bytes] = []
        for call, answer in zip(calls, answers, strict=True):
            asked = call["name"], call.get("input")
            whole.append(_encode((*asked, answer)))
            if answer.is_error:
                signs[_encode(("failed", *asked))] = FAILURES
                signs[_encode(("failed so", *asked, answer))] = SAME_FAILURES
        signs[b"\n".join(sorted(whole))] = SAME_STEPS
        self._seen.update(signs.keys())
        return any(self._seen[sign] >= limit for sign, limit in signs.items())
