"""What a turn writes: its beginning, its steps, its end; each once, whatever is uncertain."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from actors.context.sessions import Held
from actors.ports import AgentFiles
from protocol.client import ChatSend, SessionDelete
from protocol.errors import GatewayError
from protocol.mail import BeginTurn, ExtendContext, KeepAnswer, WithdrawTurn
from tests.actors.context.talk import SO, THOUGHTFUL, Talk, answer, declared, results
from tests.actors.fakes import MODEL, World, open_world
from tests.protocol.entries import THOUGHT, call, result, text

NO_ANSWER = "[There was no answer.]"
SAID = [("user", "complete"), ("assistant", "complete")]


async def two_talks(world: World) -> tuple[Talk, Talk]:
    """One session, to which two talks may add."""
    talk, other = Talk(world), Talk(world)
    await talk.turn("1")
    other.session_id = talk.session_id
    return talk, other


def overtake(talk: Talk) -> None:
    """Another process writes to the session."""
    theirs = msgspec.structs.replace(talk.stored, version=talk.stored.version + 1)
    talk.world.store.sessions[theirs.session_id] = theirs


async def delete(talk: Talk) -> None:
    """The session is deleted."""
    await talk.world.context_box.ask(SessionDelete(id="d", session_id=talk.session_id or ""))


# --- the beginning -----------------------------------------------------------------------------


async def test_a_turn_begins_with_its_question_and_its_row(autojump_clock: MockClock) -> None:
    """Both are written when its request is there to be sent."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.begin("1")
        assert (talk.statuses, world.row.status) == ([("user", "complete")], "open")
        assert (world.context.open_rows, world.context.oldest_open_seconds > 0) == (1, True)
        await talk.end(THOUGHTFUL)
        assert (talk.statuses, world.row.status) == (SAID, "completed")
        assert (world.context.open_rows, world.context.oldest_open_seconds) == (0, 0)
        assert world.store.calls.count("begin_turn") == world.store.calls.count("settle_turn") == 1


async def test_a_turn_that_was_built_on_an_older_session_does_not_begin(
    autojump_clock: MockClock,
) -> None:
    """Sent again, it is built on the new one; here another process has changed the session."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.turn("1")
        overtake(talk)
        with pytest.raises(GatewayError, match="SESSION_BUSY") as caught:
            await talk.begin("late")
        assert caught.value.failure.retryable
        assert caught.value.failure.turn_id is None
        assert world.context.open_rows == 0
        await talk.turn("late")
        assert await talk.is_as_stored()


async def test_two_turns_of_a_session_do_not_run_side_by_side(autojump_clock: MockClock) -> None:
    """The one that stands in the way is named."""
    async with open_world() as world:
        talk, other = await two_talks(world)
        await talk.begin("2")
        with pytest.raises(GatewayError, match="SESSION_BUSY") as caught:
            await other.begin("3")
        assert caught.value.failure.turn_id == talk.row.turn_id
        await talk.end(THOUGHTFUL)
        assert await talk.is_as_stored()


async def test_a_request_has_one_turn(autojump_clock: MockClock) -> None:
    """Sent again when its turn is long over, it is told which one that was."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.turn("1", request_id="r")
        (first,) = world.store.rows
        with pytest.raises(GatewayError, match="TURN_NOT_FOUND") as caught:
            await talk.begin("1", request_id="r")
        assert caught.value.failure.turn_id == first
        assert talk.statuses == SAID


async def test_a_turn_of_a_deleted_session_does_not_begin(autojump_clock: MockClock) -> None:
    """Nor does it bring the session back; here another process has deleted it."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.turn("1")
        await world.store.delete_session(talk.session_id or "")
        with pytest.raises(GatewayError, match="SESSION_NOT_FOUND"):
            await talk.begin("2")
        assert (world.store.sessions, len(world.store.rows)) == ({}, 1)


async def test_a_turn_that_never_began_does_not_go_on(autojump_clock: MockClock) -> None:
    """That would be a mistake of ours."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.begin("1")
        unheard = msgspec.structs.replace(talk.row, turn_id="unheard")
        with pytest.raises(GatewayError, match="INTERNAL_ERROR"):
            await world.context_box.ask(ExtendContext(turn=unheard, at=0, messages=[THOUGHTFUL]))
        assert talk.statuses == [("user", "complete")]


async def test_an_answer_is_kept_before_its_tools_have_run(autojump_clock: MockClock) -> None:
    """Once, however often it is said; the process that comes next tells the model of it."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.begin("1", tools=[declared("brew")])
        request = KeepAnswer(turn=talk.row, at=0, messages=[answer(THOUGHT, call())])
        await world.context_box.ask(request)
        await world.context_box.ask(request)
        assert talk.statuses == SAID
        await talk.extend(answer(THOUGHT, call()), results(result()))
        assert talk.statuses == [*SAID, ("user", "complete")]
        assert await talk.is_as_stored()


async def test_an_answer_of_a_deleted_session_is_not_kept(autojump_clock: MockClock) -> None:
    """So its tools do not run either."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.begin("1", tools=[declared("brew")])
        await world.store.delete_session(talk.session_id or "")
        request = KeepAnswer(turn=talk.row, at=0, messages=[answer(THOUGHT, call())])
        with pytest.raises(GatewayError, match="SESSION_NOT_FOUND"):
            await world.context_box.ask(request)


async def test_a_turn_that_could_not_be_written_has_not_begun(autojump_clock: MockClock) -> None:
    """The same message can be sent again."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.turn("1")
        world.store.breaks("begin_turn")
        with pytest.raises(GatewayError, match="The disk is full"):
            await talk.begin("2")
        assert (world.context.open_rows, talk.statuses) == (0, SAID)
        world.store.works()
        await talk.turn("2")
        assert await talk.is_as_stored()


async def test_a_beginning_that_is_written_and_not_taken_in_is_undone(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As soon as whoever has asked for it hears of the mistake."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.turn("1")
        with monkeypatch.context() as broken:
            broken.setattr(Held, "_append", None)
            with pytest.raises(GatewayError, match="INTERNAL"):
                await talk.begin("2")
        assert world.context.open_rows == 1
        await talk.withdraw()
        assert [row.status for row in world.store.rows.values()] == ["completed"]
        assert world.context.open_rows == 0
        await talk.turn("3")
        assert await talk.is_as_stored()


@pytest.mark.parametrize("when", ["goes on", "ends"])
async def test_what_is_written_and_not_taken_in_is_loaded_anew(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """The turn is settled all the same, and the next one has all of it."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.turn("1")
        await talk.begin("2")
        steps: dict[str, Callable[[], Awaitable[object]]] = {
            "goes on": partial(talk.extend, answer(call("a")), results(result("a"))),
            "ends": partial(talk.end, THOUGHTFUL),
        }
        for name, step in steps.items():
            if name != when:
                await step()
                continue
            with monkeypatch.context() as broken:
                broken.setattr(Held, "_append", None)
                with pytest.raises(GatewayError, match="INTERNAL"):
                    await step()
        assert [row.status for row in world.store.rows.values()] == ["completed"] * 2
        assert world.context.open_rows == 0
        await talk.turn("3")
        assert [content for role, content in talk.messages if role == "user"][-1] == "3"
        assert [status for _, status in talk.statuses].count("complete") == len(talk.statuses)
        assert await talk.is_as_stored()


async def test_a_turn_that_was_withdrawn_does_not_begin(autojump_clock: MockClock) -> None:
    """Its request may come later; that it was withdrawn is remembered for a minute."""
    async with open_world() as world:
        for turn_id in ("early", "middle", "late"):
            await world.context_box.ask(WithdrawTurn(turn_id=turn_id))
            world.clock.skip(40_000)
        send = ChatSend(id="r", content="1")
        early, *others = [
            BeginTurn(turn_id=turn_id, send=send, created_at=1)
            for turn_id in ("early", "middle", "late")
        ]
        for request in others:
            with pytest.raises(GatewayError, match="OVERLOADED"):
                await world.context_box.ask(request)
        assert (world.store.rows, world.context.open_rows) == ({}, 0)
        await world.context_box.ask(early)
        assert [*world.store.rows] == ["early"]


# --- its steps ---------------------------------------------------------------------------------


async def test_what_a_step_said_is_stored_before_it_is_sent(autojump_clock: MockClock) -> None:
    """With the row, in one commit; the next request begins with the former one."""
    async with open_world(prompt_caching=False) as world:
        talk = Talk(world)
        await talk.begin("1")
        prompt = await talk.extend(answer(THOUGHT, call()), results(result()), billed=40)
        assert talk.goes_on
        assert prompt.own_from == 0
        assert talk.statuses == [*SAID, ("user", "complete")]
        assert [step.counts.uncached for step in world.row.steps] == [40]
        assert await talk.is_as_stored()


async def test_what_was_heard_already_is_not_added_twice(autojump_clock: MockClock) -> None:
    """Asked again, a step gets the same request; so does the turn's end leave it alone."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.begin("1")
        step = (answer(THOUGHT, call()), results(result()))
        await talk.extend(*step, confirms=False)
        await talk.extend(*step, confirms=False)
        assert talk.prompts[-1].body == talk.prompts[-2].body
        assert len(talk.entries) == 3
        await talk.end(*step, THOUGHTFUL)
        assert talk.statuses == [*SAID, *SAID]
        assert await talk.is_as_stored()


@pytest.mark.parametrize("elsewhere", [True, False])
async def test_a_turn_whose_session_is_deleted_does_not_go_on(
    elsewhere: bool, autojump_clock: MockClock
) -> None:
    """Here or by another process; what it was billed is written."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.begin("1")
        if elsewhere:
            await world.store.delete_session(talk.session_id or "")
        else:
            await delete(talk)
        with pytest.raises(GatewayError, match="SESSION_NOT_FOUND"):
            await talk.extend(answer(call()), results(result()))
        await talk.end(THOUGHTFUL, billed=40)
        assert world.store.entries == {}
        assert (world.row.status, world.row.steps[0].counts.uncached) == ("completed", 40)


async def test_a_turn_that_was_overtaken_by_another_does_not_go_on(
    autojump_clock: MockClock,
) -> None:
    """Its session was deleted and stands there again, without it."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.begin("1")
        stored = talk.stored
        await delete(talk)
        world.store.sessions[stored.session_id] = stored
        with pytest.raises(GatewayError, match="SESSION_NOT_FOUND"):
            await talk.extend(answer(call()), results(result()))
        with pytest.raises(GatewayError, match="SESSION_NOT_FOUND"):
            await talk.renew()
        await talk.end(THOUGHTFUL)
        assert (world.row.status, talk.stored) == ("completed", stored)


# --- its end -----------------------------------------------------------------------------------


async def test_an_end_that_is_told_twice_is_the_same_end(autojump_clock: MockClock) -> None:
    """Whoever asks again may not know that it was heard."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.begin("1")
        for _ in range(2):
            await talk.end(THOUGHTFUL)
        assert (talk.statuses, world.row.status) == (SAID, "completed")


async def test_a_withdrawal_waits_for_a_beginning_that_is_still_being_written(
    autojump_clock: MockClock,
) -> None:
    """Then it undoes all of it, the wishes that came with the question too."""
    async with open_world() as world:
        talk, late = await two_talks(world)
        before, heads = talk.stored, talk.heads
        world.library.files["default"] = AgentFiles("Tea.", ())
        world.store.slow["begin_turn"] = 30
        wishes: dict[str, Any] = {
            "model": "claude-haiku-4-5",
            "system": "Pour.",
            "tools": [declared("brew")],
        }
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(late.begin, "2", **wishes))
            await trio.sleep(1)
            await late.withdraw()
        assert (talk.stored, talk.heads) == (msgspec.structs.replace(before, version=4), heads)
        assert (talk.statuses, len(world.store.rows), world.context.open_rows) == (SAID, 1, 0)
        await talk.turn("2")
        assert [content for role, content in talk.messages if role == "user"] == ["1", "2"]
        assert await talk.is_as_stored()


async def test_a_new_session_goes_with_the_beginning_that_has_made_it(
    autojump_clock: MockClock,
) -> None:
    """Its client has never heard of it."""
    async with open_world() as world:
        talk = Talk(world)
        world.store.slow["begin_turn"] = 30
        async with trio.open_nursery() as nursery:
            nursery.start_soon(talk.begin)
            await trio.sleep(1)
            await talk.withdraw()
        assert (world.store.sessions, world.store.rows, world.store.entries) == ({}, {}, {})
        assert world.context.open_rows == 0


async def test_a_beginning_is_undone_once(autojump_clock: MockClock) -> None:
    """Whoever has it withdrawn twice does not know that the first time was heard."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.begin()
        world.store.slow["withdraw_turn"] = 30
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(talk.withdraw)
        await talk.withdraw()
        assert world.store.calls.count("withdraw_turn") == 1


async def test_a_request_whose_turn_was_withdrawn_may_have_another_one(
    autojump_clock: MockClock,
) -> None:
    """Its client was told to send it again, and does so at once."""
    async with open_world() as world:
        talk, again = await two_talks(world)
        world.store.slow["begin_turn"] = 30
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(talk.begin, "2", request_id="r"))
            await trio.sleep(1)
            nursery.start_soon(talk.withdraw)
            await trio.sleep(1)
            await again.begin("2", request_id="r")
        assert [row.status for row in world.store.rows.values()] == ["completed", "open"]
        assert [content for role, content in again.messages if role == "user"] == ["1", "2"]


async def test_the_withdrawal_of_a_turn_whose_beginning_fails_late_writes_nothing(
    autojump_clock: MockClock,
) -> None:
    """There is no row to settle, in a new session and in an older one."""
    async with open_world() as world:
        for talk in await two_talks(world):
            world.store.slow["begin_turn"] = 30
            world.store.breaks("begin_turn")

            async def begin(talk: Talk = talk) -> None:
                with pytest.raises(GatewayError, match="The disk is full"):
                    await talk.begin("2")

            async with trio.open_nursery() as nursery:
                nursery.start_soon(begin)
                await trio.sleep(1)
                await talk.withdraw()
            world.store.works()
        assert (len(world.store.rows), world.context.open_rows) == (1, 0)


@pytest.mark.parametrize("status", ["unanswered", "refused"])
async def test_a_turn_that_is_not_sent_is_kept_for_people(
    status: Any, autojump_clock: MockClock
) -> None:
    """With its question, what it announced and what it said; the next turn tells it again."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.turn("1")
        world.library.files["default"] = AgentFiles("Tea.", ())
        await talk.begin("2")
        await talk.extend(answer(call()), results(result()))
        await talk.end(answer(text("No.")), unsent="turn", status=status)
        assert [role for role, _ in talk.statuses[2:]] == [
            *("user", "system", "assistant", "user", "assistant")
        ]
        assert {found for _, found in talk.statuses[2:]} == {status}
        assert talk.held().told.system == (("system_prompt", "Be brief."),)
        assert await talk.is_as_stored()
        await talk.turn("3")
        assert [role for role, _ in talk.messages] == ["user", "assistant", "user", "system"]


async def test_answers_of_tools_that_the_provider_does_not_take_are_replaced(
    autojump_clock: MockClock,
) -> None:
    """Their calls are answered with a word."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.begin("1", tools=[declared("brew")])
        await talk.extend(answer(THOUGHT, call()), results(result(content="bad")))
        await talk.end(results(result(content="Not shown.")), unsent="results")
        assert talk.statuses == [*SAID, ("user", "replaced"), ("user", "complete")]
        await talk.turn("2")
        shown = ("user", [result(content="Not shown.")])
        assert talk.messages[2:] == [shown, ("assistant", NO_ANSWER), ("user", "2")]
        assert await talk.is_as_stored()


async def test_a_bad_wish_is_not_asked_for_again(autojump_clock: MockClock) -> None:
    """The session has the model, system prompt and tools of before the turn."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.turn("1", system="Pour.", tools=[declared("brew")])
        before = talk.stored
        await talk.begin("2", model="claude-sonnet-9", system="No.", tools=[])
        assert talk.stored.model == "claude-sonnet-9"
        await talk.end(unsent="turn", restores=True)
        after = talk.stored
        assert (after.model, after.system, after.tools) == (MODEL, before.system, before.tools)
        assert await talk.is_as_stored()


async def test_an_answer_that_another_process_has_overtaken_is_not_stored(
    autojump_clock: MockClock,
) -> None:
    """Its row is; the session is read anew."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.turn("1")
        await talk.begin("2")
        overtake(talk)
        await talk.end(THOUGHTFUL)
        assert talk.statuses == [*SAID, ("user", "complete")]
        assert {row.status for row in world.store.rows.values()} == {"completed"}
        await talk.turn("3")
        assert [content for _, content in talk.messages] == ["1", SO, "2", "3"]


async def test_a_step_that_another_process_has_overtaken_is_not_sent(
    autojump_clock: MockClock,
) -> None:
    """What is in memory is not what is stored: it is read anew."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.begin("1")
        overtake(talk)
        with pytest.raises(GatewayError, match="SESSION_NOT_FOUND"):
            await talk.extend(answer(call()), results(result()))
        assert talk.statuses == [("user", "complete")]
        await talk.end()
        assert await talk.is_as_stored()


async def test_an_answer_that_cannot_be_measured_does_not_hide_its_bill(
    autojump_clock: MockClock,
) -> None:
    """The row is written; the answer is not."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.begin("1")
        world.tokenizer.failing = ZeroDivisionError()
        with pytest.raises(GatewayError, match="INTERNAL_ERROR"):
            await talk.end(THOUGHTFUL, billed=40)
        assert (world.row.status, world.row.steps[0].counts.uncached) == ("completed", 40)
        assert talk.statuses == [("user", "complete")]


async def test_a_bill_is_written_also_when_the_session_cannot_be_read(
    autojump_clock: MockClock,
) -> None:
    """And what is wrong is told."""
    async with open_world(history_cache_bytes=0) as world:
        talk = Talk(world)
        await talk.begin("1")
        world.store.breaks("load_session")
        with pytest.raises(GatewayError, match="The disk is full"):
            await talk.end(THOUGHTFUL, billed=40)
        assert (world.row.status, world.row.steps[0].counts.uncached) == ("completed", 40)
        assert world.context.open_rows == 0


# --- what is learned ---------------------------------------------------------------------------


async def test_the_latest_bill_is_what_the_next_estimate_begins_with(
    autojump_clock: MockClock,
) -> None:
    """Also when it is not the turn's first request."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.begin("1", tools=[declared("brew")])
        prompt = await talk.extend(answer(call()), results(result("c", "x" * 2_000)))
        counted = prompt.counted_tokens
        await talk.end(answer(text("So.")), billed=2 * counted + 346)
        built = await talk.begin("2")
        assert built.prompt.token_estimate == pytest.approx(2 * counted + 346, rel=0.02)


async def test_a_bill_of_nothing_teaches_nothing(autojump_clock: MockClock) -> None:
    """Nor does one of a request that is not known."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.begin("1")
        await talk.end(THOUGHTFUL, billed=0)
        assert (await talk.inspect()).calibration.samples == 0
        assert talk.held().billed is None


CODE: dict[str, Any] = {"server_tools": ["code_execution"]}
CONTAINER = {"id": "container_1", "expires_at": "2100-01-01T00:00:00Z"}


async def test_a_container_is_kept_with_the_session_and_named_from_then_on(
    autojump_clock: MockClock,
) -> None:
    """Where code may be executed; while the provider has it in use, and when it may not."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.begin("1", **CODE)
        assert "container" not in talk.body
        asked = KeepAnswer(
            turn=talk.row, at=0, messages=[answer(THOUGHT, call())], container=CONTAINER
        )
        await world.context_box.ask(asked)
        assert talk.stored.container is not None
        prompt = await talk.extend(answer(THOUGHT, call()), results(result()))
        assert (talk.body["container"], prompt.container) == ("container_1", "fresh")
        idle = {**CONTAINER, "expires_at": "1970-01-01T00:00:00Z"}
        await talk.end(THOUGHTFUL, container=idle)
        prompt = await talk.turn("2")
        assert (talk.body["container"], prompt.container) == ("container_1", "idle")
        await talk.turn("3", server_tools=[])
        assert "container" not in talk.body


async def test_a_container_that_is_gone_is_forgotten(autojump_clock: MockClock) -> None:
    """The request is otherwise the same, and no epoch begins."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.begin("1", **CODE)
        await talk.end(THOUGHTFUL, container=CONTAINER)
        await talk.begin("2")
        former = talk.body
        prompt = await talk.renew(container=True)
        assert former == {**talk.body, "container": "container_1"}
        assert (prompt.container, talk.stored.container, len(talk.heads)) == (None, None, 1)


async def test_an_answer_may_end_with_its_container_gone(autojump_clock: MockClock) -> None:
    """The next turn names none."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.begin("1", **CODE)
        await talk.end(THOUGHTFUL, container=CONTAINER)
        await talk.begin("2")
        await talk.end(THOUGHTFUL, container_gone=True)
        assert talk.stored.container is None
        await talk.turn("3")
        assert "container" not in talk.body
