"""What stands in a little, without blanks behind it."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment


class Indented:
    """A renderable set in by `cells`; when it is `hanging`, its first line is not."""

    def __init__(
        self, renderable: RenderableType, *, cells: int = 2, hanging: bool = False
    ) -> None:
        self._renderable = renderable
        self._cells = cells
        self._hanging = hanging

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        inner = options.update_width(max(options.max_width - self._cells, 1))
        for number, line in enumerate(console.render_lines(self._renderable, inner, pad=False)):
            if number or not self._hanging:
                yield Segment(" " * self._cells)
            yield from line
            yield Segment.line()
