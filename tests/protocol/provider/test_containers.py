"""Containers: what an answer tells of one, how long it lives, which tools need one."""

from __future__ import annotations

import pytest

from protocol.provider.containers import LIFE, MARGIN, executes_code, lives, told_container
from protocol.records import Container

NOW = 1_800_000_000_000
KNOWN = Container(id="container_1", since=NOW - 5_000, idle_until=NOW - 1)


def test_a_container_that_is_told_of_again_is_as_old_as_it_was() -> None:
    """What it is told to last moves on."""
    told = {"id": "container_1", "expires_at": "2027-01-15T08:00:01Z", "skills": None}
    expected = Container(id="container_1", since=NOW - 5_000, idle_until=NOW + 1_000)
    assert told_container(told, KNOWN, NOW) == expected
    assert told_container(told, None, NOW) == Container(
        id="container_1", since=NOW, idle_until=NOW + 1_000
    )


def test_another_container_takes_the_place_of_the_one_before() -> None:
    """A time without a zone is the world's."""
    told = {"id": "container_2", "expires_at": "2027-01-15T08:00:01"}
    expected = Container(id="container_2", since=NOW, idle_until=NOW + 1_000)
    assert told_container(told, KNOWN, NOW) == expected


@pytest.mark.parametrize(
    "told", [None, {}, "container_2", {"id": 7}, {"id": ""}, {"id": "a b"}, {"id": "x" * 257}]
)
def test_what_tells_of_no_container_changes_nothing(told: object) -> None:
    """A later answer may leave it out, and the container is there still."""
    assert told_container(told, KNOWN, NOW) == KNOWN


@pytest.mark.parametrize("moment", [None, 7, "soon", "9999-12-31T23:59:59-23:59"])
def test_a_moment_that_is_none_is_now(moment: object) -> None:
    """The container is named all the same."""
    told = {"id": "container_2", "expires_at": moment}
    found = told_container(told, None, NOW)
    assert found is not None
    assert (found.id, found.since) == ("container_2", NOW)
    assert found.idle_until >= NOW


def test_a_container_lives_for_thirty_days_whatever_it_was_told_to() -> None:
    """And is left in time."""
    assert lives(KNOWN, NOW)
    assert lives(KNOWN, KNOWN.since + LIFE - MARGIN - 1)
    assert not lives(KNOWN, KNOWN.since + LIFE - MARGIN)


@pytest.mark.parametrize(
    ("kind", "executes"),
    [
        ("code_execution_20250825", True),
        ("web_search_20250305", False),
        ("web_search_20260209", True),
        ("web_fetch_20250910", False),
        ("web_fetch_20260318", True),
        ("custom", False),
    ],
)
def test_which_tools_execute_code(kind: str, executes: bool) -> None:
    """The newer ones of the web's do."""
    assert executes_code([{"name": "brew"}, {"type": kind, "name": "x"}]) is executes
