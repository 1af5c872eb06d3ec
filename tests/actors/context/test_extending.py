"""A turn's next request: what it gathered is put behind the former one."""

from __future__ import annotations

import json
from decimal import Decimal

import msgspec
import pytest
from trio.testing import MockClock

from protocol.client import ChatSend
from protocol.context import SentContext
from protocol.errors import GatewayError
from protocol.mail import (
    BeginTurn,
    BuildContext,
    CompleteTurn,
    ContextBuilt,
    ContextExtended,
    Done,
    ExtendContext,
    NewMessage,
)
from protocol.prompt import Prompt
from protocol.provider.content import Block
from protocol.records import CalibrationRecord
from tests.actors.fakes import World, open_world

PRICE = Decimal("0.000003")

CALL: Block = {"type": "tool_use", "id": "c1", "name": "brew", "input": {}}
RESULT: Block = {"type": "tool_result", "tool_use_id": "c1", "content": "x" * 30}


def answer(*blocks: Block) -> NewMessage:
    """What the model said."""
    return NewMessage(role="assistant", content=msgspec.json.encode(blocks))


def results(size: int = 30) -> NewMessage:
    """What a tool answered."""
    return NewMessage(role="user", content=msgspec.json.encode([{**RESULT, "content": "x" * size}]))


async def build(
    world: World, content: str, session_id: str | None = None, turn_id: str = "turn_x"
) -> ContextBuilt:
    """A turn's first request."""
    send = ChatSend(id="r", content=content, session_id=session_id)
    return await world.context_box.ask(BuildContext(turn_id=turn_id, send=send))


async def live(world: World, content: str, session_id: str | None, turn_id: str) -> str:
    """A turn with the answer `Hello.`; its session."""
    built = await build(world, content, session_id, turn_id)
    await world.context_box.ask(
        BeginTurn(session=built.session, is_new=built.is_new, user_message=built.user_message)
    )
    await complete(world, built, answer({"type": "text", "text": "Hello."}))
    return built.session.session_id


async def complete(world: World, built: ContextBuilt, *messages: NewMessage) -> Done:
    """The turn ends; its requests were billed what they were counted."""
    prompt = built.prompt
    sample = CalibrationRecord(
        model=prompt.model,
        has_tools=prompt.has_tools,
        counted=prompt.counted_tokens,
        billed=prompt.counted_tokens,
    )
    done = CompleteTurn(
        session_id=built.session.session_id,
        turn_id=built.user_message.turn_id,
        messages=list(messages),
        was_kept=False,
        samples=[sample],
        restore=None,
    )
    return await world.context_box.ask(done)


def with_room(prompt: Prompt, room: int) -> Prompt:
    """The request, had the window room for so many tokens."""
    allowance = msgspec.structs.replace(prompt.allowance, room=room)
    return msgspec.structs.replace(prompt, allowance=allowance)


async def extend(
    world: World,
    prompt: Prompt,
    *messages: NewMessage,
    turn_id: str = "turn_x",
    left_out: SentContext | None = None,
    billed: int = 0,
) -> ContextExtended:
    """The turn's next request."""
    request = ExtendContext(
        session_id=prompt.current[0].session_id,
        turn_id=turn_id,
        prompt=prompt,
        billed=billed,
        messages=list(messages),
        keeps=False,
        left_out=left_out,
    )
    return await world.context_box.ask(request)


@pytest.mark.parametrize("turn_id", ["turn_x", "turn_forgotten"])
async def test_the_next_request_begins_with_the_former_one(
    turn_id: str, autojump_clock: MockClock
) -> None:
    """To the byte; what is new is measured, and nothing is stored."""
    async with open_world() as world:
        built = await build(world, "Tea?")
        extended = await extend(world, built.prompt, answer(CALL), results(), turn_id=turn_id)
        assert extended.prompt.body().startswith(built.prompt.body()[:-2] + b",")
        sent = json.loads(extended.prompt.body())["messages"]
        assert [message["content"] for message in sent] == ["Tea?", [CALL], [RESULT]]
        counted = [message.token_count for message in extended.prompt.current[1:]]
        texts = [json.dumps(block, separators=(",", ":")) for block in (CALL, RESULT)]
        assert counted == [len(text) for text in texts]
        assert extended.token_estimate == built.token_estimate + sum(counted)
        assert extended.likely_cost == extended.token_estimate * PRICE
        assert world.store.messages == []


@pytest.mark.parametrize(("billed", "caching"), [(600, True), (600, False), (500, True)])
async def test_what_the_former_request_had_is_read_from_the_cache(
    billed: int, caching: bool, autojump_clock: MockClock
) -> None:
    """At a tenth of the price, if it was long enough; what is new is written, at a quarter more."""
    async with open_world(prompt_caching=caching) as world:
        built = await build(world, "x" * (billed - 9))
        extended = await extend(world, built.prompt, answer(CALL), results(600), billed=billed)
        new = extended.token_estimate - billed
        read, written = (Decimal("0.1"), Decimal("1.25")) if caching else (1, 1)
        if billed < 512:  # too short to be remembered
            read = written
        assert extended.likely_cost == PRICE * (billed * read + new * written)


async def test_old_turns_make_room_for_what_a_tool_answered(autojump_clock: MockClock) -> None:
    """Whole ones, the oldest first; all that were left out are told."""
    async with open_world(max_tokens=1) as world:
        session = await live(world, "a" * 20, None, "turn_a")
        await live(world, "b" * 20, session, "turn_b")
        built = await build(world, "Tea?", session)
        room = built.token_estimate + 120
        prompt = with_room(built.prompt, room)
        before = SentContext(left_out_turns=2, left_out_messages=5)
        extended = await extend(world, prompt, answer(CALL), results(), left_out=before)
        assert [turn[0].turn_id for turn in extended.prompt.turns] == ["turn_b"]
        assert extended.left_out == SentContext(left_out_turns=3, left_out_messages=7)
        assert extended.token_estimate <= room
        assert extended.prompt.head == built.prompt.head
        assert extended.prompt.fixed_tokens == built.prompt.fixed_tokens


@pytest.mark.parametrize("turn_id", ["turn_x", "turn_forgotten"])
async def test_a_turn_that_outgrows_the_window_is_refused(
    turn_id: str, autojump_clock: MockClock
) -> None:
    """With what each section weighs, as far as that is still known."""
    async with open_world(max_tokens=1) as world:
        session = await live(world, "a" * 20, None, "turn_a")
        built = await build(world, "Tea?", session)
        prompt = with_room(built.prompt, 200)
        with pytest.raises(GatewayError, match="CONTEXT_TOO_LARGE") as caught:
            await extend(world, prompt, answer(CALL), results(300), turn_id=turn_id)
        weights = {one.name: one for one in caught.value.failure.sections or []}
        if turn_id == "turn_forgotten":
            assert weights == {}
            return
        assert weights["history"].token_estimate == 0
        assert weights["user_message"].token_estimate > 300
        assert weights["user_message"].byte_count > 300
        assert weights["system_prompt"].token_estimate == len("Be brief.")


async def test_the_latest_billed_request_is_what_is_learned_from(
    autojump_clock: MockClock,
) -> None:
    """Also when it is not the turn's first: the next turn's estimate begins with it."""
    async with open_world() as world:
        built = await build(world, "Tea?")
        await world.context_box.ask(
            BeginTurn(session=built.session, is_new=True, user_message=built.user_message)
        )
        extended = await extend(world, built.prompt, answer(CALL), results(2_000))
        last = msgspec.structs.replace(built, prompt=extended.prompt)
        sample = CalibrationRecord(
            model=built.prompt.model,
            has_tools=False,
            counted=last.prompt.counted_tokens,
            billed=2 * last.prompt.counted_tokens,
        )
        request = CompleteTurn(
            session_id=built.session.session_id,
            turn_id="turn_x",
            messages=[
                *(
                    NewMessage(role=one.role, content=one.content)
                    for one in extended.prompt.current[1:]
                ),
                answer({"type": "text", "text": "Hello."}),
            ],
            was_kept=False,
            samples=[sample],
            restore=None,
        )
        await world.context_box.ask(request)
        assert [message.role for message in world.store.messages] == [
            *("user", "assistant", "user", "assistant")
        ]
        assert world.store.calls.count("store_answer") == 1
        following = await build(world, "And?", built.session.session_id, "turn_y")
        assert following.token_estimate == pytest.approx(2 * last.prompt.counted_tokens, rel=0.02)


async def test_pictures_that_a_tool_answers_are_weighed_apart(autojump_clock: MockClock) -> None:
    """As those of the user."""
    picture = {"type": "image", "source": {"type": "base64", "data": "x" * 999}}
    shown = NewMessage(role="user", content=msgspec.json.encode([{**RESULT, "content": [picture]}]))
    async with open_world() as world:
        built = await build(world, "Tea?")
        extended = await extend(world, built.prompt, answer(CALL), shown)
        assert extended.prompt.current[2].media_tokens == 1_000
        assert extended.prompt.media_tokens == 1_000
