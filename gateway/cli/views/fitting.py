"""What fits itself to the terminal: columns go one after another, and no figure is cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

LEAST_CLIPPED: Final = 8
LEAST_VALUE: Final = 24
"""Cells. Where a value has less room next to its name, it stands below it."""

_ENDLESS: Final = 10_000


class Fitting:
    """A table of some of these columns: those that give way, first to last, until it fits.

    `build` makes it of the columns that are left. One that may not wrap is shown whole; where even
    the last ones are too wide, those whose overflow is `fold` wrap all the same.
    """

    def __init__(
        self,
        build: Callable[[Sequence[str]], Table],
        columns: Sequence[str],
        giving_way: Sequence[str],
    ) -> None:
        self._build = build
        self._columns = columns
        self._giving_way = giving_way

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        left, giving_way = list(self._columns), list(self._giving_way)
        shown = self._build(left)
        while _least_width(shown, console, options) > options.max_width and giving_way:
            left.remove(giving_way.pop(0))
            shown = self._build(left)
        if _least_width(shown, console, options) > options.max_width:
            _fold(shown)
        yield shown


def _least_width(table: Table, console: Console, options: ConsoleOptions) -> int:
    wide = options.update(max_width=_ENDLESS)
    for column in table.columns:
        if column.no_wrap:
            column.min_width = max(
                console.measure(cell, options=wide).maximum for cell in _cells(column)
            )
    return Measurement.get(console, wide, table).minimum


def _fold(table: Table) -> None:
    for column in table.columns:
        if column.overflow == "fold":
            column.no_wrap, column.min_width = False, None


def _cells(column: Column) -> list[RenderableType]:
    return [column.header, *column.cells]


class Clipped:
    """A cell of one line that is cut before anything else is."""

    def __init__(self, text: str) -> None:
        self._text = Text(text, no_wrap=True, overflow="ellipsis")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._text

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        length = self._text.cell_len
        return Measurement(min(LEAST_CLIPPED, length), length)


class Pairs:
    """Names and their values, next to each other or, on a narrow terminal, below each other."""

    def __init__(self, rows: Sequence[tuple[str, RenderableType]], style: str = "") -> None:
        self._rows = rows
        self._style = style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        widest = max((Text(name).cell_len for name, _ in self._rows), default=0)
        if options.max_width - widest - 2 < LEAST_VALUE:
            yield Group(*(part for row in self._rows for part in self._stacked(*row)))
            return
        shown = Table.grid(padding=(0, 2))
        shown.add_column(style=self._style, no_wrap=True)
        shown.add_column(overflow="fold")
        for name, value in self._rows:
            shown.add_row(Text(name), value)
        yield shown

    def _stacked(self, name: str, value: RenderableType) -> list[RenderableType]:
        shown = Text(value, overflow="fold") if isinstance(value, str) else value
        below = Padding(shown, (0, 0, 0, 2))
        return [Text(name, style=self._style, overflow="fold"), below] if name else [below]
