"""`agentspace load`: turns for a gateway, as many as it is told, and what became of them."""

from __future__ import annotations

import math
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
import trio
from rich.live import Live

from agentspace.client.address import shown
from agentspace.client.local import Target
from agentspace.embed import GatewayFailed
from gateway.cli.console import can_draw, can_type, stderr, stdout
from gateway.cli.ending import innermost
from gateway.cli.exit_codes import FAILED
from gateway.cli.json_line import print_json
from gateway.cli.options import Stop, data_dir_option, json_option
from gateway.cli.running import run
from gateway.cli.target import find_target, tell_exposure
from gateway.cli.timespan import timespan
from gateway.cli.views.harmless import harmless
from gateway.cli.views.load import load_progress, load_report
from gateway.descriptors import EACH, connections_for
from gateway.load.asking import PLAIN, SIMULATED, Asking
from gateway.load.mix import BadMix, read_mix
from gateway.load.plan import LoadPlan
from gateway.load.recording import BadRecording, Recorded, read_recording
from gateway.load.report import LoadReport, report_of
from gateway.load.rig import RigFailed, open_rig
from gateway.load.run import LoadRun
from gateway.load.schedule import Schedule
from gateway.load.thresholds import BadThreshold, Threshold, read_threshold

DEFAULT_SECONDS: Final = 30.0
REDRAW_SECONDS: Final = 0.5


@click.command()
@click.option("--url", metavar="URL", help="Gateway to load; default: the one that runs.")
@click.option("--token", metavar="TEXT", help="Its token; AGENTSPACE_TOKEN is seen by fewer.")
@data_dir_option
@click.option("--simulate", is_flag=True, help="Start a simulator and a gateway for it.")
@click.option("--yes", is_flag=True, help="Do not ask, though a provider may cost money.")
@click.option(
    "--connections", type=click.IntRange(1, 100_000), default=50, help="Clients. Default: 50."
)
@click.option(
    "--rate",
    type=click.FloatRange(0, 100_000, min_open=True),
    default=5.0,
    help="Turns that arrive a second. Default: 5.",
)
@click.option(
    "--duration", type=timespan, metavar="TIME", help="How long, as 30s or 5m. Default: 30s."
)
@click.option("--count", type=click.IntRange(1), help="So many turns, instead or at most.")
@click.option(
    "--warmup", type=timespan, metavar="TIME", default="0s", help="Measure nothing for so long."
)
@click.option(
    "--arrivals",
    type=click.Choice(["even", "poisson"]),
    default="even",
    help="How turns arrive: evenly, or by chance.",
)
@click.option("--seed", type=int, help="Makes chance the same each time.")
@click.option("--mix", default="plain", help="As plain=8,tools=1,cancel=1,drop=1,slow=1.")
@click.option("--content", metavar="TEXT", help="What each turn asks.")
@click.option("--model", metavar="ID", help="Model to ask.")
@click.option("--max-tokens", type=click.IntRange(1), help="Longest answer.")
@click.option("--session-turns", type=click.IntRange(1), default=1, help="Turns of one session.")
@click.option(
    "--turn-timeout", type=timespan, metavar="TIME", default="120s", help="Longest turn: 120s."
)
@click.option("--record", type=click.Path(path_type=Path), help="Write what is sent to a file.")
@click.option("--play", type=click.Path(path_type=Path), help="Send what a file holds.")
@click.option("--fail-if", multiple=True, help="As 'first_delta.p99>200ms': then exit code 1.")
@click.option("--require-valid", is_flag=True, help="Fail if the load was the bottleneck.")
@json_option
def load(
    url: str | None,
    token: str | None,
    data_dir: Path | None,
    *,
    simulate: bool,
    yes: bool,
    fail_if: tuple[str, ...],
    require_valid: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Load a gateway with turns, and measure how it bears them.

    Turns arrive by the clock, and are measured from the moment at which they were to be sent.
    """
    if sys.platform == "win32":  # see gateway.load.hub
        raise Stop("a load needs Linux or macOS.")
    thresholds = _thresholds(fail_if)
    plan = _plan(options, simulated=simulate)
    target = None
    if simulate:
        if url or token or data_dir:
            raise Stop("--simulate starts a gateway of its own: leave out --url and the like.")
    else:
        target = find_target(url, data_dir, token).target
        tell_exposure(target)
        if not yes:
            _ask_leave(plan, target.url)
    report = run(partial(_hold, plan, target, thresholds))
    if as_json:
        print_json(report)
    else:
        stdout().print(load_report(harmless(report)))
    _end(report, require_valid=require_valid)


def _thresholds(lines: tuple[str, ...]) -> list[Threshold]:
    try:
        return [read_threshold(line) for line in lines]
    except BadThreshold as error:
        raise Stop(str(error)) from error


def _plan(options: dict[str, Any], *, simulated: bool) -> LoadPlan:
    """The load that the options mean. Raises Stop."""
    seconds, count = options["duration"], options["count"]
    if seconds is None and count is None:
        seconds = DEFAULT_SECONDS
    try:
        mix = read_mix(options["mix"])
        recorded = _recorded(options)
    except (BadMix, BadRecording) as error:
        raise Stop(str(error)) from error
    if EACH * connections_for(math.ceil(options["connections"] / EACH)) < options["connections"]:
        raise Stop("the system gives no file descriptors for so many connections (ulimit -n).")
    return LoadPlan(
        connections=options["connections"],
        schedule=Schedule(
            rate=options["rate"],
            seconds=seconds,
            count=count,
            arrivals=options["arrivals"],
            seed=options["seed"],
        ),
        asking=Asking(
            content=options["content"] or (SIMULATED if simulated else PLAIN),
            model=options["model"],
            max_tokens=options["max_tokens"],
        ),
        mix=mix,
        session_turns=options["session_turns"],
        warmup_seconds=options["warmup"],
        turn_seconds=options["turn_timeout"],
        recorded=recorded,
        record_to=options["record"],
    )


def _recorded(options: dict[str, Any]) -> list[Recorded]:
    if options["play"] is None:
        return []
    if options["record"] is not None:
        raise BadRecording("give --play or --record: what is played is recorded already.")
    return read_recording(options["play"])


def _ask_leave(plan: LoadPlan, url: str) -> None:
    """Nothing tells whether a gateway's provider is a simulator: so a person must know."""
    played = sum(line.message["type"] == "chat.send" for line in plan.recorded)
    turns = played if plan.recorded else sum(1 for _ in plan.schedule.moments())
    costs = f"{shown(url)} may ask a real provider, so {turns:,} turns cost money"
    if not can_type():
        raise Stop(f"{costs}: give --yes, or --simulate for a load that costs nothing.")
    click.confirm(f"{costs}. Go on?", abort=True, err=True)


async def _hold(plan: LoadPlan, target: Target | None, thresholds: list[Threshold]) -> LoadReport:
    try:
        async with _target(target) as found:
            one = LoadRun(plan, found)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_interrupt_when_told, one)
                if can_draw(stderr()):
                    nursery.start_soon(_draw, one)
                await one.run()
                nursery.cancel_scope.cancel()
            return report_of(one, thresholds)
    except (BaseExceptionGroup, GatewayFailed, RigFailed) as error:
        reason = innermost(error)
        if isinstance(reason, GatewayFailed | RigFailed | BadRecording):
            raise Stop(f"{str(reason).rstrip('.')}.", FAILED) from error
        raise


@asynccontextmanager
async def _target(given: Target | None) -> AsyncIterator[Target]:
    if given is not None:
        yield given
        return
    async with open_rig() as target:
        yield target


async def _interrupt_when_told(one: LoadRun) -> None:
    """The first Ctrl-C ends the load, and there is a report; the second ends everything."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            if one.is_interrupted:
                raise KeyboardInterrupt
            one.interrupt()


async def _draw(one: LoadRun) -> None:
    with Live(console=stderr(), auto_refresh=False, transient=True) as live:
        while True:
            live.update(load_progress(one), refresh=True)
            await trio.sleep(REDRAW_SECONDS)


def _end(report: LoadReport, *, require_valid: bool) -> None:
    """The exit code, and on stderr why it is not 0."""
    if report.interrupted:
        raise click.Abort
    failed = [judged.expression for judged in report.thresholds if judged.failed]
    if failed:
        raise _missed(f"beyond what was allowed: {', '.join(failed)}.")
    if require_valid and not report.valid:
        raise _missed(f"the figures are not valid: {'; '.join(report.own.reasons)}.")
    if not report.turns.total.finished + report.turns.total.cancelled:
        raise _missed("no turn came to its end.")


def _missed(why: str) -> Stop:
    """The report is there all the same."""
    return Stop(why, FAILED, answered=True)
