"""`agentspace serve`: the gateway as a process.

One line on stdout once it can serve; nothing else ever goes there. SIGTERM, SIGINT, SIGHUP and,
when asked for, the end of stdin drain it; a second SIGTERM or SIGINT ends it at once.
"""

from __future__ import annotations

import gc
import logging
import signal
import sys
from collections.abc import Callable
from typing import Final

import click
import msgspec
import trio

from gateway.app import Gateway
from gateway.cli.ending import innermost, known_ending
from gateway.cli.logs import start_logging
from gateway.cli.options import Stop, configuration_of
from gateway.cli.parent import wait_for_eof
from gateway.cli.setting_options import SettingsCommand, setting_options
from gateway.config import Settings
from gateway.presence import Presence
from gateway.systemd import tell_manager
from gateway.vault import Vault
from protocol.errors import ExitCode

log = logging.getLogger(__name__)


SWITCH_SECONDS = 0.0005
"""How long the loop's thread may keep the interpreter while the ledger's wants it. The default of
5 ms is paid at every statement of every commit once the loop is busy."""


ENDING: Final = (signal.SIGTERM, signal.SIGINT)
"""The signals of which a second one ends at once."""


GC_THRESHOLDS = (20_000, 20, 50)
"""Streams make many short-lived objects and few cycles; the default looks for these every 700."""


@setting_options
@click.command(cls=SettingsCommand)
def serve(**flags: object) -> None:
    """Serve clients over WebSocket.

    A setting is its flag, else its variable, else what config.toml says of its name (with _ for
    each -), else the default. `agentspace config show` tells which are in force.
    """
    configuration = configuration_of(flags)
    settings = configuration.settings
    start_logging(settings.log_level, settings.log_format)
    for note in configuration.notes:
        log.warning("%s", note)
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        code = trio.run(run_gateway, settings)
    except BaseException as error:
        raise _ending_of(error) from error  # noqa: ASYNC104 - outside of trio
    raise SystemExit(code)


def _ending_of(error: BaseException) -> BaseException:
    if known := known_ending(innermost(error)):
        return known
    log.critical("the gateway ends by a mistake of its own", exc_info=error)
    return Stop("the gateway made a mistake and ends; its log says more.", ExitCode.BUG)


async def run_gateway(settings: Settings) -> int:
    """Serve until told to stop; the exit code."""
    gateway = Gateway(settings, Vault(settings.api_key_file))
    code = 0

    def stop() -> None:
        tell_manager("STOPPING=1", "STATUS=Draining.")
        gateway.stop()

    async with trio.open_nursery() as nursery:

        async def stop_on_signals() -> None:
            nonlocal code
            with trio.open_signal_receiver(*_signals()) as signals:
                async for _ in signals:
                    stop()
                    break
                async for number in signals:
                    if number in ENDING:  # a hangup comes more than once
                        code = 128 + number
                        break
            nursery.cancel_scope.cancel()

        async def serve_and_leave() -> None:
            with Presence(settings.data_dir) as presence:
                await gateway.run(task_status=_Announce(presence))
            nursery.cancel_scope.cancel()

        nursery.start_soon(stop_on_signals)
        nursery.start_soon(_settle_memory, gateway)
        if settings.stop_on_stdin_eof:
            nursery.start_soon(_stop_at_eof, stop)
        nursery.start_soon(serve_and_leave)
    return code


def _signals() -> list[signal.Signals]:
    """The signals that drain. Under nohup a hangup is ignored from the start, and stays so."""
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is None or signal.getsignal(hangup) is signal.SIG_IGN:
        return [*ENDING]
    return [*ENDING, hangup]


class _Announce(trio.TaskStatus[str]):
    """When the gateway can serve, its data folder says so first, and the ready line then."""

    def __init__(self, presence: Presence) -> None:
        self._presence = presence

    def started(self, value: str | None = None) -> None:
        assert value is not None
        ready = self._presence.show(value)
        sys.stdout.write(msgspec.json.encode(ready).decode() + "\n")
        sys.stdout.flush()
        tell_manager("READY=1", f"STATUS=Serving at {value}")


async def _settle_memory(gateway: Gateway) -> None:
    """What is loaded stays: the collector looks at it neither meanwhile nor with every delta.

    It does not look for garbage first: that would hold the loop for 0.1 s, and there is little.
    """
    gc.disable()
    await gateway.loaded.wait()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    gc.enable()


async def _stop_at_eof(stop: Callable[[], None]) -> None:
    await wait_for_eof()
    stop()
