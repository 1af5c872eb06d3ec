"""What a load is to be."""

from __future__ import annotations

from pathlib import Path

import msgspec

from gateway.load.asking import Asking
from gateway.load.mix import PLAIN, Mix
from gateway.load.recording import Recorded
from gateway.load.schedule import Schedule


class LoadPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A load, from the first connection to the last frame.

    Turns arrive by `schedule`, in as many `connections`; or all is said that was `recorded`, and
    then each of its clients is a connection. What comes in the first `warmup_seconds` is not
    measured. A turn that takes longer than `turn_seconds` is given up.
    """

    connections: int
    schedule: Schedule
    asking: Asking
    mix: Mix = PLAIN
    session_turns: int = 1
    warmup_seconds: float = 0.0
    turn_seconds: float = 120.0
    recorded: list[Recorded] = []
    record_to: Path | None = None
