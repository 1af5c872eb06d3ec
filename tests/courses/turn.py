"""A turn of a session that is watched."""

from __future__ import annotations

from typing import NamedTuple

from tests.courses.bodies import Json
from tests.courses.provider import Exchange
from tests.support import Frame


class Turn(NamedTuple):
    """A turn: what the client heard, what the provider was asked, what was shown before."""

    frames: list[Frame]
    exchanges: list[Exchange]
    foreseen: Frame | None

    @property
    def end(self) -> Frame:
        """The terminal frame."""
        return self.frames[-1]

    @property
    def outcome(self) -> str:
        """Why it ended: a stop reason or an error's code."""
        return str(self.end.get("stopReason") or self.end["code"])

    @property
    def context(self) -> Frame:
        """What is told of the context at the end."""
        told: Frame = self.end.get("context", {})
        return told

    @property
    def body(self) -> Json:
        """The first request."""
        return self.exchanges[0].body

    @property
    def last_body(self) -> Json:
        """The last request."""
        return self.exchanges[-1].body

    def heard(self, kind: str) -> list[Frame]:
        """The frames of one type."""
        return [frame for frame in self.frames if frame["type"] == kind]
