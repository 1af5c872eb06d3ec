"""What has been arranged for the next requests: replies in a queue, or a function that decides."""

from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from gateway.simulator.reply import Json, Reply

Responder: TypeAlias = Callable[[Json], Reply | None]
"""Given a request's body, the reply; None leaves the request to the simulator."""


class Script:
    """Replies are used once each, in order; then the latest responder is asked."""

    def __init__(self) -> None:
        self._replies: deque[Reply] = deque()
        self._responder: Responder | None = None

    def add(self, *entries: Reply | Responder) -> None:
        """Queue replies; a function becomes the responder."""
        for entry in entries:
            if isinstance(entry, Reply):
                self._replies.append(entry)
            else:
                self._responder = entry

    def clear(self) -> None:
        """Forget everything that was arranged."""
        self._replies.clear()
        self._responder = None

    def next(self, body: Json) -> Reply | None:
        """The reply arranged for this request, if any."""
        if self._replies:
            return self._replies.popleft()
        return self._responder(body) if self._responder else None
