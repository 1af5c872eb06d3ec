"""Connections between two requests."""

from __future__ import annotations

from collections import deque

import trio

from gateway.anthropic.http1.connection import ProviderConnection

MOST_IDLE = 256
"""Connections that are kept."""

IDLE_SECONDS = 55.0
"""A connection is kept so long: many servers and balancers close it after a minute."""


class IdleConnections:
    """Those that wait for a request, the last used at the end: it is the first to be taken.

    Taking and keeping one costs the same however many there are; those that are too old, or that
    the provider has closed, are closed when they are come across.
    """

    def __init__(self) -> None:
        self._idle: deque[tuple[float, ProviderConnection]] = deque()

    def __len__(self) -> int:
        return len(self._idle)

    def take(self) -> ProviderConnection | None:
        """A connection that stands, as far as can be seen; `None` if there is none."""
        oldest = trio.current_time() - IDLE_SECONDS
        while self._idle:
            since, connection = self._idle.pop()
            if since >= oldest and connection.is_quiet():
                return connection
            connection.close()
        return None

    def keep(self, connection: ProviderConnection) -> None:
        """Keep `connection`; the oldest one goes if there are too many."""
        self._idle.append((trio.current_time(), connection))
        if len(self._idle) > MOST_IDLE:
            self._idle.popleft()[1].close()

    def close(self) -> None:
        """Close all of them."""
        while self._idle:
            self._idle.pop()[1].close()
