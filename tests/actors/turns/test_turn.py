"""What a turn asks of the context, in which order, and what its session keeps of it."""

from __future__ import annotations

import json
import logging
from decimal import Decimal
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from actors.serving import BUG
from actors.turns.renewing import MOST_RENEWALS
from protocol.context import SentContext
from protocol.errors import GatewayError, ProviderError
from protocol.mail import (
    BeginTurn,
    CompleteTurn,
    ExtendContext,
    KeepAnswer,
    NewMessage,
    RenewContext,
    WithdrawTurn,
)
from protocol.provider.events import (
    ContentBlockStop,
    ErrorDetails,
    MalformedEvent,
    MessageDelta,
    MessageEnd,
    MessageStart,
    MessageStop,
    ProviderMessage,
    ProviderUsage,
    StreamError,
)
from protocol.server import Pong
from protocol.tools import ToolAnswer
from protocol.usage import Cost
from tests.actors.fakes import Step, begin, finish, open_block, piece, reply
from tests.actors.turns.fake_context import FakeContext, TurnWorld, open_turn_world
from tests.actors.turns.scripts import (
    AGAIN,
    SEARCH,
    WEATHER,
    calling,
    pausing,
    refusing,
    too_long,
)

BUSY = ProviderError("OVERLOADED", "The provider is busy.", retryable=True)
NO = ProviderError("LLM_ERROR", "No.")
SLOW_DISK = GatewayError("INTERNAL_ERROR", "The disk is full.", retryable=True)
TOO_LARGE = GatewayError("CONTEXT_TOO_LARGE", "The question alone is too large.")
PAST = "messages.1.content.0: Invalid `signature` in `thinking` block."


def told(messages: list[NewMessage]) -> list[tuple[str, Any]]:
    """Roles and contents."""
    return [(one.role, json.loads(one.content)) for one in messages]


def said(text: str) -> tuple[str, Any]:
    """An answer that is text alone."""
    return "assistant", [{"type": "text", "text": text}]


def result(content: str, **fields: Any) -> dict[str, Any]:
    """What answers the call of `WEATHER`."""
    return {"type": "tool_result", "tool_use_id": "toolu_1", "content": content, **fields}


CALL = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"at": "sea"}}
CALLED = ("assistant", [{"type": "text", "text": "Well."}, CALL])
WITHHELD = ("user", [result("The tool's answer could not be shown to you.", is_error=True)])


def with_weather(world: TurnWorld, *script: ToolAnswer | float) -> FakeContext:
    """The gateway runs a tool, which answers `Rain.`"""
    world.tools.offers("weather", *(script or [ToolAnswer(content="Rain.")] * 9), approval="auto")
    world.context.built["tools"] = [tool.rule for tool in world.tools.tools]
    return world.context


def context_in(trouble: str, context: FakeContext, kind: type) -> str:
    """The context is too slow for what is asked of this `kind`, or fails: the error's code."""
    if trouble == "slow":
        context.slow[kind] = 100
        return "OVERLOADED"
    context.failing[kind] = SLOW_DISK
    return "INTERNAL_ERROR"


# --- one turn, from its first mail to its last ---------------------------------------------------


async def test_a_turn_is_begun_and_completed(autojump_clock: MockClock) -> None:
    """One mail each: with the question, and with the settled row."""
    async with open_turn_world() as world:
        world.model.will(reply("Hello.", prompt=1_000, output=100))
        end = (await world.connect().converse())[-1]
        kinds = [type(one) for one in world.context.asked]
        assert kinds == [BeginTurn, CompleteTurn]
        (begun,) = world.context.of(BeginTurn)
        row = world.context.completed.turn
        assert (begun.turn_id, begun.created_at) == (row.turn_id, row.created_at)
        completed = world.context.completed
        assert (completed.at, told(completed.messages)) == (0, [said("Hello.")])
        assert (completed.unsent, completed.restores, completed.mismatched) == (
            "nothing",
            False,
            False,
        )
        assert (row.counted_tokens, row.token_estimate) == (100, 180)
        assert (row.status, row.stop_reason, row.error_code) == ("completed", "end_turn", None)
        assert row.cost == Cost(input_cost=Decimal("0.003"), output_cost=Decimal("0.0015"))
        assert row.settled_at is not None
        assert end["cost"]["totalCost"] == Decimal("0.0045")


async def test_what_a_step_says_is_added_before_the_next_request(
    autojump_clock: MockClock,
) -> None:
    """An answer before its tools run, the results after; in the end only the last answer is new."""
    async with open_turn_world() as world:
        context = with_weather(world)
        again = calling(("toolu_2", "weather", "{}"))
        world.model.will(calling(WEATHER, output=10), again, reply("Rain."))
        await world.connect().converse()
        kept, again_kept = context.of(KeepAnswer)
        assert (kept.at, told(kept.messages)) == (0, [CALLED])
        assert [step.counts.output for step in kept.turn.steps] == [10]
        first, second = context.of(ExtendContext)
        assert (first.at, told(first.messages)) == (1, [("user", [result("Rain.")])])
        assert [step.counts.output for step in first.turn.steps] == [10]
        assert (first.turn.status, again_kept.at, second.at) == ("open", 2, 3)
        completed = context.completed
        assert (completed.at, told(completed.messages)) == (4, [said("Rain.")])
        assert world.model.bodies == [b"1", b"3", b"5"]


async def test_an_answer_that_pauses_is_a_message_of_its_own(autojump_clock: MockClock) -> None:
    """It is added as it came, and what goes on is another."""
    async with open_turn_world() as world:
        world.model.will(pausing(), pausing(AGAIN), reply("Found."))
        end = (await world.connect().converse())[-1]
        assert [step["stopReason"] for step in end["steps"]] == [
            "pause_turn",
            "pause_turn",
            "end_turn",
        ]
        first, second = world.context.of(ExtendContext)
        assert (first.at, told(first.messages)) == (0, [("assistant", [SEARCH])])
        assert (second.at, told(second.messages)) == (1, [("assistant", [AGAIN])])
        completed = world.context.completed
        assert (completed.at, told(completed.messages)) == (2, [said("Found.")])


async def test_a_requests_body_is_let_go_once_its_answer_has_begun(
    autojump_clock: MockClock,
) -> None:
    """Memory stays flat while many turns stream; until then it may be sent again."""
    async with open_turn_world() as world:
        client = world.connect()
        go_on = trio.Event()
        world.model.will([BUSY], [go_on, begin(), open_block(), piece("Hel"), trio.Event()])
        await client.begun()
        await trio.sleep(2)
        (turn,) = world.llm._running
        assert (turn.step.prompt.body, turn.built.prompt.body) == (b"1", b"")
        go_on.set()
        await client.expect("chat.stream.delta")
        assert (turn.step.prompt.body, turn.step.prompt.own_from) == (b"", 4)
        assert world.model.bodies == [b"1", b"1"]


# --- asks whose outcome is not known -------------------------------------------------------------


@pytest.mark.parametrize("trouble", ["slow", "fails"])
async def test_messages_that_may_not_have_been_added_are_given_again(
    autojump_clock: MockClock, trouble: str
) -> None:
    """The same ones, with the same number: the context knows which of them it has."""
    async with open_turn_world() as world:
        context = with_weather(world)
        code = context_in(trouble, context, ExtendContext)
        world.model.will(calling(WEATHER))
        error = (await world.connect().converse())[-1]
        assert error["code"] == code
        (asked,) = context.of(ExtendContext)
        completed = context.completed
        assert (completed.at, completed.messages) == (asked.at, asked.messages)
        assert (completed.turn.status, completed.unsent) == ("failed", "nothing")


@pytest.mark.parametrize("trouble", ["slow", "fails"])
async def test_tools_do_not_run_where_what_calls_them_is_not_stored(
    autojump_clock: MockClock, trouble: str
) -> None:
    """Were the process killed then, the model would not know that it had called them."""
    async with open_turn_world() as world:
        context = with_weather(world)
        code = context_in(trouble, context, KeepAnswer)
        world.model.will(calling(WEATHER))
        error = (await world.connect().converse())[-1]
        assert error["code"] == code
        assert world.tools.called == []
        (asked,) = context.of(KeepAnswer)
        completed = context.completed
        assert (completed.at, completed.messages[:1]) == (0, asked.messages)


async def test_a_client_is_asked_once_its_call_is_stored(autojump_clock: MockClock) -> None:
    """Here the turn is cancelled before: nobody was asked, and the model is told so."""
    async with open_turn_world() as world:
        world.context.slow[KeepAnswer] = 5
        world.context.built["client_tools"] = ("weather",)
        world.model.will(calling(WEATHER))
        client = world.connect()
        await client.begun()
        await client.expect("chat.stream.delta")
        await client.silence()
        client.say("chat.cancel", requestId="r1")
        (end,) = await client.hear_out("r1")
        assert end["stopReason"] == "cancelled"
        completed = world.context.completed
        assert completed.at == 0
        _, (_, (answered,)) = told(completed.messages)
        assert answered["content"] == "This tool was not run."


async def test_a_client_that_was_asked_may_have_run_its_tool(autojump_clock: MockClock) -> None:
    """When the turn is cancelled then, the model is told that."""
    async with open_turn_world() as world:
        world.context.built["client_tools"] = ("weather",)
        world.model.will(calling(WEATHER))
        client = world.connect()
        await client.begun()
        await client.expect("chat.stream.delta")
        await client.expect("tool.call")
        client.say("chat.cancel", requestId="r1")
        error, _ = await client.hear_out("r1")
        assert "may have had its effect" in error["error"]
        ((_, (answered,)),) = told(world.context.completed.messages)
        assert "may have had its effect" in answered["content"]


async def test_a_cancel_while_messages_are_added_gives_them_again(
    autojump_clock: MockClock,
) -> None:
    """Whether they were added is not known."""
    async with open_turn_world() as world:
        context = with_weather(world)
        context.slow[ExtendContext] = 5
        world.model.will(calling(WEATHER))
        client = world.connect()
        await client.begun()
        await trio.sleep(1)
        client.say("chat.cancel", requestId="r1")
        assert (await client.hear_out("r1"))[-1]["stopReason"] == "cancelled"
        (asked,) = context.of(ExtendContext)
        assert (context.completed.at, context.completed.messages) == (1, asked.messages)


async def test_a_turn_that_does_not_begin_in_time_is_withdrawn(autojump_clock: MockClock) -> None:
    """Its beginning may yet be committed: then its row must not stay open."""
    async with open_turn_world() as world:
        world.context.slow[BeginTurn] = 100
        world.context.slow[WithdrawTurn] = 20
        (error,) = await world.connect().converse()
        assert (error["code"], trio.current_time()) == ("OVERLOADED", 15)
        await trio.sleep(20)
        asked = world.context.of(WithdrawTurn)
        (begun,) = world.context.of(BeginTurn)
        assert [one.turn_id for one in asked] == 2 * [begun.turn_id]  # it is asked until it is done
        assert world.model.bodies == []


async def test_a_mistake_in_a_beginning_withdraws_the_turn(autojump_clock: MockClock) -> None:
    """Nobody knows how far it came."""
    async with open_turn_world() as world:
        world.context.failing[BeginTurn] = GatewayError.of(BUG)
        (error,) = await world.connect().converse()
        assert error["code"] == "INTERNAL_ERROR"
        await trio.testing.wait_all_tasks_blocked()
        assert len(world.context.of(WithdrawTurn)) == 1


async def test_of_a_turn_that_may_not_begin_nothing_is_left(autojump_clock: MockClock) -> None:
    """The context actor has said so itself."""
    async with open_turn_world() as world:
        world.context.failing[BeginTurn] = TOO_LARGE
        (error,) = await world.connect().converse()
        assert error["code"] == "CONTEXT_TOO_LARGE"
        await trio.testing.wait_all_tasks_blocked()
        assert [type(one) for one in world.context.asked] == [BeginTurn]


async def test_a_mistake_of_the_gateway_leaves_no_row_open(autojump_clock: MockClock) -> None:
    """Here nobody knows what the turn cost; its session is told all the same."""
    async with open_turn_world() as world:
        client = world.connect()
        world.model.will([begin(), open_block(), piece("Hel"), 5, *finish()])
        await client.begun()
        world.prices.failing = ZeroDivisionError()
        assert (await client.hear_out("r1"))[-1]["code"] == "INTERNAL_ERROR"
        completed = world.context.completed
        assert (completed.turn.status, completed.turn.cost) == ("failed", None)
        assert (completed.turn.counts.input, completed.unsent) == (100, "nothing")
        assert told(completed.messages) == [said("Hel")]


async def test_an_estimate_that_cannot_be_had_does_not_hide_the_bill(
    autojump_clock: MockClock,
) -> None:
    """The provider's own figures stand, and the row is settled and priced."""
    async with open_turn_world() as world:
        client = world.connect()
        world.model.will([begin(), open_block(), piece("Hel"), trio.Event()])
        await client.begun()
        await client.expect("chat.stream.delta")
        world.tokenizer.failing = ZeroDivisionError()
        client.say("chat.cancel", requestId="r1")
        error = await client.expect("error", code="INTERNAL_ERROR")
        assert (error["usage"]["inputTokens"], error["usage"]["outputTokens"]) == (100, 1)
        row = world.context.completed.turn
        assert (row.status, row.error_code) == ("failed", "INTERNAL_ERROR")
        assert row.cost == Cost(
            input_cost=Decimal("0.0003"), output_cost=Decimal("0.000015"), estimated=True
        )


# --- what the session keeps ----------------------------------------------------------------------


async def test_a_question_that_the_provider_refuses_for_good_is_not_sent_again(
    autojump_clock: MockClock,
) -> None:
    """Nor is what came with it: the model, the system prompt and the tools are the former ones."""
    async with open_turn_world() as world:
        world.model.will([NO])
        await world.connect().converse()
        completed = world.context.completed
        assert (completed.unsent, completed.status, completed.restores) == (
            "turn",
            "unanswered",
            True,
        )
        assert completed.messages == []


@pytest.mark.parametrize("script", [[BUSY], [trio.Event()]])
async def test_a_question_that_failed_before_any_answer_is_not_sent_again(
    autojump_clock: MockClock, script: list[Step]
) -> None:
    """The client will ask it again; nothing was wrong with what came with it."""
    async with open_turn_world() as world:
        world.model.will(script, script, script)
        error = (await world.connect().converse())[-1]
        assert error["retryable"]
        completed = world.context.completed
        assert (completed.unsent, completed.status, completed.restores) == (
            "turn",
            "unanswered",
            False,
        )


async def test_a_cancelled_question_is_sent_with_the_next_one(autojump_clock: MockClock) -> None:
    """Also when nothing of its answer has come."""
    async with open_turn_world() as world:
        client = world.connect()
        world.model.will([trio.Event()])
        await client.begun()
        client.say("chat.cancel", requestId="r1")
        await client.hear_out("r1")
        completed = world.context.completed
        assert (completed.unsent, completed.messages) == ("nothing", [])
        assert completed.turn.status == "cancelled"


async def test_an_answer_that_broke_off_is_kept_with_its_question(
    autojump_clock: MockClock,
) -> None:
    """As `partial`, though it is nothing but text that was cut off."""
    async with open_turn_world() as world:
        world.model.will([begin(), open_block(), piece("Hel"), BUSY])
        await world.connect().converse()
        (message,) = world.context.completed.messages
        assert (message.status, told([message])) == ("partial", [said("Hel")])
        assert world.context.completed.unsent == "nothing"


@pytest.mark.parametrize("steps", [1, 2])
async def test_a_turn_that_the_model_declined_is_marked_as_refused(
    autojump_clock: MockClock, steps: int
) -> None:
    """All of it, whatever it has said before."""
    async with open_turn_world() as world:
        context = with_weather(world)
        declining = [begin(), open_block(), piece("I can"), *finish(stop="refusal")]
        world.model.will(*[calling(WEATHER)] * (steps - 1), declining)
        assert (await world.connect().converse())[-1]["stopReason"] == "refusal"
        completed = context.completed
        assert (completed.unsent, completed.status) == ("turn", "refused")
        assert (completed.at, told(completed.messages)) == (2 * (steps - 1), [said("I can")])


async def test_results_that_the_provider_refuses_are_given_in_other_words(
    autojump_clock: MockClock,
) -> None:
    """It would refuse every further message of the session."""
    async with open_turn_world() as world:
        context = with_weather(world)
        world.model.will(calling(WEATHER), refusing("messages.6.content.0: no"))
        await world.connect().converse()
        completed = context.completed
        assert (completed.unsent, completed.at) == ("results", 2)
        assert told(completed.messages) == [WITHHELD]
        assert not completed.restores


async def test_results_stay_when_the_provider_refuses_for_another_reason(
    autojump_clock: MockClock,
) -> None:
    """A key that counts no more says nothing of them."""
    async with open_turn_world() as world:
        context = with_weather(world)
        world.model.will(calling(WEATHER), [NO])
        await world.connect().converse()
        assert (context.completed.unsent, context.completed.messages) == ("nothing", [])


async def test_results_stay_when_the_failure_may_pass(autojump_clock: MockClock) -> None:
    """There is nothing wrong with them."""
    async with open_turn_world() as world:
        context = with_weather(world)
        world.model.will(calling(WEATHER), [BUSY], [BUSY], [BUSY])
        await world.connect().converse()
        assert (context.completed.unsent, context.completed.messages) == ("nothing", [])


async def test_a_pause_that_is_refused_has_no_results_to_withhold(
    autojump_clock: MockClock,
) -> None:
    """The next question finds it mended."""
    async with open_turn_world() as world:
        world.model.will(pausing(), [NO])
        await world.connect().converse()
        completed = world.context.completed
        assert (completed.unsent, completed.at, completed.messages) == ("nothing", 1, [])


@pytest.mark.parametrize("capped", [True, False])
async def test_an_answer_that_the_budget_made_short_says_so(
    autojump_clock: MockClock, capped: bool
) -> None:
    """For `maxCost` fewer tokens were asked for than without."""
    async with open_turn_world() as world:
        world.context.built["capped"] = capped
        world.model.will([begin(), open_block(), piece("Hel"), *finish(stop="max_tokens")])
        end = (await world.connect().converse())[-1]
        assert end["stopReason"] == ("budget" if capped else "max_tokens")
        assert world.context.completed.turn.status == "completed"


async def test_calls_that_were_not_run_are_answered(autojump_clock: MockClock) -> None:
    """The provider takes no call without its result."""
    async with open_turn_world(max_steps=1) as world:
        context = with_weather(world)
        world.model.will(calling(WEATHER))
        await world.connect().converse()
        answer, results = told(context.completed.messages)
        assert answer == CALLED
        assert results == ("user", [result("This tool was not run.", is_error=True)])


async def test_a_turn_that_ran_out_of_money_between_its_steps_gives_nothing_twice(
    autojump_clock: MockClock,
) -> None:
    """Its results were added when the next request was made, which was too dear."""
    async with open_turn_world() as world:
        context = with_weather(world)
        context.prompts.extend([{}, {"likely_cost": Decimal(1)}])
        world.model.will(calling(WEATHER))
        end = (await world.connect().converse(maxCost=0.5))[-1]
        assert (end["stopReason"], len(world.model.bodies)) == ("budget", 1)
        assert (context.completed.at, context.completed.messages) == (2, [])
        assert (context.completed.turn.status, context.completed.unsent) == (
            "cancelled",
            "nothing",
        )


async def test_of_what_is_too_large_by_no_figure_only_the_providers_word_is_told(
    autojump_clock: MockClock,
) -> None:
    """How much the model takes is not known then; what each section weighs is."""
    async with open_turn_world() as world:
        world.model.will([ProviderError("CONTEXT_TOO_LARGE", "The provider finds it too large.")])
        world.context.failing[RenewContext] = TOO_LARGE
        error = (await world.connect().converse())[-1]
        assert error["message"] == "The provider finds it too large."
        assert [section["name"] for section in error["sections"]] == ["history"]


async def test_a_failure_in_the_answer_names_the_providers_request(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """To the client, and in the one line of the log."""
    async with open_turn_world() as world:
        world.model.will([begin(), MalformedEvent("it is odd")])
        error = (await world.connect().converse())[-1]
        assert error["message"] == (
            "The provider sent something unreadable, and the answer broke off: it is odd. Send "
            "again. (The provider's request: req_fake)"
        )
        (line,) = [one.getMessage() for one in caplog.records]
        assert line.endswith(f"request {error['requestId']}, provider's request req_fake]")


async def test_a_reason_is_one_line_of_the_log(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it quotes."""
    async with open_turn_world() as world:
        world.model.will([ProviderError("LLM_ERROR", "It\nbroke\x1b[2J.")])
        await world.connect().converse()
        (line,) = [one.getMessage() for one in caplog.records]
        assert "failed: LLM_ERROR: It broke [2J. [session " in line


# --- requests that are made anew -----------------------------------------------------------------


async def test_a_prompt_that_is_too_long_is_made_anew_for_less_room(
    autojump_clock: MockClock,
) -> None:
    """It was estimated at 180 tokens and has 2,000; the room is 1,000, as the provider says."""
    async with open_turn_world() as world:
        world.context.prompts.extend([{}, {"token_estimate": 80}])
        world.model.will(too_long(2_000, 1_000), too_long(1_100, 1_000), reply("Hello."))
        assert (await world.connect().converse())[-1]["stopReason"] == "end_turn"
        assert [one.room for one in world.context.of(RenewContext)] == [90, 72]
        assert world.model.bodies == [b"1", b"2", b"3"]
        assert len(world.context.completed.turn.steps) == 1


async def test_a_prompt_is_not_shortened_without_end(autojump_clock: MockClock) -> None:
    """Nor when nothing is left to go: the failure says what each section weighs."""
    async with open_turn_world() as world:
        world.model.will(*[too_long(2_000 + 100 * n, 1_000) for n in range(9)])
        client = world.connect()
        error = (await client.converse())[-1]
        assert (error["code"], len(world.model.bodies)) == ("CONTEXT_TOO_LARGE", MOST_RENEWALS + 1)
        world.context.asked.clear()
        world.context.failing[RenewContext] = TOO_LARGE
        error = (await client.converse())[-1]
        assert error["message"] == TOO_LARGE.failure.message
        assert [section["name"] for section in error["sections"]] == ["history"]
        assert (world.context.completed.unsent, world.context.completed.restores) == ("turn", True)


async def test_a_request_whose_container_is_gone_is_made_once_without(
    autojump_clock: MockClock,
) -> None:
    """The answer that has told of a container hands it on."""
    told = {"id": "container_2"}
    end = MessageDelta(MessageEnd("end_turn", container=told), ProviderUsage(output_tokens=1))
    async with open_turn_world() as world:
        world.context.prompts.extend([{"container": "fresh"}, {}])
        gone = refusing("Container not found: container_1")
        so: list[Step] = [
            begin(),
            open_block(),
            piece("So."),
            ContentBlockStop(0),
            end,
            MessageStop(),
        ]
        world.model.will(gone, [*so, end, MessageStop()])
        await world.connect().converse()
        (asked,) = world.context.of(RenewContext)
        assert asked == RenewContext(turn=asked.turn, container=True)
        assert world.context.completed.container == told


@pytest.mark.parametrize("use", ["fresh", None])
async def test_a_container_that_is_gone_in_mid_answer_is_given_up(
    use: str | None, autojump_clock: MockClock
) -> None:
    """A part of the answer is shown, so it is not asked for again; the next turn names none."""
    gone = StreamError(ErrorDetails("not_found_error", "Container container_1 not found"))
    async with open_turn_world() as world:
        world.context.prompts.append({"container": use})
        world.model.will([begin(), open_block(), piece("So."), gone])
        error = (await world.connect().converse())[-1]
        assert "Container container_1 not found" in error["message"]
        assert world.context.of(RenewContext) == []
        assert world.context.completed.container_gone == (use is not None)


async def test_a_refusal_of_the_past_begins_a_new_epoch(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and the client is told."""
    epoch = SentContext(left_out_turns=0, left_out_messages=0, epoch=2)
    async with open_turn_world() as world:
        world.context.prompts.extend([{}, {"context": epoch}])
        world.model.will(refusing(PAST), reply("Hello."))
        with caplog.at_level(logging.INFO):
            end = (await world.connect().converse())[-1]
        (renewed,) = world.context.of(RenewContext)
        assert (renewed.room, renewed.turn.turn_id) == (None, end["turnId"])
        assert end["context"] == {"leftOutTurns": 0, "leftOutMessages": 0, "epoch": 2}
        assert "in a new epoch" in caplog.text
        assert not world.context.completed.mismatched


async def test_a_new_epoch_is_begun_once_a_turn(autojump_clock: MockClock) -> None:
    """Refused again, it was something else."""
    async with open_turn_world() as world:
        world.model.will(*[refusing(PAST.replace("messages.1", "messages.9"))] * 2)
        error = (await world.connect().converse())[-1]
        assert (error["code"], len(world.model.bodies)) == ("LLM_ERROR", 2)
        assert (world.context.completed.unsent, world.context.completed.restores) == ("turn", True)


async def test_a_refusal_of_the_turns_own_messages_is_final(autojump_clock: MockClock) -> None:
    """They begin with number 4 here."""
    async with open_turn_world() as world:
        world.model.will(refusing("messages.4.content.0.image.source: Could not process image"))
        assert (await world.connect().converse())[-1]["code"] == "LLM_ERROR"
        assert world.context.of(RenewContext) == []


async def test_a_request_that_is_too_dear_once_it_is_made_anew_is_not_sent(
    autojump_clock: MockClock,
) -> None:
    """The provider remembers nothing of a new epoch."""
    async with open_turn_world() as world:
        world.context.prompts.extend([{}, {"likely_cost": Decimal(1)}])
        world.model.will(refusing(PAST))
        end = (await world.connect().converse(maxCost=0.5))[-1]
        assert (end["stopReason"], len(world.model.bodies)) == ("budget", 1)


# --- what the model has not seen -----------------------------------------------------------------


def mismatching(blocks: int, what: str = "thinking_dropped") -> MessageStart:
    """An answer begins that says of so many thinking blocks that they did not fit."""
    dropped = {"type": what, "reason": "prefix_binding_mismatch"}
    usage = ProviderUsage(input_tokens=100, output_tokens=1)
    return MessageStart(ProviderMessage("m", usage, [dropped] * blocks))


async def test_thinking_that_did_not_fit_is_told_to_all(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """To the log, to the client, and to the context, which begins a new epoch."""
    async with open_turn_world() as world:
        context = with_weather(world)
        first = calling(WEATHER)
        world.model.will([mismatching(2), *first[1:]], reply("Rain."))
        end = (await world.connect().converse())[-1]
        assert end["context"]["droppedThinking"] == 2
        assert context.completed.mismatched
        assert "found 2 thinking blocks" in caplog.text


async def test_thinking_that_was_let_through_is_not_told_as_dropped(
    autojump_clock: MockClock,
) -> None:
    """The model has seen it; but it did not fit, so the next turn begins a new epoch."""
    async with open_turn_world() as world:
        context = with_weather(world)
        first = calling(WEATHER)
        let_through = mismatching(2, "thinking_mismatch_allowed")
        world.model.will([let_through, *first[1:]], reply("Rain."))
        frames = await world.connect(hello=Pong(request_id="hello")).converse()
        assert "chat.stream.notice" not in {frame["type"] for frame in frames}
        assert "context" not in frames[-1]
        assert context.completed.mismatched


async def test_what_is_told_of_the_context_is_of_the_latest_request(
    autojump_clock: MockClock,
) -> None:
    """With what the provider cleared; an epoch that any of them began is told."""
    end = MessageDelta(
        MessageEnd("end_turn"),
        ProviderUsage(output_tokens=5),
        {"applied_edits": [{"cleared_tool_uses": 3, "cleared_input_tokens": 9_000}]},
    )
    async with open_turn_world() as world:
        context = with_weather(world)
        began = SentContext(left_out_turns=1, left_out_messages=2, epoch=3)
        later = SentContext(left_out_turns=4, left_out_messages=9)
        context.prompts.extend([{"context": began}, {"context": later}])
        last: list[Step] = [begin(), open_block(), piece("Yes."), ContentBlockStop(0)]
        world.model.will(calling(WEATHER), [*last, end, MessageStop()])
        assert (await world.connect().converse())[-1]["context"] == {
            "leftOutTurns": 4,
            "leftOutMessages": 9,
            "clearedToolUses": 3,
            "clearedTokens": 9_000,
            "epoch": 3,
        }


async def test_an_epoch_is_told_though_nothing_else_is(autojump_clock: MockClock) -> None:
    """The latest request has nothing to say of what it leaves out."""
    async with open_turn_world() as world:
        context = with_weather(world)
        began = SentContext(left_out_turns=1, left_out_messages=2, epoch=3)
        context.prompts.extend([{"context": began}, {"context": None}])
        world.model.will(calling(WEATHER), reply("Rain."))
        assert (await world.connect().converse())[-1]["context"]["epoch"] == 3


async def test_a_turn_that_sees_all_has_nothing_to_tell(autojump_clock: MockClock) -> None:
    """No word of its context."""
    async with open_turn_world() as world:
        assert "context" not in (await world.connect().converse())[-1]
