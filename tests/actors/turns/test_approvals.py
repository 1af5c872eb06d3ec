"""What is waited for, and what is remembered."""

from __future__ import annotations

import trio
import trio.testing

from actors.turns.approvals import Answers, SessionApprovals


async def test_an_answer_reaches_the_one_who_waits_for_it() -> None:
    """And nobody else."""
    answers: Answers[str] = Answers()
    heard: list[str] = []

    async def wait(call_id: str) -> None:
        heard.append(await answers.wait(call_id))

    with trio.fail_after(1):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait, "a")
            nursery.start_soon(wait, "b")
            await trio.testing.wait_all_tasks_blocked()
            answers.give("b", "for b")
            await trio.testing.wait_all_tasks_blocked()
            assert heard == ["for b"]
            answers.give("a", "for a")
    assert heard == ["for b", "for a"]


async def test_an_answer_may_come_first_and_the_first_one_counts() -> None:
    """A client may answer while the model still writes."""
    answers: Answers[str] = Answers()
    assert "a" not in answers
    answers.give("a", "first")
    answers.give("a", "second")
    assert "a" in answers
    assert await answers.wait("a") == "first"


def test_what_a_session_may_is_remembered_for_it_alone() -> None:
    """And for that tool alone."""
    approvals = SessionApprovals()
    approvals.allow("s", "shell")
    assert approvals.allows("s", "shell")
    assert not approvals.allows("s", "mail")
    assert not approvals.allows("t", "shell")


def test_only_so_many_sessions_are_remembered() -> None:
    """The one unused for longest is asked again."""
    approvals = SessionApprovals(keep=2)
    for session in ("a", "b", "a", "c"):
        approvals.allow(session, "shell")
    assert [approvals.allows(session, "shell") for session in "abc"] == [True, False, True]


def test_a_session_that_ends_is_forgotten() -> None:
    """Another one keeps what it may."""
    approvals = SessionApprovals()
    for session in "st":
        approvals.allow(session, "shell")
    approvals.forget("s")
    approvals.forget("never seen")
    assert [approvals.allows(session, "shell") for session in "st"] == [False, True]
