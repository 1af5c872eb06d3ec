"""The gateway's figures, read from its state when somebody asks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import UNSET

from actors.context.context import Context
from actors.mailbox import Address
from actors.ports import Model
from actors.turn_log import TurnLogs
from actors.turns.llm import Llm
from gateway import __version__
from gateway.ledger.ledger import Ledger
from gateway.server import Server
from protocol.server import GatewayStatusReport, MailboxDepth

_PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")


class GatewayCensus:
    """`actors.ports.Census`; the parts are given when all of them exist."""

    def __init__(
        self,
        *,
        server: Callable[[], Server],
        llm: Llm,
        context: Context,
        logs: TurnLogs,
        model: Model,
        ledger: Ledger,
        mailboxes: list[Address],
    ) -> None:
        self._server = server
        self._llm = llm
        self._context = context
        self._logs = logs
        self._model = model
        self._ledger = ledger
        self._mailboxes = mailboxes
        self._began = time.monotonic()

    def report(self, request_id: str) -> GatewayStatusReport:
        """The figures now."""
        server = self._server()
        detached = self._logs.detached
        return GatewayStatusReport(
            request_id=request_id,
            version=__version__,
            uptime_seconds=round(time.monotonic() - self._began, 3),
            connections=server.connections,
            turns=self._llm.states,
            upstream_streams=self._model.open_streams,
            logs=len(self._logs),
            log_bytes=self._logs.size,
            detached_logs=len(detached),
            detached_log_bytes=sum(log.size for log in detached),
            provider_pings=self._llm.pings,
            longest_silence_seconds=round(self._llm.longest_silence, 3),
            mailboxes=self._depths(server),
            ledger=self._ledger.health,
            ledger_queue=self._ledger.waiting,
            open_rows=self._context.open_rows,
            oldest_open_row_seconds=self._context.oldest_open_seconds,
            memory_bytes=resident_bytes(),
            draining=server.draining,
            tools_left_out=self._context.tools_left_out or UNSET,
        )

    def _depths(self, server: Server) -> dict[str, MailboxDepth]:
        boxes = {box.name: box for box in self._mailboxes}
        deepest = server.deepest_mailbox
        if deepest is not None:
            boxes["connections"] = deepest
        return {
            name: MailboxDepth(waiting=box.waiting, size=box.size) for name, box in boxes.items()
        }


def resident_bytes() -> int:
    """The process's resident memory; 0 where the system does not tell it."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_SIZE
    except OSError:
        return 0
