"""Ctrl-Z, SIGTSTP: the shell gets its terminal as it was, and `fg` goes on where the chat stopped.

A program that stops while the terminal is raw or silent leaves a shell in which nobody can type
(anthropics/claude-code#78690, openai/codex#29730). So whoever has changed the terminal undoes it
first, and does it again afterwards. An editor reads the terminal raw and gets Ctrl-Z as a key;
while an answer is written, it comes as a signal. From outside (`kill -TSTP`) the signal comes at
any time: for the length of the chat it is received, and handed to whoever has the terminal.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

import trio
from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent


def suspend() -> None:
    """Stop, with all of this job, until the shell lets it go on. For the main thread alone.

    It goes on at once where no shell could wake it (POSIX, orphaned process groups).
    """
    if sys.platform == "win32":
        return
    former = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
    os.kill(0, signal.SIGTSTP)
    signal.signal(signal.SIGTSTP, former)


def can_suspend() -> bool:
    """Whether there is a shell that wants to know of Ctrl-Z."""
    return sys.platform != "win32" and signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL


def add_suspend_key(bindings: KeyBindings) -> None:
    """Let Ctrl-Z suspend an application that runs on a stage."""

    @bindings.add("c-z")
    async def _suspend(_event: KeyPressEvent) -> None:
        await suspend_application()


async def suspend_application() -> None:
    """Suspend, called on the loop of the application that has the terminal and gives it back."""
    # Signals are for the main thread, and a stage is another one.
    await run_in_terminal(lambda: trio.from_thread.run_sync(suspend))


async def receive_suspends(act: Callable[[], None]) -> None:
    """Until cancelled, let SIGTSTP call `act`, which is to suspend, instead of stopping at once."""
    if sys.platform == "win32" or not can_suspend():
        return
    with trio.open_signal_receiver(signal.SIGTSTP) as signals:
        async for _ in signals:
            act()
