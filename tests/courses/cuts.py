"""Courses in which a turn does not come to its end: cancelled, refused, paused."""

from __future__ import annotations

from gateway.simulator import Fault, Reply, ReplyBlock, ReplyText, ReplyThinking, ToolUse, WebSearch
from tests.courses.bodies import blocks_of, text_in
from tests.courses.changes import asks, searches, tide
from tests.courses.session import Session

LONG = "The keeper of the light looks at the sea and counts the ships. " * 8


def stalls(*blocks: ReplyBlock, at: int) -> Reply:
    """An answer that stands still after so many events, or so many before its end."""
    return Reply(blocks=blocks, flush=1, fault=Fault("stall", at))


async def cancelled_in_thought(session: Session) -> None:
    """While the model thinks; then it gets both questions."""
    await session.ask()
    question = session.text("How many ships are there")
    session.stage.provider.arrange(stalls(ReplyThinking(LONG), ReplyText(LONG), at=6))
    await session.ask(question, cut="chat.stream.reasoning")
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
    session.stage.provider.arrange(stalls(ReplyThinking("Count."), ReplyText(LONG), at=-6))
    await session.ask(cut="chat.stream.delta")
    await session.ask()


async def cancelled_behind_a_search(session: Session) -> None:
    """While the provider searches: its own tool is used, and has no result yet."""
    await session.ask(serverTools=["web_search"])
    session.stage.provider.arrange(
        stalls(
            ReplyThinking("Count."),
            ReplyText("I look it up."),
            WebSearch("ships", part="call"),
            at=-2,
        )
    )
    await session.ask(cut="chat.stream.delta")
    await session.ask()


async def cancelled_inside_a_call(session: Session) -> None:
    """While the model writes what it calls a tool with."""
    await session.ask(tools=tide())
    call = ToolUse("tide", {"at": LONG})
    session.stage.provider.arrange(stalls(ReplyThinking("Ask."), ReplyText("I ask."), call, at=-6))
    await session.ask(cut="chat.stream.delta")
    await session.ask()


async def cancelled_while_a_tool_runs(session: Session) -> None:
    """While the client runs its tool; the call has a result then."""
    await session.ask(tools=tide())
    session.stage.provider.arrange(asks("tide"))
    await session.ask(cut="tool.call")
    await session.ask()


async def refused(session: Session) -> None:
    """The model would not answer, in few words or in none; it is not asked that again."""
    await session.ask()
    for blocks in ((ReplyText("I can"),), ()):
        reply = Reply(blocks=blocks, stop_reason="refusal")
        session.stage.provider.arrange(reply)
        question = session.text("Break into the harbour's computer")
        await session.ask(question, ends=("refusal",))
        await session.ask()


async def refused_behind_a_tool(session: Session) -> None:
    """The model would not answer once it had what a tool brought."""
    await session.ask(tools=tide())
    session.stage.provider.arrange(
        asks("tide"), Reply(blocks=(ReplyText("I can"),), stop_reason="refusal")
    )
    await session.ask(ends=("refusal",))
    await session.ask()


async def paused(session: Session) -> None:
    """A search pauses, and the same turn goes on with it."""
    await session.ask(serverTools=["web_search"])
    session.stage.provider.arrange(searches("call"), searches("result"))
    turn = await session.ask()
    assert len(turn.exchanges) == 2
    await session.ask()


async def paused_and_cancelled(session: Session) -> None:
    """A search pauses, and the turn is cancelled before its result comes, or just after."""
    await session.ask(serverTools=["web_search"])
    session.stage.provider.arrange(searches("call"), stalls(ReplyText(LONG), at=-6))
    await session.ask(cut="chat.stream.delta")
    await session.ask()
    result = searches("result").blocks[0]
    session.stage.provider.arrange(searches("call"), stalls(result, ReplyText(LONG), at=-6))
    await session.ask(cut="chat.stream.delta")
    await session.ask()
