"""The stream in flight of a connection."""

from __future__ import annotations

from actors.turn_log import Cursor


class Watch:
    """A turn, as one connection sees it."""

    __slots__ = ("cancel_when_gone", "cursor", "request_id")

    def __init__(self, cursor: Cursor, request_id: str, *, cancel_when_gone: bool) -> None:
        self.cursor = cursor
        self.request_id = request_id
        self.cancel_when_gone = cancel_when_gone

    @property
    def turn_id(self) -> str:
        """The turn that is watched."""
        return self.cursor.log.turn_id
