"""What the next request weighs, and how good the estimate of the last one was."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import UNSET
from rich.console import Group, RenderableType
from rich.text import Text

from agentspace.messages import Calibration, ContextInspection, TurnInspection
from gateway.cli.views.figures import count, counted, money, per_cent, share
from gateway.cli.views.fitting import Pairs
from gateway.cli.views.leftover import unseen
from gateway.cli.views.sections import Sections
from gateway.cli.views.tables import ShareBar


def inspection(found: ContextInspection) -> RenderableType:
    """The sections as a table, then the window and how good the estimate is."""
    sections = Sections(found.sections, found.totals, found.window.limit)
    return Group(sections, Pairs(list(_facts(found))))


def _facts(found: ContextInspection) -> Iterator[tuple[str, RenderableType]]:
    window = found.window
    used = f"{count(window.used)} of {count(window.limit)} tokens used"
    yield "window", f"{used} ({share(window.used, window.limit)}), {count(window.free)} free"
    yield "", ShareBar(window.used / window.limit if window.limit else 0.0)
    yield "model", Text(found.model)
    if found.totals.cached_tokens is not UNSET and found.totals.cached_tokens:
        yield "cache", f"{counted(found.totals.cached_tokens, 'token')} most likely cached"
    yield "calibration", _calibration(found.calibration)
    if found.exact_tokens is not UNSET:
        yield "exact", f"{count(found.exact_tokens)} tokens, counted by the provider"
    if found.context is not UNSET:
        for line in unseen(found.context):
            yield "left out", Text(line, style="yellow")
    if found.turn is not UNSET:
        yield "last turn", _turn(found.turn)


def _calibration(learned: Calibration) -> str:
    if not learned.samples:
        return f"x{learned.ratio:.3f} (nothing billed yet: an assumption)"
    known = f"x{learned.ratio:.3f}, learned from {counted(learned.samples, 'billed request')}"
    if learned.error is UNSET:
        return known
    return f"{known}; of late {per_cent(learned.error)} off"


def _turn(turn: TurnInspection) -> str:
    """The estimate beside the bill, of the turn's first request."""
    estimate = f"estimated {count(turn.token_estimate)} tokens, {money(turn.cost_estimate)}"
    if not turn.billed_tokens:
        return f"{estimate}; nothing was billed"
    billed = f"billed {count(turn.billed_tokens)} tokens, {money(turn.billed_cost)}"
    return f"{estimate}; {billed} ({per_cent(turn.error)} off)"
