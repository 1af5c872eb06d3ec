"""A load: a line of figures while it runs, and the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gateway.cli.views.figures import UNKNOWN, count, duration, money, per_cent, size
from gateway.cli.views.fitting import Fitting, Pairs
from gateway.cli.views.tables import table
from gateway.load.histogram import Percentiles
from gateway.load.report import KindReport, LoadReport
from gateway.load.run import LoadRun
from gateway.load.tally import DURATIONS
from gateway.load.thresholds import ThresholdReport

_FIGURES: Final = ("count", "min", "mean", "p50", "p90", "p95", "p99", "p999", "max")
_GIVING_WAY: Final = ("min", "mean", "p95", "p90", "p999", "count", "max", "p50")
_COUNTS: Final = KindReport.__struct_fields__
_COUNTS_GIVING_WAY: Final = ("admitted", "cancelled", "sent")
_SIGNIFICANT: Final = 100.0


def millis(value: float | None) -> str:
    """Milliseconds, or seconds from ten of them on."""
    if value is None:
        return UNKNOWN
    if value >= 10_000:
        return f"{value / 1e3:,.1f} s"
    return f"{value:.0f} ms" if value >= _SIGNIFICANT else f"{value:.2f} ms"


def load_progress(run: LoadRun) -> Text:
    """What is so at this moment, in one line."""
    tally, seconds = run.tally, run.watch.seconds
    first = tally.durations["first_delta"]
    done = tally.total("finished") + tally.total("cancelled")
    p50, p99 = first.quantile(0.5), first.quantile(0.99)
    parts = [
        duration(seconds),
        f"{count(tally.total('sent'))} sent",
        f"{count(tally.open)} open",
        f"{count(done)} done",
        f"{count(tally.total('failed'))} failed",
        f"{count(round(tally.deltas / seconds if seconds else 0))} deltas/s",
        f"first delta {_in_millis(p50)} (p99 {_in_millis(p99)})",
        f"own CPU {per_cent(run.watch.cpu)}",
    ]
    return Text(" · ".join(parts), no_wrap=True, overflow="ellipsis")


def _in_millis(seconds: float | None) -> str:
    return millis(None if seconds is None else seconds * 1e3)


def load_report(report: LoadReport) -> RenderableType:
    """All of the report; tables leave out figures on a narrow terminal."""
    parts: list[RenderableType] = [
        Fitting(lambda figures: _durations(report, figures), _FIGURES, _GIVING_WAY),
        Fitting(lambda figures: _turns(report, figures), _COUNTS, _COUNTS_GIVING_WAY),
        Pairs(_pairs(report), "dim"),
    ]
    if report.interrupted:
        parts.append(Text("It was interrupted: this is what ran.", style="yellow"))
    parts += [Text(f"Not valid: {reason}.", style="bold red") for reason in report.own.reasons]
    return Group(*parts)


def _durations(report: LoadReport, figures: Sequence[str]) -> Table:
    shown = table()
    shown.add_column("duration", no_wrap=True, overflow="fold")
    for name in figures:
        shown.add_column("p99.9" if name == "p999" else name, justify="right", no_wrap=True)
    for name in DURATIONS:
        if name in report.durations:
            row = _row(report.durations[name])
            shown.add_row(name, *(row[figure] for figure in figures))
    return shown


def _row(durations: Percentiles) -> dict[str, str]:
    return {
        name: count(durations.count) if name == "count" else millis(getattr(durations, name))
        for name in _FIGURES
    }


def _turns(report: LoadReport, figures: Sequence[str]) -> Table:
    shown = table()
    shown.add_column("turns", no_wrap=True, overflow="fold")
    for name in figures:
        shown.add_column(name, justify="right", no_wrap=True)
    for kind, one in (*report.turns.kinds.items(), ("total", report.turns.total)):
        row = (count(getattr(one, name)) for name in figures)
        shown.add_row(kind, *row, style="bold" if kind == "total" else "")
    return shown


def _pairs(report: LoadReport) -> list[tuple[str, RenderableType]]:
    turns, flow = report.turns, report.flow
    errors = ", ".join(f"{count(number)} {code}" for code, number in report.errors.items())
    rate = f"{flow.deltas_per_second:,.0f} deltas/s"
    pairs: list[tuple[str, RenderableType]] = [
        ("ran for", duration(report.seconds)),
        ("scheduled", f"{count(turns.scheduled)}, of them {count(turns.warmup)} to warm up"),
        ("not sent, not ended", f"{count(turns.unsent)}, {count(turns.unfinished)}"),
        ("errors", errors or "none"),
        ("received", f"{count(flow.deltas)} deltas, {rate}, {size(flow.bytes)}"),
        (
            "billed",
            f"{count(report.billed.total_tokens)} tokens, {money(report.billed.total_cost)}",
        ),
        ("own CPU", per_cent(report.own.cpu)),
    ]
    for judged in report.thresholds:
        verdict = "FAILED" if judged.failed else "ok"
        pairs.append((judged.expression, f"{verdict} ({_measured(judged)})"))
    return pairs


def _measured(judged: ThresholdReport) -> str:
    """What a threshold's figure was."""
    if judged.value is None:
        return "not measured"
    if judged.unit == "ms":
        return millis(judged.value)
    return per_cent(judged.value) if judged.unit else f"{judged.value:g}"
