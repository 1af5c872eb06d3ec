"""Where a conversation is shown: a terminal, or a pipe."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from rich.console import Console, RenderableType

from gateway.cli.views.answer import AnswerView, RichAnswer
from gateway.cli.views.plain import PlainAnswer, print_note


class Screen(Protocol):
    """Shows answers, and whatever else there is to say."""

    def answer(self) -> AnswerView:
        """What shows the next turn."""
        ...

    def show(self, renderable: RenderableType) -> None:
        """Show something besides an answer."""
        ...

    def space(self) -> None:
        """Leave a line between two turns."""
        ...


class RichScreen:
    """A terminal; with `animate` the unfinished part of an answer is drawn while it grows."""

    def __init__(
        self,
        console: Console,
        *,
        animate: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._animate = animate
        self._clock = clock

    def answer(self) -> AnswerView:
        """What shows the next turn."""
        return RichAnswer(self._console, animate=self._animate, clock=self._clock)

    def show(self, renderable: RenderableType) -> None:
        """Show something besides an answer."""
        self._console.print(renderable)

    def space(self) -> None:
        """Leave a line between two turns."""
        self._console.print()


class PlainScreen:
    """A pipe: answers go to `out`, everything else to `notes`."""

    def __init__(self, out: Console, notes: Console) -> None:
        self._out = out
        self._notes = notes

    def answer(self) -> AnswerView:
        """What shows the next turn."""
        return PlainAnswer(self._out, self._notes)

    def show(self, renderable: RenderableType) -> None:
        """Show something besides an answer."""
        print_note(self._notes, renderable)

    def space(self) -> None:
        """Leave a line between two turns, where both stand one below the other."""
        if self._notes.is_terminal or self._notes is self._out:
            self._notes.print()
