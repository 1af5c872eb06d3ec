"""May this tool run? A line of keys below the tool's arguments, and the one that is pressed.

A single key lets a tool run, so none may be pressed by accident: by somebody who was typing when
the question appeared, or who typed ahead. The question is deaf to letters until the keyboard has
been still for a moment. Ctrl-C and Ctrl-D, which no word contains, are heard at once.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Final

import click
from prompt_toolkit.application import Application
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.input import Input
from prompt_toolkit.input.typeahead import clear_typeahead
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import Layout, Window
from prompt_toolkit.layout.controls import FormattedTextControl
from prompt_toolkit.output import Output
from prompt_toolkit.styles import Style

from gateway.cli.talk.stage import PreRun, Stage
from gateway.cli.talk.suspending import add_suspend_key

if sys.platform != "win32":
    import termios

STILL_SECONDS: Final = 0.3
"""How long no key was pressed before one counts as consent."""

LINE: Final = "May it run? y once, s for this session, n no: "

_STYLE: Final = Style.from_dict({"question": "bold ansiyellow", "hint": "ansibrightblack"})
_WORDS: Final = FormattedText(
    [
        ("class:question", "May it run? "),
        ("", "y once · s for this session · n no "),
        ("class:hint", "· Ctrl-C no, and cancel the answer"),
    ]
)


class Choice(Enum):
    """What a person says; `NOBODY` when there is none to be asked."""

    ONCE = "y"
    SESSION = "s"
    NO = "n"
    CANCEL = "Ctrl-C"
    NOBODY = ""


_LETTERS: Final = {choice.value: choice for choice in (Choice.ONCE, Choice.SESSION, Choice.NO)}
_LINES: Final = {
    **_LETTERS,
    "yes": Choice.ONCE,
    "session": Choice.SESSION,
    "no": Choice.NO,
    "": Choice.NO,
}


class KeyQuestion:
    """The question on a terminal that can move its cursor: one key answers it."""

    def __init__(self, keys: Input, screen: Output) -> None:
        self._keys = keys
        self._still_since = 0.0
        self._app: Application[Choice] = Application(
            layout=Layout(
                Window(FormattedTextControl(_WORDS), wrap_lines=True, dont_extend_height=True)
            ),
            key_bindings=self._bindings(),
            style=_STYLE,
            erase_when_done=True,
            input=keys,
            output=screen,
        )
        self._stage = Stage(self._app)

    async def ask(self) -> Choice:
        """Wait for the key."""
        return await self._stage.run(self._ask)

    def leave(self) -> None:
        """Nobody needs an answer any more."""
        self._stage.leave()

    def suspend(self) -> bool:
        """Suspend, if the question is shown; whether it is."""
        return self._stage.suspend()

    def _ask(self, pre_run: PreRun) -> Choice:
        def begin() -> None:
            self._still_since = time.monotonic()
            pre_run()

        clear_typeahead(self._keys)
        try:
            return self._app.run(pre_run=begin)
        except EOFError:
            return Choice.NO

    def _bindings(self) -> KeyBindings:
        bindings = KeyBindings()

        @bindings.add("<any>")
        def _other(event: KeyPressEvent) -> None:
            choice = _LETTERS.get(event.data.lower())
            now = time.monotonic()
            was_still = now - self._still_since >= STILL_SECONDS
            self._still_since = now
            if choice is not None and was_still:
                event.app.exit(result=choice)

        @bindings.add("c-c")
        def _cancel(event: KeyPressEvent) -> None:
            event.app.exit(result=Choice.CANCEL)

        add_suspend_key(bindings)

        @bindings.add("c-d")
        def _end(event: KeyPressEvent) -> None:
            event.app.exit(result=Choice.NO)

        return bindings


async def ask_for_line(descriptor: int, read: Callable[[], Awaitable[str | None]]) -> Choice:
    """The question on a terminal without abilities: a line answers it, its end means no.

    What was typed before the question is thrown away.
    """
    if sys.platform != "win32":
        termios.tcflush(descriptor, termios.TCIFLUSH)
    while True:
        click.echo(LINE, nl=False, err=True)
        line = await read()
        if line is None:
            return Choice.NO
        if (choice := _LINES.get(line.strip().lower())) is not None:
            return choice
