"""What is logged of refused requests."""

from __future__ import annotations

from gateway.refusals import OTHERS, Refusals


def test_the_first_of_a_kind_is_told_at_once() -> None:
    """A kind is a peer and a reason."""
    refusals = Refusals()
    assert refusals.note("10.0.0.1", "401 no") == "a request of 10.0.0.1 was refused: 401 no"
    assert refusals.note("10.0.0.1", "401 no") is None
    assert refusals.note("10.0.0.1", "403 no") is not None
    assert refusals.note("10.0.0.2", "401 no") is not None


def test_what_comes_again_is_summed_up() -> None:
    """One line a kind, and none when there is nothing to tell."""
    refusals = Refusals()
    for _ in range(121):
        refusals.note("10.0.0.1", "401 no")
    refusals.note("10.0.0.2", "401 no")
    assert refusals.sums() == [
        "… and 120 more in the last minute: requests of 10.0.0.1 were refused: 401 no"
    ]
    assert refusals.sums() == []


def test_a_flood_is_one_line_a_minute() -> None:
    """It is not told anew; a kind that was quiet for a minute is."""
    refusals = Refusals()
    refusals.note("10.0.0.1", "401 no")
    for _ in range(3):
        assert refusals.note("10.0.0.1", "401 no") is None
        assert len(refusals.sums()) == 1
    assert refusals.sums() == []
    assert refusals.note("10.0.0.1", "401 no") is not None


def test_memory_and_lines_are_bounded_whatever_the_peers_do() -> None:
    """Too many peers are one."""
    refusals = Refusals(most=10)
    lines = [refusals.note(f"2001:db8::{number:x}", "401 no") for number in range(10_000)]
    assert len([line for line in lines if line]) == 11
    assert lines[10] == f"a request of {OTHERS} was refused: 401 no"
    assert refusals.sums() == [
        f"… and 9989 more in the last minute: requests of {OTHERS} were refused: 401 no"
    ]
