"""A running gateway's figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from msgspec import UnsetType
from rich.console import RenderableType

from agentspace.messages import GatewayStatusReport, LeftOutTool
from gateway.cli.views.figures import UNKNOWN, count, duration, size
from gateway.cli.views.fitting import Pairs

T = TypeVar("T")


def status_report(report: GatewayStatusReport) -> RenderableType:
    """A line a figure."""
    return Pairs(_figures(report), "dim")


def _known(figure: T | UnsetType, shown: Callable[[T], str]) -> str:
    """A figure that an older gateway does not tell."""
    return UNKNOWN if isinstance(figure, UnsetType) else shown(figure)


def _figures(report: GatewayStatusReport) -> list[tuple[str, RenderableType]]:
    turns = ", ".join(f"{count(number)} {state}" for state, number in report.turns.items())
    boxes = ", ".join(
        f"{name} {count(depth.waiting)}/{count(depth.size)}"
        for name, depth in report.mailboxes.items()
    )
    detached = _known(report.detached_logs, count)
    return [
        ("version", report.version),
        ("state", "draining" if report.draining else "serving"),
        ("up for", duration(report.uptime_seconds)),
        ("connections", count(report.connections)),
        ("turns", turns or "none"),
        ("upstream streams", count(report.upstream_streams)),
        ("longest silence", _known(report.longest_silence_seconds, duration)),
        ("provider's pings", _known(report.provider_pings, count)),
        ("turn logs", f"{count(report.logs)}, {size(report.log_bytes)}"),
        ("of them detached", f"{detached}, {_known(report.detached_log_bytes, size)}"),
        ("mailboxes", boxes),
        ("ledger", report.ledger),
        ("ledger queue", count(report.ledger_queue)),
        ("open rows", count(report.open_rows)),
        ("oldest open row", _known(report.oldest_open_row_seconds, duration)),
        ("memory", size(report.memory_bytes)),
        *(("left out", _left_out(tool)) for tool in report.tools_left_out or ()),
    ]


def _left_out(tool: LeftOutTool) -> str:
    return f"{tool.name} of {_known(tool.server, str)}: {tool.reason}"
