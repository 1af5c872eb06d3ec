"""What the provider will clear by itself is foreseen."""

from __future__ import annotations

import json
from decimal import Decimal

import msgspec
import pytest
from trio.testing import MockClock

from actors.context.estimate.calibration import PRIOR
from actors.context.estimate.clearing import (
    PLACEHOLDER,
    Cleared,
    all_of,
    clearing,
    clears_at,
    foreseen,
    remembered,
)
from actors.context.estimate.scale import Scale
from protocol.mail import BeginTurn, NewMessage
from protocol.provider.content import Block, Role
from protocol.records import MessageRecord
from tests.actors.context.test_extending import CALL, PRICE, answer, build, complete, extend
from tests.actors.fakes import World, open_world

PLAIN = Scale(PRIOR)
GONE = 3_000 - PLACEHOLDER


def message(role: Role, content: object, tokens: int) -> MessageRecord:
    """A stored message."""
    return MessageRecord(
        session_id="s",
        turn_id="t",
        role=role,
        content=msgspec.json.encode(content),
        status="complete",
        created_at=0,
        byte_count=0,
        token_count=tokens,
    )


def answered(count: int) -> list[MessageRecord]:
    """A turn with so many parallel calls; each answer has 3,000 tokens."""
    results = [
        {"type": "tool_result", "tool_use_id": f"c{n}", "content": "…"} for n in range(count)
    ]
    return [
        message("user", "Go on.", 5),
        message("assistant", [{"type": "tool_use", "id": "c0", "name": "look", "input": {}}], 10),
        message("user", results, 3_000 * count),
        message("assistant", [{"type": "text", "text": "Done."}], 5),
    ]


def test_old_answers_are_to_be_cleared_before_the_window_is_full() -> None:
    """At three quarters of the room; the latest three stay."""
    assert clearing(clears_at(100_000)) == {
        "edits": [
            {
                "type": "clear_tool_uses_20250919",
                "trigger": {"type": "input_tokens", "value": 75_000},
                "keep": {"type": "tool_uses", "value": 3},
                "clear_at_least": {"type": "input_tokens", "value": 5_000},
            }
        ]
    }


def test_all_but_the_latest_three_answers_go() -> None:
    """A placeholder stays of each; in one message the first ones go."""
    turns = [answered(2), answered(1), answered(2), [message("user", "And?", 3)]]
    assert foreseen(turns, 20_000, 10_000, PLAIN) == [
        *(Cleared(2, 2 * GONE), Cleared(), Cleared(), Cleared())
    ]
    turns.append(answered(1))
    assert all_of(foreseen(turns, 20_000, 10_000, PLAIN)) == Cleared(3, 3 * GONE)


@pytest.mark.parametrize(
    ("estimate", "trigger", "answers"),
    [(10_000, 10_000, 9), (20_000, None, 9), (20_000, 10_000, 4), (20_000, 10_000, 3)],
)
def test_nothing_goes(estimate: float, trigger: int | None, answers: int) -> None:
    """Below the trigger, unasked, when it is too little, when there is nothing old."""
    assert foreseen([answered(answers)], estimate, trigger, PLAIN) == [Cleared()]


async def test_of_what_is_left_the_provider_may_clear_nothing(autojump_clock: MockClock) -> None:
    """The turns that are left out take the reason with them: nothing is said to be cleared."""
    async with open_world(max_tokens=100) as world:
        await clearing_world(world)
        built = await build(world, "x" * 33_000)
        await world.context_box.ask(
            BeginTurn(session=built.session, is_new=True, user_message=built.user_message)
        )
        await complete(world, built, answer({"type": "text", "text": "Hello."}))
        session = built.session.session_id
        built = await build(world, "Tea?", session, "turn_y")
        assert built.left_out is None
        extended = await extend(world, built.prompt, *looked(0), turn_id="turn_y")
        for number in range(1, 4):
            extended = await extend(world, extended.prompt, *looked(number), turn_id="turn_y")
        assert extended.prompt.turns == []
        assert extended.token_estimate >= extended.prompt.counted_tokens > 28_000


@pytest.mark.parametrize("answers", [3, 4, 5, 6])
async def test_what_comes_before_the_newly_cleared_is_read_from_the_cache(
    answers: int, autojump_clock: MockClock
) -> None:
    """The prompt is another one from there on, and is to be paid as if it were new."""
    async with open_world(max_tokens=100) as world:
        await clearing_world(world)
        built = await build(world, "x" * 600)
        former = extended = await extend(world, built.prompt, *looked(0))
        for number in range(1, answers):
            former = extended
            billed = former.token_estimate
            extended = await extend(world, former.prompt, *looked(number), billed=billed)
        fixed = extended.prompt.fixed_tokens + 346 + 600
        kept = {3: former.token_estimate, 4: former.token_estimate, 5: fixed, 6: fixed}[answers]
        assert extended.likely_cost is not None
        read = (extended.token_estimate * PRICE * Decimal("1.25") - extended.likely_cost) / (
            PRICE * Decimal("1.15")
        )
        assert float(read) == pytest.approx(kept, abs=400)


@pytest.mark.parametrize(
    ("before", "now", "alike"),
    [
        (0, 0, 9_040),
        (1, 1, 9_040 - GONE),
        (0, 1, 15),
        (1, 2, 15),
        (2, 3, 6_035 - 2 * GONE),
    ],
)
def test_requests_are_alike_up_to_what_only_one_of_them_has(
    before: int, now: int, alike: int
) -> None:
    """A cleared answer is another text; messages are the smallest parts that are compared."""
    turns = [answered(2), answered(1)]
    assert remembered(turns, before, now, PLAIN) == pytest.approx(alike, abs=20)


async def clearing_world(world: World) -> None:
    """With a tool, a provider that clears, and a window of 40,000 tokens."""
    world.model.window = 40_000
    world.model.edits = ("clear_tool_uses_20250919",)
    world.tools.offers("brew")


def looked(number: int) -> tuple[NewMessage, NewMessage]:
    """A call and its answer of 7,000 tokens."""
    call: Block = {**CALL, "id": f"c{number}"}
    result: Block = {"type": "tool_result", "tool_use_id": f"c{number}", "content": "x" * 7_000}
    return answer(call), NewMessage(role="user", content=msgspec.json.encode([result]))


@pytest.mark.parametrize(
    ("first", "share"),
    [
        ("x" * 8_000, 1 / 4),
        ("", 0),
        ([{"type": "image", "source": {"type": "base64", "data": "x" * 1_000_000}}], 1 / 5),
        ([{"type": "text", "text": "x" * 24_000}], 1 / 2),
    ],
)
def test_what_goes_of_a_message_is_what_its_first_answers_have(first: object, share: float) -> None:
    """By the text that the model reads: a picture's bytes are none."""
    contents = [first, *["x" * 8_000] * 3]
    results = [
        {"type": "tool_result", "tool_use_id": f"c{number}", "content": content, "is_error": False}
        for number, content in enumerate(contents)
    ]
    turns = [[message("user", results, 40_000)]]
    found = foreseen(turns, 50_000, 40_000, PLAIN)
    wanted = 40_000 * share - PLACEHOLDER
    if wanted < 5_000:
        assert found == [Cleared()]
    else:
        assert found[0].tokens == pytest.approx(wanted, rel=0.05)


async def test_a_long_turn_goes_on_with_what_is_left(autojump_clock: MockClock) -> None:
    """Six answers of 7,000 tokens in a window of 40,000: three of them go."""
    async with open_world(max_tokens=100) as world:
        await clearing_world(world)
        built = await build(world, "Tea?")
        extended = await extend(world, built.prompt, *looked(0))
        for number in range(1, 6):
            extended = await extend(world, extended.prompt, *looked(number))
        prompt = extended.prompt
        trigger = prompt.allowance.clears_at
        assert trigger == clears_at(40_000 - 100)
        assert prompt.counted_tokens > 40_000
        assert extended.token_estimate == pytest.approx(
            prompt.counted_tokens - 3 * (7_000 - PLACEHOLDER), rel=0.02
        )
        assert extended.left_out is None
        assert json.loads(prompt.body())["context_management"] == clearing(trigger)
