"""Mailboxes: only data crosses them, they are bounded, and nobody waits for the dead."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from actors.mailbox import MOST_BYTES, ActorStopped, Envelope, Mailbox, MailboxFull
from protocol.client import ChatSend, SessionHistory
from protocol.errors import Failure, GatewayError
from protocol.mail import (
    Cancelling,
    CancelTurn,
    ContextMail,
    DrainTurns,
    LlmMail,
    StartTurn,
    TurnAccepted,
)
from protocol.provider.content import TextBlock, UserBlock
from protocol.server import HistoryMessage, SessionHistoryPage

START = StartTurn(send=ChatSend(id="r1", content="Hi."))
CANCEL = CancelTurn(turn_id="turn_1", request_id=None)


def make_mailbox(size: int = 4) -> Mailbox[LlmMail]:
    """An owner's mailbox."""
    return Mailbox("llm", LlmMail, size)


async def test_mail_arrives_in_the_order_in_which_it_was_told() -> None:
    """First in, first out."""
    mailbox = make_mailbox()
    await mailbox.tell(DrainTurns())
    mailbox.offer(DrainTurns())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(mailbox.ask, CANCEL)
        await trio.testing.wait_all_tasks_blocked()
        assert mailbox.waiting == 3
        mailbox.close()
        assert [type(one.open()) async for one in mailbox] == [DrainTurns, DrainTurns, CancelTurn]
        nursery.cancel_scope.cancel()


async def test_only_data_crosses() -> None:
    """The owner gets an equal message, and not the sender's object."""
    mailbox = make_mailbox()
    content: list[UserBlock] = [TextBlock("Hi.")]
    start = StartTurn(send=ChatSend(id="r1", content=content))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(mailbox.ask, start)
        envelope = await anext(mailbox)
        content.append(TextBlock("And?"))
        assert envelope.open() == StartTurn(send=ChatSend(id="r1", content=[TextBlock("Hi.")]))
        nursery.cancel_scope.cancel()


async def test_what_an_owner_keeps_for_itself_crosses_nothing() -> None:
    """It gets its own message in its turn, and not a copy of it."""
    mailbox = make_mailbox()
    await mailbox.tell(DrainTurns())
    await mailbox.keep(START, 100)
    mailbox.close()
    assert [one.open() async for one in mailbox] == [DrainTurns(), START]
    assert mailbox.waiting == 0


async def test_an_ask_gets_the_reply_that_its_request_is_typed_by() -> None:
    """`Request[R]` is answered with an `R`."""
    mailbox = make_mailbox()

    async def answer() -> None:
        (await anext(mailbox)).reply.send(TurnAccepted("turn_1"))
        (await anext(mailbox)).reply.send(Cancelling("turn_1"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        assert await mailbox.ask(START) == TurnAccepted("turn_1")
        assert await mailbox.ask(CANCEL) == Cancelling("turn_1")


async def test_an_answer_keeps_an_integer_of_more_than_64_bits() -> None:
    """MessagePack has none, and a tool call of a history may have one."""
    mailbox: Mailbox[ContextMail] = Mailbox("context", ContextMail, 4)
    call = {"type": "tool_use", "id": "t", "name": "count", "input": {"from": 2**70}}
    message = HistoryMessage(role="assistant", content=[call], created_at="1970-01-01")
    page = SessionHistoryPage(request_id="r1", session_id="s", messages=[message])

    async def answer() -> None:
        (await anext(mailbox)).reply.send(page)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        assert await mailbox.ask(SessionHistory(id="r1", session_id="s")) == page


async def test_a_failure_is_raised_where_it_was_asked() -> None:
    """With all that it carried."""
    mailbox = make_mailbox()
    failure = Failure(
        code="SESSION_BUSY", message="Wait.", retryable=True, retry_after_ms=5, turn_id="turn_1"
    )

    async def refuse() -> None:
        (await anext(mailbox)).reply.fail(failure)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(refuse)
        with pytest.raises(GatewayError) as caught:
            await mailbox.ask(START)
    assert caught.value.failure == failure


async def test_asks_that_were_never_read_get_actor_stopped() -> None:
    """The owner ends with mail in its mailbox, and with asks that found no space in it."""
    mailbox = make_mailbox(size=1)
    stopped = 0

    async def ask() -> None:
        nonlocal stopped
        with pytest.raises(ActorStopped) as caught:
            await mailbox.ask(START)
        assert caught.value.actor == "llm"
        stopped += 1

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        with mailbox.owned():
            pass
    assert stopped == 3


async def test_the_dead_are_neither_told_nor_asked() -> None:
    """Each way to speak to them raises ActorStopped, which says that the gateway stops."""
    mailbox = make_mailbox()
    with mailbox.owned():
        pass
    with pytest.raises(ActorStopped):
        await mailbox.tell(DrainTurns())
    with pytest.raises(ActorStopped):
        mailbox.offer(DrainTurns())
    with pytest.raises(ActorStopped) as caught:
        await mailbox.ask(START)
    assert caught.value.failure.code == "DRAINING"


async def test_an_answer_that_came_before_the_end_still_counts() -> None:
    """Whoever answers and then ends has answered."""
    mailbox = make_mailbox()

    async def answer_and_end() -> None:
        with mailbox.owned():
            (await anext(mailbox)).reply.send(TurnAccepted("turn_1"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer_and_end)
        assert await mailbox.ask(START) == TurnAccepted("turn_1")


async def test_a_full_mailbox_makes_whoever_tells_wait() -> None:
    """It is bounded."""
    mailbox = make_mailbox(size=1)
    await mailbox.tell(DrainTurns())
    with trio.move_on_after(0) as patience:
        await mailbox.tell(DrainTurns())
    assert patience.cancelled_caught
    assert (mailbox.waiting, mailbox.size) == (1, 1)


async def test_a_full_mailbox_is_not_offered_more() -> None:
    """`offer` never waits."""
    mailbox = make_mailbox(size=1)
    mailbox.offer(DrainTurns())
    with pytest.raises(MailboxFull):
        mailbox.offer(DrainTurns())


async def test_a_mailbox_is_bounded_in_bytes_too() -> None:
    """Whoever tells more waits for room, first come first served, and is not offered it."""
    mailbox = make_mailbox(size=64)
    arrived: list[int] = []

    async def keep(size: int) -> None:
        await mailbox.keep(START, size)
        arrived.append(size)

    async with trio.open_nursery() as nursery:
        for size in (MOST_BYTES - 10, 11, 1, MOST_BYTES):
            nursery.start_soon(keep, size)
            await trio.testing.wait_all_tasks_blocked()
        assert (arrived, mailbox.waiting) == ([MOST_BYTES - 10], 1)
        with pytest.raises(MailboxFull):
            mailbox.offer(DrainTurns())
        assert [(await anext(mailbox)).size for _ in range(4)] == [
            *(MOST_BYTES - 10, 11, 1, MOST_BYTES)
        ]
    assert arrived == [MOST_BYTES - 10, 11, 1, MOST_BYTES]


async def test_a_message_that_is_larger_than_the_bound_has_the_mailbox_alone() -> None:
    """It does not wait for ever."""
    mailbox = make_mailbox()
    await mailbox.keep(START, 2 * MOST_BYTES)
    with trio.move_on_after(0) as patience:
        await mailbox.tell(DrainTurns())
    assert patience.cancelled_caught
    await anext(mailbox)
    await mailbox.tell(DrainTurns())


async def test_whoever_gives_up_takes_no_room() -> None:
    """Neither while it waits for room nor while it waits for a place."""
    mailbox = make_mailbox(size=1)
    await mailbox.keep(START, 1)
    for size in (MOST_BYTES, MOST_BYTES - 1):
        with trio.move_on_after(0):
            await mailbox.keep(START, size)
    await anext(mailbox)
    await mailbox.keep(START, MOST_BYTES)
    assert mailbox.waiting == 1


async def test_those_that_wait_for_room_learn_of_the_end() -> None:
    """None of them waits for the dead."""
    mailbox = make_mailbox()
    await mailbox.keep(START, MOST_BYTES)
    stopped = 0

    async def ask() -> None:
        nonlocal stopped
        with pytest.raises(ActorStopped):
            await mailbox.ask(CANCEL)
        stopped += 1

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        mailbox.close()
    assert stopped == 3


async def test_a_closed_mailbox_is_read_to_its_end() -> None:
    """What waits is still read."""
    mailbox = make_mailbox()
    mailbox.offer(DrainTurns())
    mailbox.close()
    assert [envelope.open() async for envelope in mailbox] == [DrainTurns()]


async def test_whoever_gave_up_is_not_missed() -> None:
    """An answer that nobody waits for any more harms nobody."""
    mailbox = make_mailbox()
    with trio.move_on_after(0):
        await mailbox.ask(START)
    mailbox.offer(DrainTurns())
    mailbox.close()
    async for envelope in mailbox:
        envelope.reply.send(TurnAccepted("turn_1"))


async def test_what_comes_while_nothing_waits_is_begun_in_the_senders_step() -> None:
    """It is sealed all the same, and its answer is there without a switch of tasks."""
    mailbox = make_mailbox()
    seen: list[LlmMail] = []

    def begin(envelope: Envelope[LlmMail]) -> bool:
        seen.append(envelope.open())
        envelope.reply.send(Cancelling("turn_1"))
        return True

    others = trio.Event()

    async def other() -> None:
        others.set()

    async with trio.open_nursery() as nursery:
        with mailbox.begun_by(begin):
            nursery.start_soon(other)
            assert await mailbox.ask(CANCEL) == Cancelling("turn_1")
            assert not others.is_set()
    assert (seen, mailbox.waiting) == ([CANCEL], 0)
    assert seen[0] is not CANCEL
    mailbox.offer(DrainTurns())
    assert (len(seen), mailbox.waiting) == (1, 1)


async def test_what_comes_behind_others_waits_for_its_turn() -> None:
    """Nothing is begun before what came earlier, nor without room for it."""
    mailbox = make_mailbox()
    offered: list[LlmMail] = []

    def refuse(envelope: Envelope[LlmMail]) -> bool:
        offered.append(envelope.open())
        return False

    with mailbox.begun_by(refuse):
        await mailbox.tell(DrainTurns())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(mailbox.ask, CANCEL)
            await trio.testing.wait_all_tasks_blocked()
            assert (offered, mailbox.waiting) == ([DrainTurns()], 2)
            assert [(await anext(mailbox)).open() for _ in range(2)] == [DrainTurns(), CANCEL]
            nursery.cancel_scope.cancel()


async def test_what_is_answered_at_once_needs_no_deadline() -> None:
    """It is no checkpoint either: a cancel comes before the question or after the answer."""
    mailbox = make_mailbox()

    def begin(envelope: Envelope[LlmMail]) -> bool:
        envelope.reply.send(Cancelling("turn_1"))
        return True

    with mailbox.begun_by(begin), trio.CancelScope() as scope:
        scope.cancel()
        answer = await mailbox.ask_within(0.0, CANCEL)
    assert answer == Cancelling("turn_1")


@pytest.mark.parametrize("size", [1, 4])
async def test_an_ask_has_an_end(autojump_clock: MockClock, size: int) -> None:
    """Whether there is no room for it, or no answer."""
    mailbox = make_mailbox(size)
    mailbox.offer(DrainTurns())
    with pytest.raises(GatewayError, match="OVERLOADED"):
        await mailbox.ask_within(10.0, CANCEL)
    assert trio.current_time() == 10.0
    assert mailbox.waiting == min(size, 2)


@pytest.mark.parametrize("size", [1, 4])
async def test_what_comes_before_the_end_counts(autojump_clock: MockClock, size: int) -> None:
    """The room, and then the answer."""
    mailbox = make_mailbox(size)
    mailbox.offer(DrainTurns())

    async def answer() -> None:
        await trio.sleep(5.0)
        assert (await anext(mailbox)).open() == DrainTurns()
        (await anext(mailbox)).reply.send(Cancelling("turn_1"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        assert await mailbox.ask_within(10.0, CANCEL) == Cancelling("turn_1")


async def test_a_shielded_ask_outlives_a_cancel() -> None:
    """Its answer is not lost."""
    mailbox = make_mailbox()
    answers: list[Cancelling] = []

    async def ask() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            answers.append(await mailbox.ask_within(10.0, CANCEL, shield=True))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        (await anext(mailbox)).reply.send(Cancelling("turn_1"))
    assert answers == [Cancelling("turn_1")]
