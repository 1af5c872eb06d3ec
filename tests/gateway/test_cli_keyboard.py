"""The line editor, with its keys pressed by a pipe."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trio
from prompt_toolkit.application import create_app_session
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from gateway.cli.talk import pasting, question
from gateway.cli.talk.keyboard import Editor, Key, PlainLines, TypedLine
from gateway.cli.talk.question import Choice


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
        ("pasted\rlines\r", "pasted\nlines"),
        ("many\r" * 500, "many\n" * 499 + "many"),
        ("a stray \udcff byte\r", "a stray \ufffd byte"),
        ("typed\x03\x03", Key.INTERRUPT),
        ("\x03", Key.INTERRUPT),
        ("\x04", Key.END),
    ],
    ids=[
        "enter",
        "alt-enter",
        "paste",
        "paste that is not marked",
        "paste longer than a read",
        "stray byte",
        "ctrl-c twice",
        "ctrl-c",
        "ctrl-d",
    ],
)
async def test_keys_make_a_line(keys: str, line: TypedLine) -> None:
    """Enter sends, Alt-Enter and pasted text break lines, Ctrl-C empties the line first.

    A terminal that does not mark what is pasted sends it as keys, all of them at once.
    """
    with typing() as (editor, pipe):
        pipe.send_bytes(keys.encode("utf-8", "surrogateescape"))
        with trio.fail_after(5):
            assert await editor.read() == line


async def test_a_paste_that_comes_in_parts_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """An Enter sends once nothing has followed it for a moment."""
    monkeypatch.setattr(pasting, "TOGETHER_SECONDS", 2.0)
    with typing() as (editor, pipe), trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_paste_in_parts, pipe)
            assert await editor.read() == "one\ntwo\n\nthree"


async def _paste_in_parts(pipe: PipeInput) -> None:
    for part in ("one\r", "two\r\r", "three", "\r"):
        pipe.send_text(part)
        await trio.sleep(0.1)


@contextmanager
def asking() -> Iterator[tuple[Editor, PipeInput]]:
    """An editor that takes every key at once, and the pipe whose bytes are its keys."""
    with pytest.MonkeyPatch.context() as patch, typing() as (editor, pipe):
        patch.setattr(question, "STILL_SECONDS", 0.0)
        yield editor, pipe


@pytest.mark.parametrize(
    ("keys", "choice"),
    [
        ("y", Choice.ONCE),
        ("Y", Choice.ONCE),
        ("s", Choice.SESSION),
        ("n", Choice.NO),
        ("\x03", Choice.CANCEL),
        ("\x04", Choice.NO),
        ("\r \x1b[A?xn", Choice.NO),
        ("\x1b[200~yes\x1b[201~n", Choice.NO),
    ],
    ids=["y", "Y", "s", "n", "ctrl-c", "ctrl-d", "other keys", "paste"],
)
async def test_a_key_answers_the_question(keys: str, choice: Choice) -> None:
    """y, s and n answer; Ctrl-C and Ctrl-D say no; nothing else says anything."""
    with asking() as (editor, pipe):
        pipe.send_text(keys)
        with trio.fail_after(10):
            assert await editor.choose() == choice


async def test_the_end_of_the_terminal_is_a_no() -> None:
    """Nobody can answer any more: that is no consent."""
    with asking() as (editor, pipe):
        pipe.close()
        with trio.fail_after(10):
            assert await editor.choose() == Choice.NO


async def test_who_is_typing_lets_no_tool_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Letters count once the keyboard was still: a word in flight answers nothing."""
    monkeypatch.setattr(question, "STILL_SECONDS", 3600.0)
    with typing() as (editor, pipe):
        pipe.send_text("yesyn")
        with trio.move_on_after(1.0) as waited:
            await editor.choose()
        assert waited.cancelled_caught
        pipe.send_text("y\x03")
        with trio.fail_after(10):
            assert await editor.choose() == Choice.CANCEL


async def test_what_was_typed_before_a_question_does_not_answer_it() -> None:
    """Keys that came in with the last one of the editor are thrown away."""
    with asking() as (editor, pipe):
        pipe.send_text("\x04y")
        with trio.fail_after(10):
            assert await editor.read() is Key.END
            with trio.move_on_after(0.5) as waited:
                await editor.choose()
            assert waited.cancelled_caught
            pipe.send_text("s")
            assert await editor.choose() == Choice.SESSION


@pytest.mark.parametrize("name", ["read", "choose"])
async def test_whoever_leaves_before_it_began_is_not_kept(name: str) -> None:
    """A cancel that comes before the thread has started is not lost."""
    with typing() as (editor, _), trio.fail_after(10):
        with trio.CancelScope() as scope:
            scope.cancel()
            await getattr(editor, name)()
        assert scope.cancelled_caught


def terminal_lines() -> tuple[PlainLines, int]:
    """Lines of a terminal without abilities, and the end at which somebody types."""
    near, far = os.openpty()
    return PlainLines(far), near


@pytest.mark.parametrize(
    ("typed", "choice"),
    [
        ("y\n", Choice.ONCE),
        ("Session\n", Choice.SESSION),
        ("what?\nno\n", Choice.NO),
        ("\n", Choice.NO),
        ("\x04", Choice.NO),
    ],
    ids=["y", "session", "no, after a wrong one", "enter", "ctrl-d"],
)
async def test_a_line_answers_where_keys_cannot_be_read(
    typed: str, choice: Choice, capfd: pytest.CaptureFixture[str]
) -> None:
    """A terminal without abilities is asked for a line; what was typed before does not count."""
    lines, near = terminal_lines()
    os.write(near, b"y\n")
    heard: list[Choice] = []

    async def ask() -> None:
        heard.append(await lines.choose())

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            shown = ""
            while "May it run?" not in shown:
                await trio.sleep(0.01)
                shown += capfd.readouterr().err
            assert heard == []
            os.write(near, typed.encode())
    assert heard == [choice]


async def test_a_withdrawn_question_takes_no_line_with_it() -> None:
    """The line that is typed next is a message."""
    lines, near = terminal_lines()
    with trio.fail_after(10):
        with trio.move_on_after(0.2):
            await lines.choose()
        os.write(near, b"hello\n")
        assert await lines.read() == "hello"


async def test_a_pipe_cannot_be_asked() -> None:
    """Its lines are messages, even one that is a y."""
    source, sink = os.pipe()
    os.write(sink, b"y\n")
    os.close(sink)
    lines = PlainLines(source)
    assert await lines.choose() == Choice.NOBODY
    assert await lines.read() == "y"
    os.close(source)


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
