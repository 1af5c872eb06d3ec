"""The first process of a container (process 1): it passes signals on, and buries the dead.

Problem: the system makes process 1 the parent of every process whose own parent has gone, what an
MCP server has started, say, and keeps each of them after its end until it is waited for. And a
signal for which process 1 has no handler is dropped, a SIGTERM during the start among them.

Trick: process 1 forks before anything else, and then only waits. Its child does the work, and gets
what its own children leave to it as any other process would: not at all.

Limits: what a terminal sends goes to the whole group, so that is not passed on once more; a second
Ctrl-C ends a gateway that drains.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import Final

FIRST: Final = 1
_FROM_KERNEL: Final = 0x80
"""`si_code` of what a terminal sends (Linux, `SI_KERNEL`)."""


def stand_before() -> None:
    """Return in the process that does the work: in this one, unless it is the first.

    The first one exits with its child's exit code.
    """
    if sys.platform != "linux" or os.getpid() != FIRST:
        return
    passed_on = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT}
    waited_for = {*passed_on, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, waited_for)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    code = None
    while code is None:
        told = signal.sigwaitinfo(waited_for)
        if told.si_signo == signal.SIGCHLD:
            code = _bury(child)
        elif told.si_code != _FROM_KERNEL:
            with suppress(ProcessLookupError):
                os.kill(child, told.si_signo)
    os._exit(code)


def _bury(child: int) -> int | None:
    """Wait for all that have ended; the exit code once `child` is among them."""
    code = None
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == child:
                code = os.waitstatus_to_exitcode(ended[1])
    return code if code is None or code >= 0 else 128 - code
