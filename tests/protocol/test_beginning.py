"""May a turn begin? Every combination is held to the table that the module publishes."""

from __future__ import annotations

import pytest

from protocol import beginning
from protocol.beginning import Found, judge

VERSION = 7
"""What the turn was built on."""

# Whether the session is new, and its stored version: what the table says of session and version.
SESSIONS = {
    (False, None): ("is not there", "other"),
    (False, VERSION): ("is there, or new", "same"),
    (False, VERSION + 1): ("is there, or new", "other"),
    (False, VERSION - 1): ("is there, or new", "other"),
    (True, None): ("is there, or new", "same"),
    (True, VERSION): ("is there, or new", "other"),
    (True, 0): ("is there, or new", "other"),
}
SAME_REQUESTS = {None: "has had none", "turn_same": "has had a turn"}
OPEN_TURNS = {None: "there is none", "turn_open": "there is one"}


def table() -> list[list[str]]:
    """The lines of the table, each as its cells."""
    lines = [line for line in (beginning.__doc__ or "").splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def line_for(*cells: str) -> int:
    """Which line is the first that fits."""
    for number, (*pattern, _) in enumerate(table()):
        if all(wanted in ("any", cell) for wanted, cell in zip(pattern, cells, strict=True)):
            return number
    pytest.fail(f"the table has no line for {cells}")


def expected(*cells: str) -> str:
    """The outcome of that line."""
    return table()[line_for(*cells)][-1]


@pytest.mark.parametrize("open_turn", OPEN_TURNS)
@pytest.mark.parametrize("same_request", SAME_REQUESTS)
@pytest.mark.parametrize(("is_new", "stored"), SESSIONS)
def test_every_combination_comes_out_as_the_table_says(
    is_new: bool, stored: int | None, same_request: str | None, open_turn: str | None
) -> None:
    """With the turn that stands in the way, if one does."""
    session, version = SESSIONS[is_new, stored]
    outcome = expected(session, SAME_REQUESTS[same_request], OPEN_TURNS[open_turn], version)
    found = Found(version=stored, same_request=same_request, open_turn=open_turn)
    in_the_way = {"known": same_request, "busy": open_turn}.get(outcome)
    begun = judge(found, is_new=is_new, version=VERSION)
    assert (begun.outcome, begun.turn_id) == (outcome, in_the_way)


def test_every_line_of_the_table_is_met() -> None:
    """None is hidden by those above it."""
    met = {
        line_for(session, SAME_REQUESTS[same], OPEN_TURNS[other], version)
        for session, version in SESSIONS.values()
        for same in SAME_REQUESTS
        for other in OPEN_TURNS
    }
    assert met == set(range(len(table())))
