"""The one look of all tables."""

from __future__ import annotations

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

BAR_WIDTH = 20
_EIGHTHS = " ▏▎▍▌▋▊▉"


def table(title: str = "") -> Table:
    """An empty table; its title, if any, stands above at the left."""
    return Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        header_style="dim",
    )


class ShareBar:
    """A part of a whole as a bar, as wide as its column, at most `BAR_WIDTH` cells."""

    def __init__(self, part: float) -> None:
        self.part = min(max(part, 0.0), 1.0)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = min(options.max_width, BAR_WIDTH)
        if options.ascii_only:
            yield Text("#" * round(self.part * width), no_wrap=True)
            return
        # Whatever is there shows, however little it is.
        eighths = max(round(self.part * width * 8), 1) if self.part else 0
        full, rest = divmod(eighths, 8)
        yield Text("█" * full + _EIGHTHS[rest].strip(), style="cyan", no_wrap=True)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(4, BAR_WIDTH)
