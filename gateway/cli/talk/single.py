"""One question and its answer, for a program: a keyboard without a person, and a page of JSON."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

import msgspec
from rich.console import Console, RenderableType
from rich.text import Text

from agentspace.messages import (
    ChatStreamDelta,
    ChatStreamEnd,
    ChatStreamNotice,
    ChatStreamSource,
    ChatStreamStart,
    ErrorMessage,
)
from gateway.cli.failures import share_a_file
from gateway.cli.json_line import print_json
from gateway.cli.options import tell
from gateway.cli.talk.keyboard import Key, TypedLine
from gateway.cli.talk.question import Choice
from gateway.cli.views.plain import print_note
from gateway.cli.views.turn import Notice, Shown
from gateway.cli.views.wording import in_words


class NoKeyboard:
    """Nobody types, and nobody can be asked."""

    async def read(self) -> TypedLine:
        """No line."""
        return Key.END

    async def choose(self) -> Choice:
        """No answer."""
        return Choice.NOBODY

    def leave(self) -> None:
        """Nothing waits."""

    def suspend(self) -> bool:
        """No terminal is taken."""
        return False


class JsonScreen:
    """Answers as JSON on stdout, everything else to `notes`."""

    def __init__(self, notes: Console) -> None:
        self._notes = notes

    def answer(self) -> JsonAnswer:
        """What takes down the next turn."""
        return JsonAnswer(self._notes)

    def show(self, renderable: RenderableType) -> None:
        """Show something besides an answer."""
        print_note(self._notes, renderable)

    def space(self) -> None:
        """Nothing stands next to the one line."""


class JsonAnswer:
    """One line: the terminal message as the wire has it, and what the turn said before it."""

    def __init__(self, notes: Console) -> None:
        self._notes = notes
        self._text: list[str] = []
        self._said: dict[str, Any] = {}
        self._sources: list[Any] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """All is said with the terminal message."""

    def show(self, message: Shown) -> None:
        """One more message of the turn."""
        match message:
            case ChatStreamStart():
                self._said = {"sessionId": message.session_id, "model": message.model}
            case ChatStreamDelta():
                self._text.append(message.delta)
            case ChatStreamSource():
                self._sources.append(message.source)
            case ChatStreamEnd() | ErrorMessage():
                self._print(message)
            case ChatStreamNotice():
                print_note(self._notes, Text(message.message))
            case Notice():
                print_note(self._notes, Text(message.text))

    def refresh(self) -> None:
        """Nothing is drawn."""

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Nothing is in the way."""
        yield

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Nothing is drawn."""
        yield

    def _print(self, terminal: ChatStreamEnd | ErrorMessage) -> None:
        if isinstance(terminal, ErrorMessage) and not share_a_file():
            tell([in_words(terminal.message)])
        answer = {**self._said, "text": "".join(self._text)}
        if self._sources:
            answer["sources"] = self._sources
        answer |= msgspec.to_builtins(terminal, builtin_types=[Decimal])
        print_json(answer)
