"""What a load has seen: counts and durations, while it runs."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Final, get_args

from gateway.load.histogram import Histogram
from gateway.load.mix import TurnKind

DURATIONS: Final = {
    "first_delta": "from the moment at which a turn was to be sent to its first piece of text",
    "delta_gap": "between two frames of text that follow each other",
    "turn": "from the moment at which a turn was to be sent to its last frame",
    "queue": "how long a turn waited for a free connection",
    "cancel": "from a cancel to the turn's last frame",
    "resume": "from a lost connection to the first frame on the next one",
    "connect": "from dialling to an open WebSocket",
    "answer": "from a question that is no turn to its answer",
    "lag": "how late the load itself was",
}
"""What is measured, and what each means."""

_MOST_CODES: Final = 64
_LONGEST_CODE: Final = 64

KINDS: Final = get_args(TurnKind)


class KindTally:
    """Turns of one kind: `admitted` have begun at the gateway, and have a row in its ledger."""

    def __init__(self) -> None:
        self.sent = 0
        self.admitted = 0
        self.finished = 0
        self.cancelled = 0
        self.failed = 0


class LoadTally:
    """Counts of everything. Times and durations are in seconds."""

    def __init__(self) -> None:
        self.scheduled = 0
        self.warmup = 0
        self.unsent = 0
        self.unfinished = 0
        self.open = 0
        self.frames = 0
        self.deltas = 0
        self.characters = 0
        self.received_bytes = 0
        self.tool_calls = 0
        self.draining = 0
        self.total_tokens = 0
        self.total_cost = Decimal(0)
        self.errors: Counter[str] = Counter()
        self.kinds: dict[TurnKind, KindTally] = {kind: KindTally() for kind in KINDS}
        self.durations = {name: Histogram() for name in DURATIONS}

    def record(self, name: str, seconds: float) -> None:
        """Count a duration, by one of the names of `DURATIONS`."""
        self.durations[name].record(seconds)

    def count_error(self, code: str) -> None:
        """Count an error by its code; a gateway that invents one code after another is bounded."""
        known = code[:_LONGEST_CODE]
        if known not in self.errors and len(self.errors) >= _MOST_CODES:
            known = "other"
        self.errors[known] += 1

    def total(self, what: str) -> int:
        """A count of all kinds together: `sent`, `admitted`, `finished`, `cancelled`, `failed`."""
        return sum(getattr(kind, what) for kind in self.kinds.values())
