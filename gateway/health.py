"""What a probe is told: whether the process serves, and whether it takes new work.

A probe has no token and a Host of its own making, the address of a container, say, or none. So no
header of it is read, and it is told nothing but a word. That a gateway is full is no reason to end
it: `/healthz` never fails while requests are answered at all (report: openshift/origin 13273).
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final, Literal, Protocol

import msgspec
import trio

from gateway.http_reply import JSON, HttpReply

Probe = Literal["/healthz", "/readyz"]
PROBES: Final[dict[bytes, Probe]] = {b"/healthz": "/healthz", b"/readyz": "/readyz"}
_REQUEST_LINE: Final = re.compile(
    rb"(?:GET|HEAD) (/healthz|/readyz)(?:\?[!-~]*)? HTTP/1\.[01]\r?\n"
)

TRIAL_SECONDS: Final = 1.0
"""How long one trial of the ledger may take, and the least time from one to the next."""


class TriedLedger(Protocol):
    """What is asked of the ledger."""

    @property
    def is_well(self) -> bool:
        """Whether the last write could be made."""

    async def try_to_write(self) -> None:
        """Make a small write, from which `is_well` learns. Never fails for want of room."""


class Readiness:
    """Whether the ledger can be written, as its last write has told.

    A ledger that could not be written is tried again when somebody asks: were the gateway taken out
    of service, no other write would ever come. However many ask, there is one trial at a time.
    """

    def __init__(self, ledger: TriedLedger) -> None:
        self._ledger = ledger
        self._next_trial = -float("inf")

    async def can_write(self) -> bool:
        """Whether new work can be written down."""
        now = trio.current_time()
        if not self._ledger.is_well and now >= self._next_trial:
            self._next_trial = now + TRIAL_SECONDS
            with trio.move_on_after(TRIAL_SECONDS):
                await self._ledger.try_to_write()
        return self._ledger.is_well


def probe_of(head: bytes) -> Probe | None:
    """Which probe a request is, if it is one; its request line alone says so."""
    found = _REQUEST_LINE.match(head)
    return None if found is None else PROBES[found[1]]


def healthy() -> HttpReply:
    """The process serves."""
    return _told(HTTPStatus.OK, "ok")


def ready(*, is_draining: bool, can_write: bool) -> HttpReply:
    """Whether new work is taken, and why not."""
    if is_draining:
        return _told(HTTPStatus.SERVICE_UNAVAILABLE, "draining")
    if not can_write:
        return _told(HTTPStatus.SERVICE_UNAVAILABLE, "ledger")
    return _told(HTTPStatus.OK, "ok")


def _told(status: HTTPStatus, word: str) -> HttpReply:
    return HttpReply(status=status, body=msgspec.json.encode({"status": word}), kind=JSON)
