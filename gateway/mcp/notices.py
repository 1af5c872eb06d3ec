"""What a server tells without being asked: what is of use is taken in, the rest is dropped here.

Servers tell of their progress and of what they log, some of them line by line: thousands of
messages before one answer. The SDK reads each with pydantic, starts a task for it, and throws it
away. MCP asks both sides to limit the rate of such messages (its pages "Progress" and "Logging").

So a notification is known by its method, in the bytes and before all else: that costs 2 us. Two
kinds go on to the SDK, which needs them for the requests under way. That the tools have changed
calls for a look at them. What is dropped is limited too, at a rate that costs a few percent of the
loop; a server that tells more waits at its own pipe or socket.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
import trio

from gateway.mcp.bounded import SMALL
from gateway.mcp.pace import TokenBucket

CHANGED: Final = "notifications/tools/list_changed"
NEEDED: Final = frozenset({"notifications/cancelled", "notifications/subscriptions/acknowledged"})

NOTICES_PER_SECOND: Final = 20_000
"""That a server may send on and on."""
NOTICES_AT_ONCE: Final = 40_000
"""That it may send in a burst."""
LEAST_REST: Final = 0.05
"""Seconds: a shorter wait would cost more than the messages."""


class _Notice(msgspec.Struct):
    method: str
    id: msgspec.Raw = msgspec.Raw(b"")


_notice = msgspec.json.Decoder(_Notice)


class Notices:
    """One connection's; `changed` is called when the tools have changed."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._pace = TokenBucket(NOTICES_PER_SECOND, NOTICES_AT_ONCE)

    async def take(self, message: bytes) -> bool:
        """Whether `message` is a notification that nobody needs any more; waits if there are many.

        A large one is read like any other message, in a thread.
        """
        method = _method(message) if len(message) <= SMALL else None
        if method is None or method in NEEDED:
            return False
        if method == CHANGED:
            self._changed()
        delay = self._pace.delay(trio.current_time())
        if delay >= LEAST_REST:
            await trio.sleep(delay)
        return True


def _method(message: bytes) -> str | None:
    """The method of a notification; `None` for every other message."""
    if b'"method"' not in message:
        return None
    try:
        notice = _notice.decode(message)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return None if bytes(notice.id) else notice.method
