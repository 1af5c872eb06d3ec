"""The load's process: `python -m scripts.benchmark.load ORDER` prints what it has measured."""

from __future__ import annotations

import gc
import sys

import msgspec

from scripts.benchmark.client import BrokenTarget
from scripts.benchmark.figure import Order
from scripts.benchmark.figures.all import FIGURES


def main() -> None:
    """Measure one figure of one target."""
    order = msgspec.json.decode(sys.argv[1], type=Order)
    gc.disable()  # a pause here would be taken for one of the target
    try:
        measured = FIGURES[order.figure].measure(order)
    except (BrokenTarget, OSError) as error:
        raise SystemExit(str(error)) from error
    print(msgspec.json.encode(measured).decode())


if __name__ == "__main__":
    main()
