"""The benchmark: its arithmetic, its counts, and that what is measured answers."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from scripts.benchmark.client import CLIENTS, BrokenTarget, Crowd, MsgpackClient, WebSocketClient
from scripts.benchmark.command import notes_on
from scripts.benchmark.figure import Column, Figure, Goal, Measured, Order
from scripts.benchmark.figures.all import FIGURES
from scripts.benchmark.installed import MissingTarget
from scripts.benchmark.machine import Busy, Machine, processor, this_machine
from scripts.benchmark.page import (
    NoMarks,
    markdown_table,
    merged,
    panels_of,
    results_text,
    with_results,
)
from scripts.benchmark.quick import LIMITS, VERSION, excesses, limits, renew
from scripts.benchmark.results import Results, median_of, ratio_of, verdicts
from scripts.benchmark.rounds import Sample, saturated
from scripts.benchmark.sampled import part_of
from scripts.benchmark.statistic import percentile
from scripts.benchmark.tables import figure_table, goal_table
from scripts.benchmark.targets import TARGETS, USUAL, running, start_simulator

ROOT = Path(__file__).parent.parent


def nothing(_: Order) -> Measured:
    raise AssertionError("nothing is measured here")


FIGURE = Figure(
    name="delta",
    title="CPU of a delta",
    columns=(Column("cpu", "us"), Column("frames", "frames", 2)),
    goals=(
        Goal("cpu", 1.5, over="relay"),
        Goal("cpu", 100.0),
        Goal("frames", 0.9, at_least=True),
        Goal("cpu", 2.0, over="node"),
    ),
    targets=("relay", "gateway", "node"),
    measure=nothing,
)


def sample(target: str, number: int, cpu: float, frames: float = 1.0, share: float = 0.5) -> Sample:
    return Sample(
        figure="delta",
        target=target,
        round=number,
        measured=Measured({"cpu": cpu, "frames": frames}, {"target": share, "load": 0.1}),
    )


# A machine that became twice as slow after the first round.
SAMPLES = [
    sample("relay", 0, 50.0),
    sample("gateway", 0, 60.0),
    sample("relay", 1, 100.0),
    sample("gateway", 1, 120.0),
    sample("relay", 2, 110.0),
    sample("gateway", 2, 154.0),
]
MACHINE = Machine(2, "Some processor", 8.0, "CPython 3.11.2", "Linux 6.1", 0.25)


def test_a_value_is_the_median_of_its_rounds() -> None:
    """Of a column and a target that were measured."""
    assert median_of(SAMPLES, "delta", "relay", "cpu") == 100.0
    assert median_of(SAMPLES, "delta", "node", "cpu") is None
    assert median_of(SAMPLES, "turn", "relay", "cpu") is None


def test_a_ratio_is_taken_within_its_round() -> None:
    """So that a machine that slows down changes nothing: the ratio of the medians would be 1.2."""
    samples = [*SAMPLES[:4], sample("relay", 2, 30.0), sample("gateway", 2, 120.0)]
    assert ratio_of(samples, "delta", "cpu", "relay") == pytest.approx(1.2)
    assert ratio_of(SAMPLES, "delta", "cpu", "node") is None


def test_a_round_in_which_one_was_not_measured_has_no_ratio() -> None:
    """The other rounds still have."""
    failed = Sample(figure="delta", target="relay", round=0, failure="it has ended")
    assert ratio_of([failed, *SAMPLES[1:4]], "delta", "cpu", "relay") == pytest.approx(1.2)


def test_each_goal_is_judged_by_what_was_measured() -> None:
    """A ratio, a value, a least value; where there is nothing to compare with, no word."""
    judged = [(one.value, one.met) for one in verdicts(SAMPLES, FIGURE)]
    assert judged == [(pytest.approx(1.2), True), (120.0, False), (1.0, True)]


def test_the_tables_show_what_was_measured_and_what_it_is_to_be() -> None:
    """In the decimals of each column; what was not measured has no row."""
    assert figure_table(SAMPLES, FIGURE) == [
        ["CPU of a delta", "us", "frames"],
        ["trio byte relay", "100.0", "1.00"],
        ["this gateway", "120.0", "1.00"],
    ]
    assert goal_table(SAMPLES, [FIGURE])[1:3] == [
        ["CPU of a delta, us over trio byte relay", "1.20", "at most 1.5", "met"],
        ["CPU of a delta, us", "120.0", "at most 100", "missed"],
    ]


def test_a_process_without_cpu_to_spare_is_named() -> None:
    """The target's, and the load's beside it."""
    busy = Sample(
        figure="delta",
        target="node",
        round=0,
        measured=Measured({}, {"target": 0.95, "load": 0.97, "provider": 0.3}),
    )
    assert saturated([*SAMPLES, busy]) == ["node", "node's load"]


def test_a_percentile_is_a_value_that_was_measured() -> None:
    """The least that so many do not exceed."""
    values = [float(number) for number in range(100, 0, -1)]
    assert (percentile(values, 50), percentile(values, 99)) == (50.0, 99.0)
    assert percentile([7.0], 99) == 7.0
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_the_machine_is_described_in_one_line() -> None:
    """What a figure depends on besides the code."""
    assert MACHINE.line() == (
        "2 cores (Some processor), 8 GB, CPython 3.11.2, Linux 6.1, load before: 0.25"
    )
    here = this_machine()
    assert here.cores >= 1
    assert here.memory_gb > 0
    assert here.python.endswith(f"{VERSION}.{sys.version_info.micro}")


def test_what_others_do_meanwhile_is_told() -> None:
    """As a share of a core; what this process does is not theirs."""
    busy, limit = Busy(), time.process_time() + 0.2
    while time.process_time() < limit:
        pass
    assert 0 <= busy.others() <= this_machine().cores
    calm = Machine(2, "Some processor", 8.0, "CPython 3.11.2", "Linux 6.1", 0.0)
    failed = Sample(figure="delta", target="node", round=0, failure="Node: there is none")
    notes = notes_on(MACHINE, busy, [failed, failed, sample("relay", 0, 50.0, share=0.99)])
    assert notes[-2:] == ["delta: relay used up its core.", "delta: Node: there is none"]
    assert "The machine was busy before: load 0.90." not in notes_on(calm, busy, [])
    busier = Machine(2, "Some processor", 8.0, "CPython 3.11.2", "Linux 6.1", 0.9)
    assert notes_on(busier, busy, [])[0] == "The machine was busy before: load 0.90."


def test_the_processor_is_what_the_system_calls_it() -> None:
    """Or its architecture, where the system has no name for it."""
    assert processor("processor\t: 0\nmodel name\t: AMD EPYC 9\nflags\t: fpu\n") == "AMD EPYC 9"
    assert processor("processor\t: 0\nCPU part\t: 0xd0c\n")


def test_results_stand_between_the_marks_of_a_page() -> None:
    """What was there goes, and what stands around it stays."""
    page = "# Title\n<!-- results:begin -->\nold\n<!-- results:end -->\nThe end.\n"
    written = with_results(page, "new")
    assert "old" not in written
    assert written.startswith("# Title\n")
    assert written.endswith("The end.\n")
    assert with_results(written, "new") == written
    with pytest.raises(NoMarks):
        with_results("# Title\n", "new")


def test_a_page_has_the_machine_the_tables_and_what_was_noticed() -> None:
    """As Markdown."""
    text = results_text(Results(MACHINE, SAMPLES, ["The machine was busy."]), [FIGURE])
    assert "Some processor" in text
    assert "Medians of up to 3 rounds." in text
    assert "| this gateway | 120.0 | 1.00 |" in text
    assert text.endswith("- The machine was busy.")
    assert markdown_table([["a|b", "c"], ["d", "1"]]).startswith("| a\\|b | c |\n| --- | ---: |")


def test_a_page_can_be_renewed_in_parts() -> None:
    """What was not measured now stays, with what was noticed on it; the rest is replaced."""
    turn = Sample(figure="turn", target="gateway", round=0, measured=Measured({"cpu": 3.0}, {}))
    old = Results(MACHINE, [turn, sample("relay", 0, 1.0)], ["turn: a", "delta: b", "Busy."])
    both = merged(old, Results(MACHINE, SAMPLES, ["delta: c"]))
    assert both.samples == [turn, *SAMPLES]
    assert both.notes == ["turn: a", "delta: c"]


def test_ours_is_marked_in_the_plot() -> None:
    """And who was not measured has no bar."""
    (panel,) = panels_of(Results(MACHINE, SAMPLES, []), [FIGURE])
    assert panel["bars"] == [["trio byte relay", 100.0, False], ["this gateway", 120.0, True]]


def test_every_figure_has_the_columns_that_its_goals_name() -> None:
    """And its targets exist."""
    for figure in FIGURES.values():
        assert {goal.column for goal in figure.goals} <= {column.key for column in figure.columns}
        assert set(figure.targets) <= set(TARGETS)
        assert {goal.over for goal in figure.goals} <= {None, *figure.targets}


def test_a_sample_belongs_to_the_first_part_that_fits() -> None:
    """By the source file's place."""
    assert part_of("/lib/site-packages/trio/_core/_run.py") == "trio: tasks, epoll"
    assert part_of("/lib/site-packages/trio/_socket.py") == "trio: sockets"
    assert part_of(str(ROOT / "gateway" / "anthropic" / "sse.py")) == "the provider's stream"
    assert part_of("<string>") == "other"


@pytest.mark.parametrize("name", USUAL)
def test_each_target_answers_a_turn(name: str) -> None:
    """All of the deltas, and the end; twice on one connection."""
    target = TARGETS[name]
    with ExitStack() as stack:
        provider = stack.enter_context(start_simulator())
        try:
            process = stack.enter_context(running(target, provider.port))
        except MissingTarget as missing:
            pytest.skip(f"{target.title}: {missing}")
        client = CLIENTS[target.dialect](process.port)
        crowd = Crowd()
        crowd.join(client)
        for _ in range(2):
            client.ask("[[sim: count=5 chars=30 rate=50]] What is a mailbox?")
            crowd.read_until(lambda: client.ended, 20)
            assert 1 <= client.deltas <= 5
            assert 0 < client.first_at - client.asked_at < client.ended_at - client.asked_at
        if target.dialect == "gateway":
            _cancels_and_speaks_msgpack(process.port)
        crowd.close()


def _cancels_and_speaks_msgpack(port: int) -> None:
    """What the load needs of the gateway besides."""
    client = MsgpackClient(port)
    crowd = Crowd()
    crowd.join(client)
    client.ask("[[sim: count=500 chars=30 rate=50]] What is a mailbox?")
    crowd.read_until(lambda: client.deltas > 1, 20)
    client.cancel()
    crowd.read_until(lambda: client.ended, 20)
    crowd.close()


def test_a_target_that_hangs_up_is_no_figure() -> None:
    """The load says so, rather than wait."""
    with start_simulator() as provider, pytest.raises(BrokenTarget, match="handshake"):
        WebSocketClient(provider.port)


def test_a_count_may_exceed_its_limit_by_the_margin() -> None:
    """Not by more; a count without a limit is not judged."""
    assert excesses({"calls": 104.0, "new": 9.0}, {"calls": 100.0}) == []
    (excess,) = excesses({"calls": 106.0}, {"calls": 100.0})
    assert str(excess) == "calls: 106.0, where 100.0 is the limit"


def test_limits_are_kept_for_each_version_of_python(tmp_path: Path) -> None:
    """Taking down those of this one leaves the others alone."""
    file = tmp_path / "limits.json"
    file.write_text(json.dumps({"2.7": {"calls": 1.0}}))
    renew({"calls": 10.123}, file)
    assert limits(file) == {"2.7": {"calls": 1.0}, VERSION: {"calls": 10.12}}


def test_the_counts_fail_when_they_exceed_a_limit(tmp_path: Path) -> None:
    """And say which it was, and how the limits are renewed; the stored ones are kept to."""
    stored = limits(LIMITS).get(VERSION)
    if stored is None:
        pytest.skip(f"no counts of Python {VERSION} were taken down")
    lowered = tmp_path / "limits.json"
    name = "Python calls a delta"
    lowered.write_text(json.dumps({VERSION: stored | {name: stored[name] / 3}}))
    ended = subprocess.run(
        [sys.executable, "scripts/bench", "--quick", "--limits", lowered],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert ended.stderr.startswith(f"{name}: ")
    assert "--renew" in ended.stderr
