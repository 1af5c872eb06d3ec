"""Courses in which the model is another one, or the provider does what nobody expects."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tests.courses.bodies import announced, text_in
from tests.courses.changes import edit_memory
from tests.courses.replies import ATTEMPTS, FORGETFUL, MISMATCHED, ODD, OVERLOADED, asks, tide
from tests.courses.session import Session
from tests.courses.stage import MODEL


def switched(model: str) -> Callable[[Session], Awaitable[None]]:
    """A course that goes to another model, where the memory changes, and comes back."""

    async def play(session: Session) -> None:
        session.stage.write_memory(session.text("An old memory"))
        await session.ask()
        await session.ask(model=model)
        await session.ask()
        memory = await edit_memory(session)
        await session.ask(model=MODEL)
        assert memory in text_in([*announced(session.last.body), *session.last.body["system"]])
        await session.ask()
        await session.ask(model=model)
        await session.ask(model=MODEL)

    return play


async def thinks_less(session: Session) -> None:
    """ReplyThinking is off for a while, and on again."""
    await session.ask(tools=tide())
    await session.ask(thinking="off")
    session.stage.provider.arrange(asks("tide"))
    await session.ask(thinking="off")
    await session.ask()
    await session.ask(thinking="off")
    await session.ask()


async def overloaded(session: Session) -> None:
    """The provider is overloaded for longer than the gateway tries; then it is asked again."""
    await session.ask()
    session.stage.provider.arrange(*[OVERLOADED] * ATTEMPTS)
    await session.ask(ends=("OVERLOADED",))
    await session.ask()
    session.stage.provider.arrange(OVERLOADED)
    await session.ask()


async def mismatched(session: Session) -> None:
    """The provider holds a thought for one of another conversation; the turn is answered."""
    await session.ask()
    await session.ask()
    session.stage.provider.arrange(MISMATCHED)
    await session.ask()
    assert session.is_anew
    await session.ask()


async def refused_for_no_known_reason(session: Session) -> None:
    """The provider names an earlier message and is not understood; the next one is answered."""
    await session.ask()
    await session.ask()
    session.stage.provider.arrange(ODD)
    await session.ask(ends=("end_turn", "LLM_ERROR", "INVALID_MESSAGE"))
    await session.ask()


async def thinking_dropped(session: Session) -> None:
    """The provider answers without some thinking; the client is told, and the next one fits."""
    await session.ask()
    await session.ask()
    session.stage.provider.arrange(FORGETFUL)
    turn = await session.ask()
    assert turn.context.get("droppedThinking"), turn.context
    await session.ask()
    await session.ask()
