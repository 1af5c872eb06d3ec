"""The tool loop: calls run, results go back, until the model is done or has had enough."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from protocol.errors import GatewayError, ProviderError
from protocol.mail import AnswerTool, ApproveTool
from protocol.provider.events import (
    ContentBlockStart,
    ContentBlockStop,
    MessageDelta,
    MessageEnd,
    MessageStop,
    ProviderUsage,
)
from protocol.repetition import SAME_FAILURES, SAME_STEPS
from protocol.tools import ToolAnswer
from tests.actors.fakes import (
    Client,
    Frame,
    Step,
    World,
    begin,
    finish,
    kinds_of,
    open_block,
    open_world,
    piece,
    reply,
    text_of,
)
from tests.actors.turns.scripts import AGAIN, FOUND, SEARCH, TIME, WEATHER, calling, pausing

BAD = ToolAnswer(content="It broke.", is_error=True)


def only(frames: Sequence[Frame], kind: str) -> list[Frame]:
    """The frames of one type."""
    return [frame for frame in frames if frame["type"] == kind]


def sent(world: World, number: int = -1) -> list[dict[str, Any]]:
    """The messages of a request."""
    messages: list[dict[str, Any]] = msgspec.json.decode(world.model.bodies[number])["messages"]
    return messages


def asked(world: World) -> list[str]:
    """The texts of the questions in the last request."""
    blocks = [block for one in sent(world) if one["role"] == "user" for block in one["content"]]
    return [block["text"] for block in blocks if block["type"] == "text"]


def results(world: World) -> list[tuple[str, Any, bool]]:
    """What the last request told the model of its tools."""
    return [
        (block["tool_use_id"], block["content"], block.get("is_error", False))
        for block in sent(world)[-1]["content"]
    ]


async def hear_until(client: Client, kind: str) -> list[Frame]:
    """The frames up to the first of this type."""
    frames = [await client.hear()]
    while frames[-1]["type"] != kind:
        frames.append(await client.hear())
    return frames


async def test_a_call_runs_and_its_result_goes_back(autojump_clock: MockClock) -> None:
    """Until the model is done; the turn is one, its usage the sum, its steps are told."""
    async with open_world() as world:
        world.tools.offers("weather", ToolAnswer(content="Rain."), approval="auto")
        world.model.will(
            calling(WEATHER, prompt=100, output=10), reply("Take a coat.", prompt=150, output=20)
        )
        frames = await world.connect().converse()
        assert kinds_of(frames) == [
            "session.created",
            "chat.stream.start",
            "chat.stream.delta",
            "tool.call",
            "tool.result",
            "chat.stream.delta",
            "chat.stream.end",
        ]
        (call,), (result,) = only(frames, "tool.call"), only(frames, "tool.result")
        assert (call["toolName"], call["args"], call.get("clientSide")) == (
            "weather",
            {"at": "sea"},
            None,
        )
        assert (result["toolCallId"], result["result"]) == ("toolu_1", "Rain.")
        assert world.tools.called == [("weather", {"at": "sea"})]
        assert results(world) == [("toolu_1", "Rain.", False)]
        assert sent(world)[:-2] == sent(world, 0)
        end = frames[-1]
        assert (end["usage"]["inputTokens"], end["usage"]["outputTokens"]) == (250, 30)
        assert [step["stopReason"] for step in end["steps"]] == ["tool_use", "end_turn"]
        assert [step["usage"]["outputTokens"] for step in end["steps"]] == [10, 20]
        assert [step.counts.output for step in world.row.steps] == [10, 20]
        assert world.row.counts.input == 250
        history = [message.role for message in world.store.messages]
        assert history == ["user", "assistant", "user", "assistant"]


async def test_the_next_message_finds_the_whole_loop_in_the_history(
    autojump_clock: MockClock,
) -> None:
    """Byte for byte what was sent and received."""
    async with open_world() as world:
        world.tools.offers("weather", approval="auto")
        client = world.connect()
        world.model.will(calling(WEATHER), reply("Rain."))
        session_id = (await client.converse())[0]["sessionId"]
        loop = sent(world)
        await client.converse("And?", sessionId=session_id)
        assert sent(world)[: len(loop)] == loop


async def test_parallel_calls_run_side_by_side_and_return_in_order(
    autojump_clock: MockClock,
) -> None:
    """The slow one first, as the model called them; each frame as it happens."""
    async with open_world() as world:
        world.tools.offers("weather", 5.0, approval="auto")
        world.tools.offers("time", 3.0, approval="auto")
        world.model.will(calling(WEATHER, TIME), reply("Done."))
        began = trio.current_time()
        frames = await world.connect().converse()
        assert trio.current_time() == began + 5
        done = [frame["toolName"] for frame in only(frames, "tool.result")]
        assert done == ["time", "weather"]
        assert [call_id for call_id, _, _ in results(world)] == ["toolu_1", "toolu_2"]


async def test_only_so_many_tools_of_a_turn_run_at_once(autojump_clock: MockClock) -> None:
    """Four here: the fifth waits for a place."""
    async with open_world() as world:
        world.tools.offers("time", *[1.0] * 5, approval="auto")
        world.model.will(calling(*[(f"t{n}", "time", "{}") for n in range(5)]), reply("Done."))
        client = world.connect()
        began = trio.current_time()
        await client.begun()
        await trio.sleep(0.5)
        assert world.tools.running == 4
        assert len(only(await client.hear_out("r1"), "tool.result")) == 5
        assert trio.current_time() == began + 2


# --- what becomes of a call --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ([BAD], "It broke."),
        ([RuntimeError("secret")], "The tool could not be run."),
        ([31.0], "The tool was stopped: it took longer than 30 seconds."),
    ],
)
async def test_a_failure_is_told_to_the_model_and_it_goes_on(
    autojump_clock: MockClock, script: list[Any], told: str
) -> None:
    """Nothing of the gateway's inside is told."""
    async with open_world() as world:
        world.tools.offers("weather", *script, approval="auto")
        world.model.will(calling(WEATHER), reply("Never mind."))
        frames = await world.connect().converse()
        (error,) = only(frames, "tool.error")
        assert (error["toolName"], error["error"]) == ("weather", told)
        assert results(world) == [("toolu_1", told, True)]
        assert frames[-1]["stopReason"] == "end_turn"


async def test_a_tool_that_is_not_there_is_said_to_be_not_there(autojump_clock: MockClock) -> None:
    """A model may make names up."""
    async with open_world() as world:
        world.model.will(calling(WEATHER), reply("Never mind."))
        await world.connect().converse()
        assert results(world) == [("toolu_1", "There is no tool named weather.", True)]


async def test_a_long_answer_is_cut_and_says_so(autojump_clock: MockClock) -> None:
    """A text, and the texts among blocks; what is no text is left alone."""
    picture = {"type": "image", "source": {"type": "url", "url": "https://a.example/x.png"}}
    blocks: list[Any] = [
        {"type": "text", "text": "ü" * 400},
        picture,
        {"type": "text", "text": "ü" * 400},
    ]
    async with open_world() as world:
        world.tools.offers("weather", ToolAnswer(content="ü" * 1_500), approval="auto")
        world.tools.offers("time", ToolAnswer(content=blocks), approval="auto")
        world.model.will(calling(WEATHER, TIME), reply("Long."))
        await world.connect().converse()
        (_, text, _), (_, content, _) = results(world)
        assert text == "ü" * 500 + "\n[2,000 bytes more were left out here]"
        assert content == [
            blocks[0],
            picture,
            {"type": "text", "text": "ü" * 100 + "\n[600 bytes more were left out here]"},
        ]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (ToolAnswer(content="", is_error=True), "The tool failed and gave no reason."),
        (ToolAnswer(content=[], is_error=True), "The tool failed and gave no reason."),
        (
            ToolAnswer(
                content=[{"type": "image"}, {"type": "text", "text": "Bad."}], is_error=True
            ),
            "Bad.",
        ),
        (ToolAnswer(content=""), ""),
        (ToolAnswer(content=[{"type": "text", "text": " "}]), []),
    ],
)
async def test_an_answer_is_brought_into_a_form_that_the_provider_takes(
    autojump_clock: MockClock, answer: ToolAnswer, told: Any
) -> None:
    """A failure has words and nothing else; no text is blank."""
    async with open_world() as world:
        world.tools.offers("weather", answer, approval="auto")
        world.model.will(calling(WEATHER), reply("Well."))
        await world.connect().converse()
        assert results(world) == [("toolu_1", told, answer.is_error)]


async def test_an_answer_that_the_provider_refuses_is_not_sent_again(
    autojump_clock: MockClock,
) -> None:
    """It would refuse every further message of the session."""
    async with open_world() as world:
        picture = {"type": "image", "source": {"type": "url", "url": "http://a.example/x.png"}}
        world.tools.offers("weather", ToolAnswer(content=[picture]), approval="auto")
        error = ProviderError("LLM_ERROR", "No such picture.")
        error.refusal = "messages.2.content.0: no such picture"
        world.model.will(calling(WEATHER), [error])
        client = world.connect()
        session_id = (await client.converse())[0]["sessionId"]
        await client.converse("Go on.", sessionId=session_id)
        told = sent(world)[2]["content"][0]
        assert told["content"] == "The tool's answer could not be shown to you."


# --- tools that the client runs ----------------------------------------------------------------

DECLARED = [{"name": "weather", "description": "Weather.", "inputSchema": {"type": "object"}}]


async def test_a_client_runs_its_own_tools(autojump_clock: MockClock) -> None:
    """It is asked with `clientSide`, and answers with text or blocks, or with an error."""
    async with open_world() as world:
        client = world.connect()
        world.model.will(
            calling(WEATHER, ("toolu_3", "weather", "{}"), ("toolu_4", "weather", "{}")),
            reply("Rain."),
        )
        client.send(tools=DECLARED)
        await hear_until(client, "tool.call")
        block = {"type": "text", "text": "Rain."}
        client.say("tool.output", toolCallId="toolu_3", content=[block])
        client.say("tool.output", toolCallId="toolu_1", content="Sun.")
        client.say("tool.output", toolCallId="toolu_4", content="No idea.", isError=True)
        frames = await client.hear_out("r1")
        assert frames[-1]["stopReason"] == "end_turn"
        assert results(world) == [
            ("toolu_1", "Sun.", False),
            ("toolu_3", [block], False),
            ("toolu_4", "No idea.", True),
        ]


async def test_a_client_is_asked_once_the_answer_stands(autojump_clock: MockClock) -> None:
    """Not while the model still writes; then any other connection may answer, too."""
    async with open_world() as world:
        client, other = world.connect(), world.connect()
        *steps, end, stop = calling(WEATHER)
        go_on = trio.Event()
        world.model.will([*steps, go_on, end, stop], reply("Rain."))
        client.send(tools=DECLARED)
        await hear_until(client, "chat.stream.delta")
        await client.silence()
        other.say("tool.output", toolCallId="toolu_1", content="Too early.")
        await other.expect("error", code="REQUEST_NOT_FOUND")
        go_on.set()
        await client.expect("tool.call", toolCallId="toolu_1", clientSide=True)
        other.say("tool.output", toolCallId="toolu_1", content="Sun.")
        await client.hear_out("r1")
        assert results(world) == [("toolu_1", "Sun.", False)]
        await other.silence()


CUT_SHORT = ["end_turn", "stop_sequence", "max_tokens", "model_context_window_exceeded", "refusal"]


@pytest.mark.parametrize("stop", CUT_SHORT)
async def test_a_call_of_an_answer_that_does_not_call_is_not_run(
    stop: str, autojump_clock: MockClock
) -> None:
    """Only `tool_use` asks for it. Nothing is shown; the model is told, if it gets the turn."""
    async with open_world() as world:
        world.tools.offers("time", approval="auto")
        world.model.will(calling(WEATHER, TIME, stop=stop))
        client = world.connect()
        frames = await client.converse(tools=DECLARED)
        assert frames[-1]["stopReason"] == stop
        assert kinds_of(frames)[-2:] == ["chat.stream.delta", "chat.stream.end"]
        assert world.tools.called == []
        question = frames[0]["sessionId"]
        await client.converse(id="r2", sessionId=question, tools=DECLARED)
        told = [block for one in sent(world) for block in one["content"]]
        expected = [] if stop == "refusal" else ["This tool was not run."] * 2
        assert [one["content"] for one in told if one["type"] == "tool_result"] == expected


async def test_a_client_that_does_not_answer_is_not_waited_for_without_end(
    autojump_clock: MockClock,
) -> None:
    """The model is told; an answer that comes too late is refused."""
    async with open_world() as world:
        client = world.connect()
        world.model.will(calling(WEATHER), reply("Never mind."))
        began = trio.current_time()
        await client.converse(tools=DECLARED)
        assert trio.current_time() == began + 60
        told = "The client did not answer within 60 seconds."
        assert results(world) == [("toolu_1", told, True)]
        client.say("tool.output", toolCallId="toolu_1", content="Sun.")
        await client.expect("error", code="REQUEST_NOT_FOUND")


async def test_an_answer_that_nobody_waits_for_is_refused(autojump_clock: MockClock) -> None:
    """Of an unknown call, of one that the gateway runs, of one that has its answer."""
    async with open_world() as world:
        client = world.connect()
        world.tools.offers("time", 5.0, approval="auto")
        world.model.will(calling(WEATHER, TIME), reply("Rain."))
        client.send(tools=DECLARED)
        await hear_until(client, "tool.call")
        await client.expect("tool.call")
        client.say("tool.output", toolCallId="toolu_1", content="Sun.")
        await client.expect("tool.result")
        for call_id in ("toolu_1", "toolu_2", "toolu_9"):
            client.say("tool.output", toolCallId=call_id, content="Sun.")
            await client.expect("error", code="REQUEST_NOT_FOUND")
        await client.hear_out("r1")
        assert results(world)[0] == ("toolu_1", "Sun.", False)


async def test_two_turns_may_call_with_the_same_id(autojump_clock: MockClock) -> None:
    """The turn that the answering client watches is meant."""
    async with open_world() as world:
        clients = [world.connect(), world.connect()]
        world.model.will(calling(WEATHER), calling(WEATHER), reply("One."), reply("Two."))
        for client in clients:
            client.send(tools=DECLARED)
            await hear_until(client, "tool.call")
        for client, content in reversed([*zip(clients, ("Sun.", "Rain."), strict=True)]):
            client.say("tool.output", toolCallId="toolu_1", content=content)
            (result, *_) = await client.hear_out("r1")
            assert result["result"] == content


# --- consent -----------------------------------------------------------------------------------


def approve(client: Client, call_id: str = "toolu_1", **fields: Any) -> None:
    """Say that a call may run."""
    client.say("tool.approval.response", toolCallId=call_id, **{"approved": True, **fields})


@pytest.mark.parametrize("approval", ["session", "always"])
async def test_a_tool_that_needs_consent_waits_for_it(
    autojump_clock: MockClock, approval: str
) -> None:
    """It is told what the call would do, and how risky that is."""
    async with open_world() as world:
        world.tools.offers("weather", approval=approval, risk="high")
        world.model.will(calling(WEATHER), reply("Rain."))
        client = world.connect()
        client.send()
        asked = (await hear_until(client, "tool.approval.request"))[-1]
        assert (asked["toolCallId"], asked["args"], asked["risk"]) == (
            "toolu_1",
            {"at": "sea"},
            "high",
        )
        await trio.sleep(80)
        assert world.tools.called == []
        approve(client)
        await client.hear_out("r1")
        assert world.tools.called == [("weather", {"at": "sea"})]


async def test_a_denial_reaches_the_model_as_such(autojump_clock: MockClock) -> None:
    """And the tool does not run."""
    async with open_world() as world:
        world.tools.offers("weather")
        world.model.will(calling(WEATHER), reply("As you like."))
        client = world.connect()
        client.send()
        await hear_until(client, "tool.approval.request")
        approve(client, approved=False, sessionApprove=True)
        approve(client)
        frames = await client.hear_out("r1")
        assert world.tools.called == []
        assert results(world) == [("toolu_1", "The user does not allow this call.", True)]
        assert frames[-1]["stopReason"] == "end_turn"


async def test_silence_is_a_denial(autojump_clock: MockClock) -> None:
    """And consent that comes too late is refused."""
    async with open_world() as world:
        world.tools.offers("weather")
        world.model.will(calling(WEATHER), reply("As you like."))
        client = world.connect()
        began = trio.current_time()
        client.send()
        await client.hear_out("r1")
        assert trio.current_time() == began + 90
        assert world.tools.called == []
        told = "Nobody allowed this call in time, so it was not run."
        assert results(world) == [("toolu_1", told, True)]
        approve(client)
        await client.expect("error", code="REQUEST_NOT_FOUND")


async def test_consent_for_the_session_is_remembered_for_it_alone(
    autojump_clock: MockClock,
) -> None:
    """Another session is asked again."""
    async with open_world() as world:
        world.tools.offers("weather")
        world.model.will(calling(WEATHER), reply("1"), calling(WEATHER), reply("2"))
        client = world.connect()
        client.send()
        session_id = (await client.hear())["sessionId"]
        await hear_until(client, "tool.approval.request")
        approve(client, sessionApprove=True)
        await client.hear_out("r1")
        frames = await client.converse("Again.", sessionId=session_id)
        assert only(frames, "tool.approval.request") == []
        assert len(world.tools.called) == 2
        world.model.will(calling(WEATHER), reply("3"))
        assert only(await client.converse(), "tool.approval.request")
        assert len(world.tools.called) == 2


async def test_consent_without_more_is_for_one_call(autojump_clock: MockClock) -> None:
    """The next one is asked about again; where it is needed always, `sessionApprove` is too."""
    for fields, approval in (({}, "session"), ({"sessionApprove": True}, "always")):
        async with open_world() as world:
            world.tools.offers("weather", approval=approval)
            world.model.will(calling(WEATHER), calling(("toolu_5", "weather", "{}")), reply("2"))
            client = world.connect()
            client.send()
            for call_id in ("toolu_1", "toolu_5"):
                await hear_until(client, "tool.approval.request")
                approve(client, call_id, **fields)
            await client.hear_out("r1")
            assert len(world.tools.called) == 2


async def test_consent_for_the_session_frees_the_like_calls_that_wait(
    autojump_clock: MockClock,
) -> None:
    """But not those of another tool."""
    async with open_world() as world:
        world.tools.offers("weather")
        world.tools.offers("time")
        again = ("toolu_3", "weather", '{"at": "top"}')
        world.model.will(calling(WEATHER, again, TIME), reply("Done."))
        client = world.connect()
        client.send()
        for _ in range(3):
            await hear_until(client, "tool.approval.request")
        approve(client, sessionApprove=True)
        await client.hear_out("r1")
        assert [name for name, _ in world.tools.called] == ["weather", "weather"]


# --- cancel ------------------------------------------------------------------------------------


async def test_a_cancel_ends_the_tools_and_settles_them_for_the_model(
    autojump_clock: MockClock,
) -> None:
    """What is done is kept; the next message finds every call answered."""
    async with open_world() as world:
        world.tools.offers("weather", 29.0, approval="auto")
        world.tools.offers("time", approval="auto")
        world.model.will(calling(WEATHER, TIME), reply("Then."))
        client = world.connect()
        client.send()
        session_id = (await client.hear())["sessionId"]
        await hear_until(client, "tool.result")
        client.say("chat.cancel", requestId="r1")
        told, end = await client.hear_out("r1")
        assert (told["type"], told["toolName"]) == ("tool.error", "weather")
        assert "It may have had its effect." in told["error"]
        assert (end["stopReason"], end["usage"]["estimated"]) == ("cancelled", False)
        assert (world.tools.running, world.row.status) == (0, "cancelled")
        await client.converse("Go on.", sessionId=session_id)
        again = sent(world)
        # A few words close what the calls began, so that the question begins anew.
        assert [one["role"] for one in again] == ["user", "assistant"] * 2 + ["user"]
        assert [block["content"] for block in again[2]["content"]] == [
            told["error"],
            "time is done.",
        ]


async def test_consent_to_a_call_of_a_cancelled_turn_counts_for_nothing(
    autojump_clock: MockClock,
) -> None:
    """Not for the session either, however fast it follows the cancel."""
    async with open_world() as world:
        world.tools.offers("weather")
        world.model.will(calling(WEATHER))
        client = world.connect()
        client.send()
        session_id = (await client.hear())["sessionId"]
        await hear_until(client, "tool.approval.request")
        client.say("chat.cancel", requestId="r1")
        approve(client, sessionApprove=True)
        heard = [await client.hear() for _ in range(3)]
        assert "REQUEST_NOT_FOUND" in {frame.get("code") for frame in heard}
        assert "This tool was not run." in {frame.get("error") for frame in heard}
        world.model.will(calling(WEATHER))
        client.send(sessionId=session_id)
        await hear_until(client, "tool.approval.request")
        assert world.tools.called == []


async def test_a_search_that_waits_beside_a_call_is_kept_until_it_is_done(
    autojump_clock: MockClock,
) -> None:
    """The provider runs it when the call's result comes; without a result the history drops it."""
    for finds in (True, False):
        async with open_world() as world:
            world.tools.offers("weather", approval="auto")
            *steps, end, stop = calling(WEATHER)
            search: list[Step] = [ContentBlockStart(2, SEARCH), ContentBlockStop(2)]
            found: list[Step] = [begin(), ContentBlockStart(0, FOUND), *finish()]
            world.model.will([*steps, *search, end, stop], found if finds else reply("No."))
            client = world.connect()
            session_id = (await client.converse())[0]["sessionId"]
            assert SEARCH in sent(world)[1]["content"]
            await client.converse("And?", sessionId=session_id)
            assert (SEARCH in sent(world)[1]["content"]) == finds


async def test_a_later_step_that_fails_keeps_what_was_done(autojump_clock: MockClock) -> None:
    """Its steps are billed, and the history has them."""
    async with open_world() as world:
        world.tools.offers("weather", approval="auto")
        refusal = ProviderError("LLM_ERROR", "No.")
        world.model.will(calling(WEATHER, prompt=100, output=10), [refusal])
        error = (await world.connect().converse())[-1]
        assert (error["code"], error["usage"]["outputTokens"]) == ("LLM_ERROR", 10)
        assert world.row.status == "failed"
        roles = [message.role for message in world.store.messages]
        assert roles == ["user", "assistant", "user"]


# --- when it is enough -------------------------------------------------------------------------


async def test_a_turn_makes_only_so_many_requests(autojump_clock: MockClock) -> None:
    """Eight here; the calls of the last one are not run."""
    async with open_world() as world:
        world.tools.offers("weather", approval="auto")
        scripts = [calling((f"t{n}", "weather", f'{{"n": {n}}}')) for n in range(9)]
        world.model.will(*scripts)
        frames = await world.connect().converse()
        assert frames[-1]["stopReason"] == "max_steps"
        assert (len(world.tools.called), len(world.model.bodies)) == (7, 8)
        assert (world.row.status, world.row.stop_reason) == ("completed", "max_steps")
        assert world.store.messages[-1].role == "user"


@pytest.mark.parametrize(("answer", "steps"), [(BAD, SAME_FAILURES), (None, SAME_STEPS)])
async def test_a_circle_ends_the_turn(
    autojump_clock: MockClock, answer: ToolAnswer | None, steps: int
) -> None:
    """The same failure again, or no progress."""
    async with open_world() as world:
        world.tools.offers("weather", *([answer] * 9 if answer else []), approval="auto")
        world.model.will(*[calling((f"t{n}", "weather", "{}")) for n in range(8)])
        end = (await world.connect().converse())[-1]
        assert (end["stopReason"], len(world.tools.called)) == ("repetition", steps)


async def test_a_budget_is_for_all_steps_together(autojump_clock: MockClock) -> None:
    """What is left must do for the next request, or it is not made."""
    async with open_world() as world:
        world.tools.offers("weather", ToolAnswer(content="x" * 900), approval="auto")
        world.model.will(calling(WEATHER, prompt=100, output=100), reply("No."))
        frames = await world.connect().converse(maxCost=0.0045)
        assert (frames[-1]["stopReason"], len(world.model.bodies)) == ("budget", 1)
        assert world.row.status == "cancelled"


async def test_a_next_step_that_does_not_fit_says_so(autojump_clock: MockClock) -> None:
    """What was done is kept."""
    async with open_world(max_tokens=100) as world:
        world.model.window = 700
        world.tools.offers("weather", ToolAnswer(content="x" * 900), approval="auto")
        world.model.will(calling(WEATHER, prompt=20))
        error = (await world.connect().converse())[-1]
        assert error["code"] == "CONTEXT_TOO_LARGE"
        assert [message.role for message in world.store.messages] == ["user", "assistant", "user"]


# --- how an answer may stop --------------------------------------------------------------------


async def test_an_answer_that_pauses_is_taken_up_where_it_stopped(
    autojump_clock: MockClock,
) -> None:
    """It is sent back as it came; what goes on is a message of its own."""
    async with open_world() as world:
        going_on: list[Step] = [
            begin(120),
            ContentBlockStart(0, FOUND),
            ContentBlockStop(0),
            ContentBlockStart(1, {"type": "text", "text": "Found."}),
            ContentBlockStop(1),
            *finish()[1:],
        ]
        world.model.will(pausing(), pausing(AGAIN), going_on)
        end = (await world.connect().converse())[-1]
        assert (end["stopReason"], end["usage"]["inputTokens"]) == ("end_turn", 320)
        assert [message["content"] for message in sent(world)[1:]] == [[SEARCH], [AGAIN]]
        question, *answers = world.store.messages
        assert question.role == "user"
        assert {answer.status for answer in answers} == {"complete"}
        kept = [msgspec.json.decode(answer.content) for answer in answers]
        assert kept == [[SEARCH], [AGAIN], [FOUND, {"type": "text", "text": "Found."}]]


async def test_a_pause_that_is_never_taken_up_leaves_nothing_dangling(
    autojump_clock: MockClock,
) -> None:
    """The next message is accepted: a search without a result is not sent."""
    async with open_world() as world:
        world.model.will(pausing(), [ProviderError("LLM_ERROR", "No.")])
        client = world.connect()
        session_id = (await client.converse())[0]["sessionId"]
        await client.converse("Again.", sessionId=session_id)
        assert asked(world) == ["Hi.", "Again."]
        assert [message["role"] for message in sent(world)] == ["user", "user"]


async def test_a_refusal_is_kept_for_people_alone(autojump_clock: MockClock) -> None:
    """The turn is over, and is not sent again: the provider wants it so."""
    async with open_world() as world:
        refusing = [begin(), open_block(), piece("I can"), *finish(stop="refusal")]
        world.model.will(refusing)
        client = world.connect()
        frames = await client.converse()
        assert (frames[-1]["stopReason"], text_of(frames)) == ("refusal", "I can")
        assert world.store.messages[-1].status == "refused"
        session_id = frames[0]["sessionId"]
        await client.converse("Other.", sessionId=session_id)
        assert asked(world) == ["Other."]
        assert len(sent(world)) == 1


@pytest.mark.parametrize("said", [[], [open_block(), piece("I can")]])
async def test_a_refusal_behind_tools_takes_the_whole_turn_with_it(
    autojump_clock: MockClock, said: list[Step]
) -> None:
    """Whether or not it says anything: neither question nor calls are sent again."""
    async with open_world() as world:
        world.tools.offers("weather", approval="auto")
        ending = finish(stop="refusal")
        world.model.will(calling(WEATHER), [begin(), *said, *(ending if said else ending[1:])])
        client = world.connect()
        frames = await client.converse()
        assert frames[-1]["stopReason"] == "refusal"
        assert {one.status for one in world.store.messages[1:]} == {"refused"}
        await client.converse("Other.", sessionId=frames[0]["sessionId"])
        assert asked(world) == ["Other."]
        assert len(sent(world)) == 1


@pytest.mark.parametrize("reason", ["max_tokens", "model_context_window_exceeded", "refusal"])
async def test_a_call_that_was_cut_off_in_the_middle_is_no_failure(
    autojump_clock: MockClock, reason: str
) -> None:
    """Its arguments end anywhere: the call is forgotten, and the stop reason is told."""
    async with open_world() as world:
        world.tools.offers("weather", approval="auto")
        world.model.will(calling(("toolu_1", "weather", '{"at": "se'), stop=reason))
        frames = await world.connect().converse()
        assert (frames[-1]["stopReason"], only(frames, "tool.call")) == (reason, [])


async def test_what_was_done_is_kept_while_the_turn_goes_on(autojump_clock: MockClock) -> None:
    """Should the process die, the model is told what its tools have done; nothing is kept twice."""
    async with open_world() as world:
        world.tools.offers("weather", approval="auto")
        slow = [begin(), 5.0, open_block(), piece("So."), *finish()]
        world.model.will(calling(WEATHER), slow)
        client = world.connect()
        client.send()
        await hear_until(client, "tool.result")
        await trio.testing.wait_all_tasks_blocked()
        assert [message.role for message in world.store.messages] == ["user", "assistant", "user"]
        (session_id,) = world.store.sessions
        other = world.connect()
        other.say("context.inspect", sessionId=session_id)
        inspection = await other.expect("context.inspection")
        assert "weather is done." in str(inspection["sections"])
        await client.hear_out("r1")
        roles = ["user", "assistant", "user", "assistant"]
        assert [message.role for message in world.store.messages] == roles
        assert world.store.sessions[session_id].message_count == 4
        await client.converse("And?", sessionId=session_id)
        assert [message["role"] for message in sent(world)] == [*roles, "user"]


@pytest.mark.parametrize("trouble", ["slow", "full"])
async def test_a_step_that_cannot_be_written_is_not_sent(
    autojump_clock: MockClock, trouble: str
) -> None:
    """What goes upstream is on the disk. The end of the turn stores what it has said."""
    async with open_world() as world:
        world.tools.offers("weather", approval="auto")
        world.model.will(calling(WEATHER), reply("So."))
        client = world.connect()
        if trouble == "slow":
            world.store.slow["extend_turn"] = 20
        else:
            world.store.breaks("extend_turn")
        frames = await client.converse()
        code = "OVERLOADED" if trouble == "slow" else "INTERNAL_ERROR"
        assert (frames[-1]["code"], len(world.model.bodies)) == (code, 1)
        world.store.works()
        roles = [message.role for message in world.store.messages]
        assert roles == ["user", "assistant", "user"]
        assert world.row.status == "failed"
        await client.converse("Go on.", sessionId=frames[0]["sessionId"])
        assert [message["role"] for message in sent(world)] == [*roles, "assistant", "user"]


async def test_a_step_that_comes_late_is_not_kept_behind_the_whole(
    autojump_clock: MockClock,
) -> None:
    """The turn is cancelled while its step is measured: what its end has stored is all of it."""
    async with open_world() as world:
        world.tools.offers("weather", 1.0, approval="auto")
        world.model.will(calling(WEATHER))
        client = world.connect()
        client.send()
        session_id = (await client.hear())["sessionId"]
        world.tokenizer.slow["is done."] = 5
        await hear_until(client, "tool.result")
        await trio.sleep(1)
        world.tokenizer.slow.clear()
        client.say("chat.cancel", requestId="r1")
        assert (await client.hear_out("r1"))[-1]["stopReason"] == "cancelled"
        await trio.sleep(10)
        assert [message.role for message in world.store.messages] == ["user", "assistant", "user"]
        await client.converse("And?", sessionId=session_id)
        assert [one["role"] for one in sent(world)] == ["user", "assistant"] * 2 + ["user"]


async def test_a_call_that_cannot_be_run_is_answered_at_once(autojump_clock: MockClock) -> None:
    """Nobody is asked to run it or to agree to it, whoever's tool it is of."""
    async with open_world() as world:
        world.tools.offers("time", approval="always")
        odd = [("toolu_1", "weather", "[]"), ("toolu_2", "time", "[]"), ("toolu_3", "?", "{}")]
        world.model.will(calling(*odd), reply("Well."))
        frames = await world.connect().converse(tools=DECLARED)
        assert only(frames, "tool.approval.request") == []
        assert [frame.get("clientSide") for frame in only(frames, "tool.call")] == [None] * 3
        assert len(only(frames, "tool.error")) == 3
        assert all("Nothing was run." in content for _, content, _ in results(world))
        assert world.tools.called == []


async def test_every_call_that_was_shown_is_answered(autojump_clock: MockClock) -> None:
    """Also when the turn ends first: a client need not wonder."""
    async with open_world() as world:
        world.tools.offers("weather", approval="always")
        world.model.will(calling(WEATHER, TIME))
        client = world.connect()
        client.send()
        frames = await hear_until(client, "tool.approval.request")
        client.say("chat.cancel", requestId="r1")
        frames += await client.hear_out("r1")
        assert [frame["toolCallId"] for frame in only(frames, "tool.call")] == [
            "toolu_1",
            "toolu_2",
        ]
        assert [frame["toolCallId"] for frame in only(frames, "tool.error")] == [
            "toolu_2",
            "toolu_1",
        ]
        assert only(frames, "tool.error")[1]["error"] == "This tool was not run."


async def test_calls_after_the_last_step_are_not_shown(autojump_clock: MockClock) -> None:
    """Nobody runs them, and the model is told."""
    async with open_world(max_steps=1) as world:
        world.tools.offers("weather", approval="auto")
        world.model.will(calling(WEATHER, TIME))
        frames = await world.connect().converse()
        assert frames[-1]["stopReason"] == "max_steps"
        assert only(frames, "tool.call") == []
        assert "This tool was not run." in world.store.messages[-1].content.decode()


async def test_consent_is_asked_for_in_the_order_of_the_calls(autojump_clock: MockClock) -> None:
    """And each question says whether a yes can count for the session."""
    names = [f"tool_{number}" for number in range(9)]
    async with open_world() as world:
        for name in names:
            world.tools.offers(name, approval="always" if name == "tool_0" else "session")
        world.model.will(calling(*[(f"c_{name}", name, "{}") for name in names]))
        client = world.connect()
        client.send()
        frames = await hear_until(client, "tool.approval.request")
        frames += [await client.hear() for _ in names[1:]]
        asked = only(frames, "tool.approval.request")
        assert [frame["toolName"] for frame in asked] == names
        assert [frame["approval"] for frame in asked] == ["always", *["session"] * 8]


async def test_a_picture_that_the_provider_would_refuse_is_told_in_words(
    autojump_clock: MockClock,
) -> None:
    """Whether the gateway's tool gave it or a client's: one bad picture must not end the turn."""
    bad = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "bad"}}
    good = {**bad, "source": {**bad["source"], "data": "fine"}}  # type: ignore[dict-item]
    text = {"type": "text", "text": "See:"}
    async with open_world() as world:
        world.tools.offers("weather", ToolAnswer(content=[text, bad, good]), approval="auto")
        world.model.will(calling(WEATHER, TIME), reply("I see."))
        client = world.connect()
        client.send(tools=[{"name": "time", "description": "", "inputSchema": {"type": "object"}}])
        await hear_until(client, "tool.call")
        client.say("tool.output", toolCallId="toolu_2", content=[bad])
        frames = await client.hear_out("r1")
        assert frames[-1]["stopReason"] == "end_turn"
        words = {"type": "text", "text": "[Left out: it is bad.]"}
        assert [answer for _, answer, _ in results(world)] == [[text, words, good], [words]]


async def test_a_turns_tools_show_no_more_pictures_than_a_request_may_have(
    autojump_clock: MockClock,
) -> None:
    """All of the turn is sent with each step: of more than 20 none may be large."""
    picture = {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}}
    async with open_world() as world:
        world.media.edge = 3_000
        answers = [ToolAnswer(content=[picture] * 9)] * 3
        world.tools.offers("weather", *answers, approval="auto")
        steps = [calling((f"c{n}", "weather", json.dumps({"n": n}))) for n in range(3)]
        world.model.will(*steps, reply("So."))
        frames = await world.connect().converse()
        assert frames[-1]["stopReason"] == "end_turn"
        shown = [block for one in only(frames, "tool.result") for block in one["result"]]
        assert [block["type"] for block in shown] == [*["image"] * 20, *["text"] * 7]
        assert shown[-1]["text"].startswith("[Left out: of more than 20 pictures")


@pytest.mark.parametrize("reason", ["max_tokens", "model_context_window_exceeded"])
async def test_an_answer_that_was_cut_off_runs_no_tools(
    autojump_clock: MockClock, reason: str
) -> None:
    """A whole call before the cut is kept, and answered as not run."""
    async with open_world() as world:
        world.tools.offers("weather", approval="auto")
        world.model.will(calling(WEATHER, stop=reason))
        frames = await world.connect().converse()
        assert (frames[-1]["stopReason"], world.tools.called) == (reason, [])
        last = msgspec.json.decode(world.store.messages[-1].content)
        assert [block["content"] for block in last] == ["This tool was not run."]


@pytest.mark.parametrize("turns", [0, 2])
async def test_what_the_provider_left_out_is_said_at_the_end(
    autojump_clock: MockClock, turns: int
) -> None:
    """Beside the turns that the gateway left out, if it did."""
    end = MessageDelta(
        MessageEnd("end_turn"),
        ProviderUsage(output_tokens=5),
        {"applied_edits": [{"cleared_tool_uses": 3, "cleared_input_tokens": 9_000}]},
    )
    cleared: list[Step] = [begin(), open_block(), piece("Yes."), ContentBlockStop(0)]
    async with open_world(max_tokens=100) as world:
        world.model.window = 700
        world.model.will(*[reply("Hello.", prompt=310 * n) for n in range(1, turns + 2)])
        client = world.connect()
        session_id = (await client.converse("x" * 300))[0]["sessionId"]
        for _ in range(turns):
            await client.converse("x" * 300, sessionId=session_id)
        world.model.will([*cleared, end, MessageStop()])
        context = (await client.converse("So?", sessionId=session_id))[-1]["context"]
        assert (context["clearedToolUses"], context["clearedTokens"]) == (3, 9_000)
        assert (context["leftOutTurns"] > 0) == (turns > 0)


async def test_a_stop_for_tools_without_a_tool_is_an_end(autojump_clock: MockClock) -> None:
    """There is nothing to run."""
    async with open_world() as world:
        world.model.will([begin(), open_block(), piece("Hm."), *finish(stop="tool_use")])
        assert (await world.connect().converse())[-1]["stopReason"] == "tool_use"


async def test_the_llm_actor_refuses_what_nobody_asked(autojump_clock: MockClock) -> None:
    """Before there is any turn."""
    async with open_world() as world:
        answer = AnswerTool(turn_id=None, tool_call_id="x", answer=BAD)
        word = ApproveTool(turn_id=None, tool_call_id="x", approved=True, for_session=False)
        for request in (answer, word):
            with pytest.raises(GatewayError, match="REQUEST_NOT_FOUND"):
                await world.llm_box.ask(request)
