"""What an answer on any medium keeps of its turn."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from rich.console import RenderableType

from gateway.cli.views.ending import footer, left_out, sources
from protocol.server import AnyServerMessage, ChatStreamEnd, Source


class Notice(msgspec.Struct, frozen=True):
    """Something about the connection that a person should know."""

    text: str


Shown = AnyServerMessage | Notice


class Turn:
    """The model, the sources, when it began."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.model = ""
        self.sources: list[Source] = []
        self._clock = clock
        self._began = clock()

    @property
    def seconds(self) -> float:
        """Since it began."""
        return self._clock() - self._began

    def ending(self, end: ChatStreamEnd) -> list[RenderableType]:
        """What stands below the answer."""
        lines: list[RenderableType | None] = [
            sources(self.sources) if self.sources else None,
            left_out(end),
            footer(end, self.model, self.seconds),
        ]
        return [line for line in lines if line is not None]
