"""A context's sections as a table: a bar each, and as many figures as the terminal has room for."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import msgspec
from msgspec import UNSET
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from agentspace.messages import Section, SectionName, SectionWeight, Totals
from gateway.cli.views.figures import UNKNOWN, count, money, share
from gateway.cli.views.fitting import Fitting
from gateway.cli.views.tables import ShareBar, table

OVERHEAD: Final = "provider_overhead"

_FIGURES: Final = ("bytes", "tokens", "window", "cost", "cached", "share")
_GIVING_WAY: Final = ("bytes", "share", "cached", "cost", "window")
"""Figures that a narrow terminal does without, the first one first."""


class SectionBar(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown of a section. Without `cached_tokens` nothing is known of a cache."""

    name: SectionName | str
    byte_count: int
    tokens: int
    cost: Decimal | None
    cached_tokens: int | None = None
    cached_cost: Decimal | None = None

    @classmethod
    def of(cls, section: Section | SectionWeight) -> SectionBar:
        """Of a section of the wire."""
        cached = section.cached_tokens if isinstance(section, Section) else UNSET
        cost = section.cached_cost_estimate if isinstance(section, Section) else UNSET
        return cls(
            name=section.name,
            byte_count=section.byte_count,
            tokens=section.token_estimate,
            cost=section.cost_estimate,
            cached_tokens=None if cached is UNSET else cached,
            cached_cost=None if cost is UNSET else cost,
        )


class Sections:
    """The table; `window` is the model's, in tokens, when it is known."""

    def __init__(
        self,
        sections: Sequence[Section] | Sequence[SectionWeight],
        totals: Totals,
        window: int | None,
    ) -> None:
        self._weights = [SectionBar.of(section) for section in sections]
        self._totals = totals
        self._window = window

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        unknown = {"window": self._window is None, "cached": self._totals.cached_tokens is UNSET}
        figures = [figure for figure in _FIGURES if not unknown.get(figure)]
        giving_way = [figure for figure in _GIVING_WAY if figure in figures]
        yield Fitting(self._table, figures, giving_way)

    def _table(self, figures: Sequence[str]) -> Table:
        shown = table()
        shown.padding = (0, 1, 0, 0)
        shown.add_column("section", no_wrap=True, overflow="fold")
        for figure in figures:
            right = figure != "share"
            shown.add_column(figure, justify="right" if right else "left", no_wrap=right)
        for weight in self._weights:
            cells = [self._cell(weight, figure) for figure in figures]
            shown.add_row(weight.name, *cells, style="" if weight.tokens else "dim")
        shown.add_section()
        total = [self._total(figure) for figure in figures]
        shown.add_row("total", *total, style="bold")
        return shown

    def _cell(self, weight: SectionBar, figure: str) -> RenderableType:
        match figure:
            case "bytes":
                # What the provider adds has no text that anybody could count.
                return UNKNOWN if weight.name == OVERHEAD else count(weight.byte_count)
            case "tokens":
                return count(weight.tokens)
            case "window":
                return share(weight.tokens, self._window or 0)
            case "cost":
                return money(weight.cost)
            case "cached":
                # Green: the provider most likely has it, or a part of it, in its cache.
                return Text(
                    money(weight.cached_cost), style="green" if weight.cached_tokens else ""
                )
        whole = self._totals.token_estimate
        return ShareBar(weight.tokens / whole if whole else 0.0)

    def _total(self, figure: str) -> str:
        totals = self._totals
        cached = totals.cached_cost_estimate
        return {
            "bytes": count(totals.byte_count),
            "tokens": count(totals.token_estimate),
            "window": share(totals.token_estimate, self._window or 0),
            "cost": money(totals.cost_estimate),
            "cached": money(None if cached is UNSET else cached),
            "share": "",
        }[figure]


def weights(sections: Sequence[SectionWeight]) -> Sections:
    """Sections whose sums nobody told."""
    costs = [section.cost_estimate for section in sections]
    totals = Totals(
        byte_count=sum(section.byte_count for section in sections),
        token_estimate=sum(section.token_estimate for section in sections),
        cost_estimate=None if None in costs else sum(filter(None, costs), Decimal(0)),
    )
    return Sections(sections, totals, None)
