"""A terminal that a test types into, and whose screen it sees (pyte has the screen)."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pyte
import trio

from tests.shell import AGENTSPACE

SECONDS: Final = 20.0
OWN_TERMINAL: Final = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
"""Makes stdin the terminal that Ctrl-C and Ctrl-Z come from."""


class Terminal:
    """What a program has written to its terminal, and how that looks."""

    def __init__(self, descriptor: int, columns: int, lines: int) -> None:
        self.written = b""
        self._descriptor = descriptor
        self._screen = pyte.Screen(columns or 80, lines or 24)
        self._stream = pyte.ByteStream(self._screen)

    @property
    def text(self) -> str:
        """The screen's lines, without the blanks at their ends."""
        return "\n".join(line.rstrip() for line in self._screen.display).strip("\n")

    @property
    def echoes(self) -> bool:
        """Whether the terminal shows what is typed by itself."""
        return bool(termios.tcgetattr(self._descriptor)[3] & termios.ECHO)

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._descriptor, keys.encode())

    def tell_to_stop(self) -> None:
        """Send SIGTSTP to the program that has the terminal, as `kill -TSTP` does."""
        os.kill(os.tcgetpgrp(self._descriptor), signal.SIGTSTP)

    async def see(self, *patterns: str) -> str:
        """Wait until the screen shows these, one after another; the whole screen."""
        wanted = re.compile(".*?".join(patterns), re.DOTALL)
        try:
            with trio.fail_after(SECONDS):
                while not wanted.search(self.text):
                    await self._take()
        except trio.TooSlowError:
            raise AssertionError(f"no {patterns} on the screen:\n{self.text}") from None
        return self.text

    async def rest(self) -> None:
        """All that is still to come, until the program has let go of the terminal."""
        with trio.fail_after(SECONDS):
            while await self._take():
                pass

    async def _take(self) -> bool:
        await trio.lowlevel.wait_readable(self._descriptor)
        try:
            read = os.read(self._descriptor, 65_536)
        except OSError:  # the other side is closed
            return False
        self.written += read
        self._stream.feed(read)
        # The editor asks where the cursor is, and waits for the answer.
        for _ in range(read.count(b"\x1b[6n")):
            at = self._screen.cursor
            os.write(self._descriptor, f"\x1b[{at.y + 1};{at.x + 1}R".encode())
        return bool(read)


@asynccontextmanager
async def open_terminal(
    environ: dict[str, str],
    *arguments: str,
    columns: int = 80,
    lines: int = 24,
    shell: bool = False,
) -> AsyncIterator[Terminal]:
    """The command in a terminal of this size; in a `shell` it is a job, and `shell$` the prompt."""
    near, far = os.openpty()
    fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    program = [*AGENTSPACE, *arguments]
    if shell:
        code = 'import os; os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])'
    else:
        code = f"import os; os.execv({program[0]!r}, {program!r})"
    environ = {"TERM": "xterm", "PS1": "shell$ ", **environ}
    environ = {name: value for name, value in environ.items() if value and name != "COLUMNS"}
    process = subprocess.Popen(  # noqa: ASYNC220 - trio's own would wait for its end
        [sys.executable, "-c", OWN_TERMINAL + code],
        stdin=far,
        stdout=far,
        stderr=far,
        env=environ,
        start_new_session=True,
    )
    os.close(far)
    terminal = Terminal(near, columns, lines)
    try:
        if shell:
            await terminal.see(r"shell\$")
            terminal.press(" ".join(quoted(word) for word in program) + "\r")
        yield terminal
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(near)


def quoted(word: str) -> str:
    """A word as a shell reads it."""
    return "'" + word.replace("'", "'\\''") + "'"
