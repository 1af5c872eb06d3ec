"""Courses in which a turn does not come to its end: cancelled, refused, paused."""

from __future__ import annotations

from tests.courses import replies
from tests.courses.bodies import blocks_of, text_in
from tests.courses.replies import asks, tide
from tests.courses.session import Session


async def cancelled_in_thought(session: Session) -> None:
    """While the model thinks; then it gets both questions."""
    await session.ask()
    question = session.text("How many ships are there")
    session.stage.provider.arrange(replies.stalls_in_thought())
    await session.ask(question, cut=["chat.stream.reasoning"])
    await session.ask("Shorter, please.")
    asked = [
        text_in(blocks_of(message))
        for message in session.last.body["messages"]
        if message["role"] == "user"
    ]
    assert asked[-2:] == [question, "Shorter, please."]


async def cancelled_in_text(session: Session) -> None:
    """While the model answers."""
    await session.ask()
    session.stage.provider.arrange(replies.stalls_in_text())
    await session.ask(cut=["chat.stream.delta"])
    await session.ask()


async def cancelled_behind_a_search(session: Session) -> None:
    """While the provider searches: its own tool is used, and has no result yet."""
    await session.ask(serverTools=["web_search"])
    session.stage.provider.arrange(replies.stalls_in_search())
    await session.ask(cut=["chat.stream.delta"])
    await session.ask()


async def cancelled_inside_a_call(session: Session) -> None:
    """While the model writes what it calls a tool with."""
    await session.ask(tools=tide())
    session.stage.provider.arrange(replies.stalls_in_call())
    await session.ask(cut=["chat.stream.delta"])
    await session.ask()


async def cancelled_while_a_tool_runs(session: Session) -> None:
    """While the client runs its tool; the call has a result then."""
    await session.ask(tools=tide())
    session.stage.provider.arrange(asks("tide"))
    await session.ask(cut=["tool.call"])
    await session.ask()


async def refused(session: Session) -> None:
    """The model would not answer, in few words or in none; it is not asked that again."""
    await session.ask()
    for said in (["I can"], []):
        session.stage.provider.arrange(replies.refuses(*said))
        question = session.text("Break into the harbour's computer")
        await session.ask(question, ends=("refusal",))
        await session.ask()


async def refused_behind_a_tool(session: Session) -> None:
    """The model would not answer once it had what a tool brought."""
    await session.ask(tools=tide())
    session.stage.provider.arrange(asks("tide"), replies.refuses("I can"))
    await session.ask(ends=("refusal",))
    await session.ask()


async def paused(session: Session) -> None:
    """A search pauses, and the same turn goes on with it."""
    await session.ask(serverTools=["web_search"])
    session.stage.provider.arrange(replies.pauses(), replies.goes_on())
    turn = await session.ask()
    assert len(turn.exchanges) == 2
    await session.ask()


async def paused_and_cancelled(session: Session) -> None:
    """A search pauses, and the turn is cancelled before its result comes, or just after."""
    await session.ask(serverTools=["web_search"])
    for stalling in (replies.stalls_in_text(), replies.stalls_behind_result()):
        session.stage.provider.arrange(replies.pauses(), stalling)
        await session.ask(cut=["chat.stream.delta"])
        await session.ask()
