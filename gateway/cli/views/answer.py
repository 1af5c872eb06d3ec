"""An answer while it streams, on a terminal.

Finished blocks are printed for good; the unfinished one is drawn again, a few times a second, in a
region that is erased at the end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from agentspace.messages import (
    ChatStreamDelta,
    ChatStreamEnd,
    ChatStreamNotice,
    ChatStreamReasoning,
    ChatStreamSource,
    ChatStreamStart,
    ErrorMessage,
    ToolApprovalRequest,
    ToolCall,
    ToolError,
    ToolResult,
)
from gateway.cli.views.blocks import Blocks, Cut
from gateway.cli.views.ending import failure
from gateway.cli.views.markdown import Trimmed, reasoning, trimmed_markdown
from gateway.cli.views.turn import Notice, Shown, TurnView

REFRESH_SECONDS: Final = 1 / 12


class _Now:
    """What `draw` gives when it is drawn: never what has been printed for good meanwhile."""

    def __init__(self, draw: Callable[[], RenderableType]) -> None:
        self._draw = draw

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._draw()


class AnswerView(Protocol):
    """Shows one turn, from the question to the last line below the answer."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def show(self, message: Shown) -> None:
        """One more message of the turn."""
        ...

    def refresh(self) -> None:
        """Time has passed."""
        ...

    def aside(self) -> AbstractContextManager[None]:
        """The terminal is left to somebody else for as long as the block lasts."""
        ...

    def hidden(self) -> AbstractContextManager[None]:
        """Nothing unfinished is on the terminal for as long as the block lasts."""
        ...


class RichAnswer:
    """For a terminal; without `animate` only what is finished is printed."""

    def __init__(
        self, console: Console, *, animate: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console
        self._turn = TurnView(clock)
        self._blocks = Blocks()
        self._reasons = False
        self._began = False
        self._spinner = Spinner("dots", style="dim")
        self._of_tools = False
        self._animate = animate
        self._live: Live | None = None

    def __enter__(self) -> Self:
        self._start_drawing()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._finish()
        self._stop_drawing()

    def show(self, message: Shown) -> None:
        """One more message of the turn."""
        match message:
            case ChatStreamStart():
                self._turn.model = message.model
            case ChatStreamReasoning():
                self._add(message.delta, reasons=True)
            case ChatStreamDelta():
                self._add(message.delta, reasons=False)
            case ChatStreamSource():
                self._turn.sources.append(message.source)
            case ToolCall() | ToolApprovalRequest() | ToolResult() | ToolError():
                self._put([self._turn.tool(message)], of_tools=True)
            case ChatStreamEnd():
                self._put(self._turn.ending(message))
            case ErrorMessage():
                self._put([failure(message)])
            case ChatStreamNotice():
                self._put([Text(message.message, "dim")], of_tools=self._of_tools)
            case Notice():
                self._put([Text(message.text, style=message.style)], of_tools=self._of_tools)

    def refresh(self) -> None:
        """Draw the unfinished block as it is now."""
        if self._live is not None:
            self._live.refresh()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """The terminal is left to somebody else for as long as the block lasts."""
        self._finish()
        with self.hidden():
            yield

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Nothing unfinished is on the terminal for as long as the block lasts."""
        self._stop_drawing()
        try:
            yield
        finally:
            self._start_drawing()

    def _start_drawing(self) -> None:
        """A new region each time: an old one would erase what was printed in between."""
        if self._animate:
            self._live = Live(
                _Now(self._unfinished), console=self._console, auto_refresh=False, transient=True
            )
            self._live.start()

    def _stop_drawing(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _add(self, delta: str, *, reasons: bool) -> None:
        if reasons != self._reasons:
            self._finish()
            self._reasons = reasons
        self._print(self._blocks.add(delta))

    def _put(self, renderables: Sequence[RenderableType], *, of_tools: bool = False) -> None:
        """Print these, a line between them; but what tools do stands together."""
        self._finish()
        for renderable in renderables:
            if not (of_tools and self._of_tools):
                self._space()
            self._console.print(renderable)
        self._of_tools = of_tools

    def _finish(self) -> None:
        self._print(self._blocks.end())
        self._blocks = Blocks()

    def _print(self, cuts: Sequence[Cut]) -> None:
        for cut in cuts:
            if not cut.joined:
                self._space()
            self._console.print(self._rendered(cut))
            self._began = True
            self._of_tools = False

    def _space(self) -> None:
        if self._began:
            self._console.print()
        self._began = True

    def _rendered(self, cut: Cut) -> RenderableType:
        return reasoning(cut.source) if self._reasons else trimmed_markdown(cut.source)

    def _unfinished(self) -> RenderableType:
        rest = self._blocks.rest
        parts: list[RenderableType] = []
        if rest.source.strip():
            if self._began and not rest.joined:
                parts.append(Text())
            parts.append(Trimmed(self._rendered(rest), max(self._console.height - 4, 1)))
        self._spinner.update(text=Text(f"{self._turn.seconds:.0f} s · Ctrl-C cancels", "dim"))
        if self._began or parts:
            parts.append(Text())
        return Group(*parts, self._spinner)
