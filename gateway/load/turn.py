"""A turn as a load sees it, from the moment at which it was to be sent."""

from __future__ import annotations

from gateway.load.mix import TurnKind


class LoadTurn:
    """What is known of it; moments are of the load's clock, in seconds.

    `request_id` is the id under which its frames come, another one once it was resumed. With the
    delta of the number `acts_at` its kind does what it is for. Durations of one that is not
    `is_measured`, since it came while the gateway warmed up, are not counted.
    """

    __slots__ = (
        "acts_at",
        "cancelled_at",
        "deltas",
        "due",
        "is_measured",
        "kind",
        "last_delta",
        "lost_at",
        "request_id",
        "sent_at",
        "seq",
        "turn_id",
    )

    def __init__(
        self, kind: TurnKind, request_id: str, due: float, *, acts_at: int, is_measured: bool
    ) -> None:
        self.kind = kind
        self.request_id = request_id
        self.due = due
        self.acts_at = acts_at
        self.is_measured = is_measured
        self.sent_at = due
        self.turn_id = ""
        self.seq = -1
        self.deltas = 0
        self.last_delta: float | None = None
        self.cancelled_at: float | None = None
        self.lost_at: float | None = None
