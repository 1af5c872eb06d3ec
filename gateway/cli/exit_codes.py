"""How a command ends, beyond what `protocol.errors.ExitCode` has for every process."""

from __future__ import annotations

import signal
from typing import Final

FAILED: Final = 1
"""A command that asked in good order and was refused, or whose answer was cut short."""


DECLINED: Final = 4
"""The model declined to answer."""


def of_signal(number: int) -> int:
    """The exit code of a command that a signal has ended, as shells have it."""
    return 128 + number


INTERRUPTED: Final = of_signal(signal.SIGINT)
"""Ctrl-C: 130."""

BROKEN_PIPE: Final = of_signal(13)
"""Nobody reads stdout any more: 141, with the number that SIGPIPE has wherever there is one."""
