"""An answer for a pipe or a file: nothing is drawn twice, nothing is decorated."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Literal, Self

from rich.console import Console, RenderableType
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
from gateway.cli.views.ending import failure
from gateway.cli.views.turn import Notice, Shown, TurnView
from gateway.cli.views.wording import in_words

Voice = Literal["reasoning", "text"]


def print_note(notes: Console, renderable: RenderableType) -> None:
    """Print a text that no terminal shows on one line, whatever its length."""
    notes.print(renderable, soft_wrap=isinstance(renderable, Text) and not notes.is_terminal)


class PlainAnswer:
    """The text to `out` as it comes; reasoning, tools, sources, costs, notices to `notes`."""

    def __init__(
        self, out: Console, notes: Console, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._consoles = {"reasoning": notes, "text": out}
        self._notes = notes
        self._turn = TurnView(clock)
        self._voice: Voice | None = None
        self._has_noted = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end_paragraph()

    def show(self, message: Shown) -> None:
        """One more message of the turn."""
        match message:
            case ChatStreamStart():
                self._turn.model = message.model
            case ChatStreamReasoning():
                self._write("reasoning", message.delta)
            case ChatStreamDelta():
                self._write("text", message.delta)
            case ChatStreamSource():
                self._turn.sources.append(message.source)
            case ToolCall() | ToolApprovalRequest() | ToolResult() | ToolError():
                self._put([self._turn.tool(message)])
            case ChatStreamEnd():
                self._put(self._turn.ending(message))
            case ErrorMessage():
                self._put([self._failure(message)])
            case ChatStreamNotice():
                self._put([Text(message.message)])
            case Notice():
                self._put([Text(message.text)])

    def refresh(self) -> None:
        """Nothing is drawn twice here."""

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What is written is out; nothing else is needed."""
        self._end_paragraph()
        yield

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Nothing here is ever unfinished."""
        yield

    def _write(self, voice: Voice, text: str) -> None:
        if voice != self._voice:
            self._end_paragraph()
            if self._has_noted and self._shares_file:
                self._notes.print()
            self._has_noted = False
            self._voice = voice
            if voice == "reasoning":
                text = f"(thinking) {text}"
        self._consoles[voice].out(text, end="", highlight=False)
        self._consoles[voice].file.flush()

    def _failure(self, message: ErrorMessage) -> RenderableType:
        """All of it for a person; for a log the one line that every failure is."""
        if self._notes.is_terminal:
            return failure(message)
        return Text(f"agentspace: {in_words(message.message)}")

    def _put(self, renderables: Sequence[RenderableType]) -> None:
        self._end_paragraph()
        self._has_noted = True
        for renderable in renderables:
            print_note(self._notes, renderable)

    def _end_paragraph(self) -> None:
        if self._voice is not None:
            self._consoles[self._voice].out("\n" if self._shares_file else "")
            self._voice = None

    @property
    def _shares_file(self) -> bool:
        """Whether paragraphs and notes follow each other, and want a line between them."""
        return self._consoles["text"] is self._notes
