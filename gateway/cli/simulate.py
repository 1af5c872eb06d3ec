"""`agentspace simulate`: a Messages API on loopback that costs nothing."""

from __future__ import annotations

import signal
import sys

import click
import msgspec
import trio

from gateway.cli.ending import innermost
from gateway.cli.logs import start_logging
from gateway.cli.options import Stop
from gateway.cli.parent import wait_for_eof
from gateway.cli.running import run
from gateway.simulator import FAULTS, Simulator, SimulatorSettings, run_simulator
from gateway.simulator.directives import listing


class SimulatorReady(msgspec.Struct, frozen=True, tag="simulator.ready"):
    """The one line on stdout."""

    url: str


class _WithDirectives(click.Command):
    """Its help ends with what may be asked of the simulator, made of the tables in force."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section(
            "Directives, written as [[sim: key=value …]] in the text of the last message"
        ):
            formatter.write_dl(listing())
        with formatter.section("Kinds of faults"):
            formatter.write_dl(list(FAULTS.items()))


@click.command(cls=_WithDirectives)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=3280,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="Deltas a second; 0 is as fast as it goes.",
)
@click.option("--seed", type=int, help="Makes ids come out the same each time.")
@click.option("--stop-on-stdin-eof", is_flag=True, help="End when stdin does: the parent is gone.")
def simulate(
    host: str, port: int, rate: float, seed: int | None, *, stop_on_stdin_eof: bool
) -> None:
    """Serve a simulated Messages API on loopback.

    Point a gateway at it: agentspace serve --anthropic-base-url URL. What it answers can be
    directed from the text of a message.
    """
    start_logging("warning", "text")

    async def serve() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_stop_on_signals, nursery.cancel_scope)
            if stop_on_stdin_eof:
                nursery.start_soon(_stop_at_eof, nursery.cancel_scope)
            await run_simulator(
                host, port, settings=SimulatorSettings(rate=rate), seed=seed, on_ready=_announce
            )

    try:
        run(serve)
    except (OSError, ExceptionGroup) as error:
        reason = innermost(error)
        if not isinstance(reason, OSError):
            raise
        raise Stop(
            f"cannot listen on {host} port {port}: {reason.strerror or reason}. Choose others with "
            "--host and --port; port 0 takes a free one."
        ) from error


async def _stop_on_signals(scope: trio.CancelScope) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()


async def _stop_at_eof(scope: trio.CancelScope) -> None:
    await wait_for_eof()
    scope.cancel()


def _announce(simulator: Simulator) -> None:
    sys.stdout.write(msgspec.json.encode(SimulatorReady(url=simulator.url)).decode() + "\n")
    sys.stdout.flush()
