"""A terminal that does not echo while an answer is being written.

What is typed meanwhile would land in the middle of the text. It is not lost: the editor finds it
when it reads next.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.cli.console import can_type

if sys.platform != "win32":
    import termios


@contextmanager
def quiet_terminal() -> Iterator[None]:
    """No echo for as long as the block lasts, where stdin is a terminal."""
    with _echo(on=False):
        yield


@contextmanager
def loud_terminal() -> Iterator[None]:
    """Echo for as long as the block lasts, within a quiet one."""
    with _echo(on=True):
        yield


@contextmanager
def _echo(*, on: bool) -> Iterator[None]:
    if sys.platform == "win32" or not can_type():
        yield
        return
    descriptor = sys.stdin.fileno()
    former = termios.tcgetattr(descriptor)
    mode = [*former]
    mode[3] = mode[3] | termios.ECHO if on else mode[3] & ~termios.ECHO  # the local modes
    termios.tcsetattr(descriptor, termios.TCSADRAIN, mode)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, former)
