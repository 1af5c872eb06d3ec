"""What has been arranged for the next requests: replies in a queue, or a function that decides."""

from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from gateway.simulator.reply import Json, Reply

Responder: TypeAlias = Callable[[Json], Reply | None]
"""Given a request's body, the reply; None leaves the request to the simulator."""


class Script:
    """Replies are used once each, in order; then the responders are asked, the latest first."""

    def __init__(self) -> None:
        self._replies: deque[Reply] = deque()
        self._responders: deque[Responder] = deque()

    def add(self, *entries: Reply | Responder) -> None:
        """Queue replies; a function is asked before those that were added earlier."""
        for entry in entries:
            if isinstance(entry, Reply):
                self._replies.append(entry)
            else:
                self._responders.appendleft(entry)

    def next(self, body: Json) -> Reply | None:
        """The reply arranged for this request, if any."""
        if self._replies:
            return self._replies.popleft()
        answers = (responder(body) for responder in self._responders)
        return next((reply for reply in answers if reply is not None), None)
