"""The repetition guard: a second try is welcome, a circle is not."""

from __future__ import annotations

from typing import Any

from protocol.provider.content import Block
from protocol.repetition import FAILURES, SAME_FAILURES, SAME_STEPS, Repetition
from protocol.tools import ToolAnswer

GOOD = ToolAnswer(content="It rains.")
BAD = ToolAnswer(content="No such place.", is_error=True)


def call(name: str = "weather", **args: Any) -> Block:
    """A tool call; its id is never the same twice."""
    return {"type": "tool_use", "id": f"toolu_{id(args)}", "name": name, "input": args}


def test_the_same_failure_again_and_again_is_a_circle() -> None:
    """Whatever else is called beside it."""
    guard = Repetition()
    for number in range(SAME_FAILURES - 1):
        assert not guard.observe([call(at="X"), call("time", n=number)], [BAD, GOOD])
    assert guard.observe([call(at="X")], [BAD])


def reason(number: int) -> ToolAnswer:
    """A failure like no other."""
    return ToolAnswer(content=f"Reason {number}.", is_error=True)


def test_the_same_call_twice_in_a_step_counts_once() -> None:
    """Side by side they could not learn from each other."""
    guard = Repetition()
    for _ in range(SAME_FAILURES - 1):
        assert not guard.observe([call(at="X")] * 5, [BAD] * 5)


def test_another_failure_is_another_try() -> None:
    """Other arguments are, and another reason is for a while."""
    guard = Repetition()
    for number in range(20):
        assert not guard.observe([call(at=number)], [BAD])
    for number in range(FAILURES - 1):
        assert not guard.observe([call(at="X")], [reason(number)])
    assert guard.observe([call(at="X")], [reason(FAILURES)])


def test_a_step_that_is_what_earlier_ones_were_makes_no_progress() -> None:
    """In whatever order its calls come, and wherever in the turn."""
    guard = Repetition()
    two = [call(at="A"), call(at="B")]
    other = ToolAnswer(content="It snows.")
    for number in range(SAME_STEPS - 1):
        assert not guard.observe(two, [GOOD, other])
        assert not guard.observe([call("time", n=number)], [GOOD])
    assert guard.observe(two[::-1], [other, GOOD])


def test_the_same_question_with_a_new_answer_is_no_circle() -> None:
    """Who waits for something asks the same until it is there."""
    guard = Repetition()
    for number in range(20):
        assert not guard.observe([call(at="A")], [ToolAnswer(content=f"{number} degrees")])
