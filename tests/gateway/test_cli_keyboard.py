"""The line editor, with its keys pressed by a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trio
from prompt_toolkit.application import create_app_session
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from gateway.cli.talk.keyboard import Editor, Key, Line


@contextmanager
def typing() -> Iterator[tuple[Editor, PipeInput]]:
    """An editor, and the pipe whose bytes are its keys."""
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        yield Editor(InMemoryHistory(), lambda: "status"), keys


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ("hello\r", "hello"),
        ("one\x1b\rtwo\r", "one\ntwo"),
        ("\x1b[200~pasted\rlines\x1b[201~\r", "pasted\nlines"),
        ("typed\x03\x03", Key.INTERRUPT),
        ("\x03", Key.INTERRUPT),
        ("\x04", Key.END),
    ],
    ids=["enter", "alt-enter", "paste", "ctrl-c twice", "ctrl-c", "ctrl-d"],
)
async def test_keys_make_a_line(keys: str, line: Line) -> None:
    """Enter sends, Alt-Enter and pasted text break lines, Ctrl-C empties the line first."""
    with typing() as (editor, pipe):
        pipe.send_text(keys)
        with trio.fail_after(5):
            assert await editor.read() == line


async def test_everything_else_goes_on_while_somebody_thinks() -> None:
    """The editor waits in a thread; a cancel ends it, and the terminal is its owner's again."""
    ticks = 0
    with typing() as (editor, _):
        with trio.move_on_after(0.5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(editor.read)
                while True:
                    await trio.sleep(0.02)
                    ticks += 1
    assert ticks > 5
