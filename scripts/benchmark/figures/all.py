"""All figures, by name, in the order in which they are measured."""

from __future__ import annotations

from typing import Final

from scripts.benchmark.figure import Figure
from scripts.benchmark.figures import burst, delta, first, turn, unpaced

FIGURES: Final[dict[str, Figure]] = {
    module.FIGURE.name: module.FIGURE for module in (delta, turn, first, burst, unpaced)
}
