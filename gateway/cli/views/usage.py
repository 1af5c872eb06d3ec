"""What was billed."""

from __future__ import annotations

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from agentspace.messages import ModelUsage, UsageReport
from gateway.cli.views.figures import count, counted, money
from gateway.cli.views.tables import table

_NUMBERS = ("requests", "in", "cached", "out", "tokens", "cost")


def usage_report(report: UsageReport) -> RenderableType:
    """A row a model, and the total of them all."""
    if not report.per_model:
        return Text("Nothing was billed.")
    shown = table()
    shown.add_column("model", overflow="fold")
    for name in _NUMBERS:
        shown.add_column(name, justify="right", no_wrap=True)
    for model, usage in sorted(report.per_model.items()):
        shown.add_row(model, *_row(usage))
    _add_total(shown, report)
    return shown


def _row(usage: ModelUsage) -> tuple[str, ...]:
    return (
        count(usage.request_count),
        count(usage.input_tokens),
        count(usage.input_details.cache_read),
        count(usage.output_tokens),
        count(usage.total_tokens),
        money(usage.total_cost),
    )


def _add_total(shown: Table, report: UsageReport) -> None:
    total = report.grand_total
    rows = report.per_model.values()
    shown.add_section()
    shown.add_row(
        "total",
        count(total.request_count),
        count(sum(row.input_tokens for row in rows)),
        count(sum(row.input_details.cache_read for row in rows)),
        count(sum(row.output_tokens for row in rows)),
        count(total.total_tokens),
        money(total.total_cost),
        style="bold",
    )
    if total.unpriced_requests:
        requests = counted(total.unpriced_requests, "request")
        shown.caption = f"without {requests} of unknown price"
        shown.caption_justify = "left"
