"""What was billed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from agentspace.messages import ModelUsage, UsageReport
from gateway.cli.views.figures import count, counted, money
from gateway.cli.views.fitting import Fitting
from gateway.cli.views.tables import table

_FIGURES: Final = ("requests", "in", "cached", "out", "tokens", "cost")
_GIVING_WAY: Final = ("cached", "requests", "in", "out", "tokens")
"""Figures that a narrow terminal does without, the first one first: what it cost stays."""


def usage_report(report: UsageReport) -> RenderableType:
    """A row a model, and the total of them all."""
    if not report.per_model:
        return Text("Nothing was billed.")
    return Fitting(lambda figures: _table(report, figures), _FIGURES, _GIVING_WAY)


def _table(report: UsageReport, figures: Sequence[str]) -> Table:
    shown = table()
    shown.add_column("model", no_wrap=True, overflow="fold")
    for name in figures:
        shown.add_column(name, justify="right", no_wrap=True)
    for model, usage in sorted(report.per_model.items()):
        row = _row(usage)
        shown.add_row(model, *(row[name] for name in figures))
    shown.add_section()
    total = _total(report)
    shown.add_row("total", *(total[name] for name in figures), style="bold")
    if unpriced := report.grand_total.unpriced_requests:
        shown.caption = f"without {counted(unpriced, 'request')} of unknown price"
        shown.caption_justify = "left"
    return shown


def _row(usage: ModelUsage) -> dict[str, str]:
    return {
        "requests": count(usage.request_count),
        "in": count(usage.input_tokens),
        "cached": count(usage.input_details.cache_read),
        "out": count(usage.output_tokens),
        "tokens": count(usage.total_tokens),
        "cost": money(usage.total_cost),
    }


def _total(report: UsageReport) -> dict[str, str]:
    total = report.grand_total
    rows = report.per_model.values()
    return {
        "requests": count(total.request_count),
        "in": count(sum(row.input_tokens for row in rows)),
        "cached": count(sum(row.input_details.cache_read for row in rows)),
        "out": count(sum(row.output_tokens for row in rows)),
        "tokens": count(total.total_tokens),
        "cost": money(total.total_cost),
    }
