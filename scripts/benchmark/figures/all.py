"""All figures, by name, in the order in which they are measured."""

from __future__ import annotations

from typing import Final

from scripts.benchmark.figure import Figure
from scripts.benchmark.figures import (
    burst,
    cancel,
    commands,
    delta,
    first,
    history,
    idle,
    latency,
    ledger,
    opened,
    parts,
    simulator,
    start,
    turn,
    unpaced,
    wire,
)

FIGURES: Final[dict[str, Figure]] = {
    figure.name: figure
    for figure in (
        delta.FEW,
        delta.MANY,
        turn.FIGURE,
        first.FIGURE,
        burst.FIGURE,
        latency.FIGURE,
        unpaced.FIGURE,
        opened.FIGURE,
        cancel.FIGURE,
        idle.FIGURE,
        wire.FIGURE,
        ledger.FIGURE,
        parts.FIGURE,
        history.FIGURE,
        start.FIGURE,
        commands.FIGURE,
        simulator.FIGURE,
    )
}
