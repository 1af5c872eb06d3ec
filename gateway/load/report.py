"""What a load has found, for people and for programs."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from agentspace.client.address import shown
from gateway.load.histogram import Percentiles
from gateway.load.mix import TurnKind
from gateway.load.run import LoadRun
from gateway.load.schedule import Schedule
from gateway.load.strain import Strain
from gateway.load.tally import KindTally, LoadTally
from gateway.load.thresholds import Threshold, ThresholdReport


class KindReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Turns of one kind, or of all.

    `admitted` have begun at the gateway, which has a row for each. Each that was sent has
    `finished`, was `cancelled`, or `failed`, unless the load ended before.
    """

    sent: int
    admitted: int
    finished: int
    cancelled: int
    failed: int


class TurnsReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All turns. Of those that were `scheduled`, `warmup` are not in the durations.

    `unsent` never left: no client was free, or what a recording needs never came. `unfinished` were
    in flight when the load ended.
    """

    scheduled: int
    warmup: int
    unsent: int
    unfinished: int
    total: KindReport
    kinds: dict[str, KindReport]


class FlowReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What has come: frames, pieces of text, characters of it, bytes without the frames' heads."""

    frames: int
    deltas: int
    characters: int
    bytes: int
    deltas_per_second: float
    tool_calls: int
    draining: int


class BillReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the turns were billed, as far as they were told; USD."""

    total_tokens: int
    total_cost: Decimal


class LoadReport(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag_field="type", tag="load.report"
):
    """All of it; durations in milliseconds, by the names of `gateway.load.tally.DURATIONS`.

    `connections`, `schedule` and `mix` are what the load was to be; its times are in seconds.
    `own` is how busy the load itself was, and `valid` whether it was not the bottleneck.
    """

    url: str
    connections: int
    schedule: Schedule
    mix: dict[TurnKind, float]
    seconds: float
    interrupted: bool
    valid: bool
    turns: TurnsReport
    errors: dict[str, int]
    durations: dict[str, Percentiles]
    flow: FlowReport
    billed: BillReport
    own: Strain
    thresholds: list[ThresholdReport]


def report_of(run: LoadRun, thresholds: list[Threshold]) -> LoadReport:
    """The report of a load that has ended, or of what of it has run."""
    tally, own = run.tally, run.watch.strain()
    return LoadReport(
        url=shown(run.url),
        connections=run.plan.connections,
        schedule=run.plan.schedule,
        mix=run.plan.mix.weights,
        seconds=round(run.watch.seconds, 3),
        interrupted=run.is_interrupted,
        valid=not own.reasons,
        turns=_turns(tally),
        errors=dict(tally.errors.most_common()),
        durations={name: one.percentiles() for name, one in tally.durations.items() if one.count},
        flow=_flow(tally, run.watch.seconds),
        billed=BillReport(total_tokens=tally.total_tokens, total_cost=tally.total_cost),
        own=own,
        thresholds=[threshold.judge(tally, run.watch) for threshold in thresholds],
    )


def _turns(tally: LoadTally) -> TurnsReport:
    total = {what: tally.total(what) for what in KindReport.__struct_fields__}
    return TurnsReport(
        scheduled=tally.scheduled,
        warmup=tally.warmup,
        unsent=tally.unsent,
        unfinished=tally.unfinished,
        total=KindReport(**total),
        kinds={kind: _kind(counts) for kind, counts in tally.kinds.items() if counts.sent},
    )


def _kind(counts: KindTally) -> KindReport:
    return KindReport(**{what: getattr(counts, what) for what in KindReport.__struct_fields__})


def _flow(tally: LoadTally, seconds: float) -> FlowReport:
    return FlowReport(
        frames=tally.frames,
        deltas=tally.deltas,
        characters=tally.characters,
        bytes=tally.received_bytes,
        deltas_per_second=round(tally.deltas / seconds, 1) if seconds else 0.0,
        tool_calls=tally.tool_calls,
        draining=tally.draining,
    )
