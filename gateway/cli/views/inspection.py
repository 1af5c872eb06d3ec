"""What the next request weighs."""

from __future__ import annotations

from msgspec import UNSET
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gateway.cli.views.figures import count, counted, money, share
from gateway.cli.views.tables import ShareBar, table
from protocol.context import Section
from protocol.server import ContextInspection


def inspection(found: ContextInspection) -> RenderableType:
    """The sections as a table, then the window and how good the estimate is."""
    return Group(_sections(found), _below(found))


def _sections(found: ContextInspection) -> Table:
    totals = found.totals
    shown = table()
    shown.add_column("section", no_wrap=True)
    for name in ("bytes", "tokens", "cost"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("share")
    for section in found.sections:
        shown.add_row(*_row(section, totals.token_estimate), style=_style(section))
    shown.add_section()
    shown.add_row(
        "total",
        count(totals.byte_count),
        count(totals.token_estimate),
        money(totals.cost_estimate),
        style="bold",
    )
    return shown


def _row(section: Section, whole: int) -> tuple[RenderableType, ...]:
    name = f"{section.name} (cached)" if section.cached is True else section.name
    return (
        name,
        count(section.byte_count),
        count(section.token_estimate),
        money(section.cost_estimate),
        ShareBar(section.token_estimate / whole if whole else 0.0),
    )


def _style(section: Section) -> str:
    return "" if section.byte_count else "dim"


def _below(found: ContextInspection) -> Text:
    window, calibration = found.window, found.calibration
    used = f"{count(window.used)} of {count(window.limit)} tokens used"
    lines = [
        f"window       {used} ({share(window.used, window.limit)}), {count(window.free)} free",
        f"model        {found.model}",
        _calibration(calibration.ratio, calibration.samples),
    ]
    if found.exact_tokens is not UNSET:
        lines.append(f"exact        {count(found.exact_tokens)} tokens, counted by the provider")
    if found.context is not UNSET and found.context.left_out_messages:
        lines.append(
            f"left out     the oldest {counted(found.context.left_out_turns, 'turn')}: "
            "more does not fit the window"
        )
    return Text("\n".join(lines))


def _calibration(ratio: float, samples: int) -> str:
    if not samples:
        return f"calibration  x{ratio:.3f} (nothing billed yet: an assumption)"
    return f"calibration  x{ratio:.3f}, learned from {counted(samples, 'billed request')}"
