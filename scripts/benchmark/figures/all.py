"""All figures, by name, in the order in which they are measured."""

from __future__ import annotations

from typing import Final

from scripts.benchmark.figure import Figure
from scripts.benchmark.figures import (
    burst,
    cancel,
    delta,
    first,
    idle,
    latency,
    opened,
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
    )
}
