"""When memory is given back."""

from __future__ import annotations

import gc
import sys

import pytest

from gateway.footprint import MANY, PART, Footprint


@pytest.fixture
def collections(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by one with each collection, none of which is made."""
    made: list[str] = []
    monkeypatch.setattr(gc, "collect", lambda: made.append("collected"))
    return made


def noted(*clients: int) -> Footprint:
    """A footprint that has been told so."""
    footprint = Footprint()
    for count in clients:
        footprint.note(count)
    return footprint


def test_it_is_given_back_when_nearly_all_have_gone(collections: list[str]) -> None:
    """Not before, and once."""
    footprint = noted(40 * PART, 41)
    assert len(collections) == 0
    footprint.note(40)
    assert len(collections) == 1
    footprint.note(39)
    assert len(collections) == 1


def test_it_is_given_back_again_when_the_last_ones_have_gone(collections: list[str]) -> None:
    """They have kept some of it."""
    noted(40 * PART, 40, 0)
    assert len(collections) == 2


def test_a_second_crowd_is_like_the_first(collections: list[str]) -> None:
    """However small the first one was."""
    noted(PART, 1, 0, 10 * PART, 10)
    assert len(collections) == 2


def test_few_clients_come_and_go_without_a_collection(collections: list[str]) -> None:
    """What they took is used again by the next ones."""
    noted(MANY - 1, 0, MANY - 1, 0)
    assert collections == []


def test_nothing_is_collected_while_the_collector_rests(collections: list[str]) -> None:
    """It is made up for when a client comes or goes later."""
    gc.disable()
    try:
        footprint = noted(MANY, 0)
        assert collections == []
    finally:
        gc.enable()
    footprint.note(0)
    assert len(collections) == 1


def test_the_names_that_split_groups_left_behind_are_dropped() -> None:
    """CPython looks up `derive` for each group with a new string, and its cache keeps that."""
    taken = []
    for _ in range(2_000):
        ExceptionGroup("", [ValueError(), KeyError()]).split(ValueError)
        taken.append("".join(["der", "ive"]))  # where the last string was, if it is not kept
    gc.collect()
    kept = sys.getallocatedblocks()
    noted(MANY, 0)
    assert kept - sys.getallocatedblocks() > 100
    assert len(taken) == 2_000
