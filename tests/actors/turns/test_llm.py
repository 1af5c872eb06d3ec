"""Turns: one start, one terminal frame, one row, whatever happens."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from actors.mailbox import ActorStopped
from actors.turns.retry import RetryPolicy
from protocol.answer import Answer
from protocol.client import ChatSend
from protocol.errors import GatewayError, ProviderError
from protocol.mail import DrainTurns, EndSession, StartTurn
from protocol.prompt import Prompt
from protocol.provider.content import Block
from protocol.provider.events import (
    CitationsDelta,
    ContentBlockDelta,
    ContentBlockStart,
    ContentBlockStop,
    ErrorDetails,
    MalformedEvent,
    MessageDelta,
    MessageEnd,
    MessageStart,
    MessageStop,
    ProviderEvent,
    ProviderMessage,
    ProviderPing,
    ProviderUsage,
    StreamError,
    ThinkingDelta,
    UnknownEvent,
)
from protocol.server import Pong
from protocol.tools import OfferedTool
from tests.actors.fakes import (
    MODEL,
    TERMINAL,
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
from tests.actors.turns.scripts import refusing, too_long

BUSY = ProviderError("OVERLOADED", "The provider is busy.", retryable=True)


def failing_with(**fields: Any) -> ProviderError:
    """A failure of the provider."""
    return ProviderError("RATE_LIMITED", "Slow down.", **fields)


def half(*rest: Step) -> list[Step]:
    """An answer that begins well: `Hel`, and then `rest`."""
    return [begin(), open_block(), piece("Hel"), *rest]


def check_turn(frames: list[Frame]) -> None:
    """What holds for every turn that started."""
    kinds = [kind for kind in kinds_of(frames) if kind != "session.created"]
    assert kinds[0] == "chat.stream.start"
    assert kinds.count("chat.stream.start") == 1
    assert [kind in TERMINAL for kind in kinds] == [False] * (len(kinds) - 1) + [True]
    seqs = [frame["seq"] for frame in frames if "seq" in frame]
    assert seqs == sorted(set(seqs))
    assert len({frame["requestId"] for frame in frames}) == 1


# --- a whole turn ------------------------------------------------------------------------------


async def test_a_turn_is_answered_accounted_for_and_ended(autojump_clock: MockClock) -> None:
    """The end says what the row says."""
    async with open_world() as world:
        client = world.connect()
        world.model.will(reply("Hel", "lo.", prompt=1_000, output=100))
        frames = await client.converse()
        check_turn(frames)
        assert kinds_of(frames)[:2] == ["session.created", "chat.stream.start"]
        assert text_of(frames) == "Hello."
        end = frames[-1]
        assert (end["stopReason"], end["usage"]["estimated"]) == ("end_turn", False)
        assert (end["usage"]["inputTokens"], end["usage"]["outputTokens"]) == (1_000, 100)
        assert end["cost"]["totalCost"] == Decimal("0.0045")
        row = world.row
        assert (row.status, row.stop_reason, row.error_code) == ("completed", "end_turn", None)
        assert (row.turn_id, row.request_id) == (end["turnId"], frames[0]["requestId"])
        assert (row.estimated, row.counted_tokens) == (False, len("Be brief.Hi."))
        await client.silence()


async def test_a_stop_reason_that_was_never_told_is_the_ordinary_one(
    autojump_clock: MockClock,
) -> None:
    """The answer is whole all the same."""
    async with open_world() as world:
        world.model.will([begin(), open_block(), piece("Hi"), *finish(stop=None)])
        end = (await world.connect().converse())[-1]
        assert (end["stopReason"], world.row.status) == ("end_turn", "completed")


async def test_the_request_leaves_before_the_start_is_told(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """Whoever waits for an answer waits for the request; and the start is told at once after it."""
    async with open_world() as world:
        client = world.connect()
        stream = world.model.stream
        heard: list[int] = []

        def sent(prompt: Prompt, on_its_way: Callable[[], None]) -> Any:
            def look() -> None:
                for step in (on_its_way, on_its_way):
                    heard.append(client.socket.told.statistics().current_buffer_used)
                    step()
                heard.append(client.socket.told.statistics().current_buffer_used)

            return stream(prompt, look)

        monkeypatch.setattr(world.model, "stream", sent)
        client.send()
        await trio.sleep(1)
        assert heard == [0, 2, 2]
        assert client.socket.told.statistics().current_buffer_used == 4


async def test_text_does_not_wait_for_the_end_that_came_with_it(autojump_clock: MockClock) -> None:
    """It is on its way before the next event of the same read is looked at."""
    async with open_world() as world:
        client = world.connect()
        heard: list[str] = []

        class AtOnce(list[ProviderEvent]):
            def __iter__(self) -> Iterator[ProviderEvent]:
                yield from self[:4]
                heard.append(client.socket.told.receive_nowait())
                yield from self[4:]

        end = MessageDelta(MessageEnd("end_turn"), ProviderUsage(output_tokens=5))
        ends = ContentBlockStop(0), end, MessageStop()
        world.model.will([0.1, AtOnce([begin(), open_block(), piece("Hello."), *ends])])
        client.send()
        await client.expect("session.created")
        await client.expect("chat.stream.start")
        await trio.sleep(1)
        await client.expect("chat.stream.end")
        assert [json.loads(frame)["delta"] for frame in heard] == ["Hello."]


async def test_the_row_is_committed_before_the_terminal_frame(autojump_clock: MockClock) -> None:
    """However long the commit takes."""
    async with open_world() as world:
        client = world.connect()
        world.store.slow["settle_turn"] = 5
        start = await client.begun()
        began = trio.current_time()
        frame: Frame = {"type": ""}
        while frame["type"] not in TERMINAL:
            assert world.store.settled == []
            frame = await client.hear()
            if frame["type"] not in TERMINAL:
                assert trio.current_time() == began
        assert world.store.settled == [start["turnId"]]
        assert trio.current_time() == began + 5


async def test_the_intent_is_written_before_the_provider_is_called(
    autojump_clock: MockClock,
) -> None:
    """And what cannot be written down is not sent."""
    async with open_world() as world:
        world.store.slow["begin_turn"] = 5
        client = world.connect()
        client.send()
        await trio.sleep(4.9)
        assert world.model.bodies == []
        await trio.sleep(0.2)
        assert len(world.model.bodies) == 1
        world.store.breaks("begin_turn")
        frames = await client.hear_out("r1")
        assert frames[-1]["type"] == "chat.stream.end"
        (error,) = await client.converse()
        assert (error["code"], error["retryable"]) == ("INTERNAL_ERROR", True)
        assert len(world.model.bodies) == 1


async def test_the_turns_states_can_be_counted(autojump_clock: MockClock) -> None:
    """For the gateway's figures."""
    async with open_world() as world:
        client, other = world.connect(), world.connect()
        world.model.will(half(trio.Event()))
        await client.begun()
        world.store.slow["load_session"] = 5
        other.send(sessionId="s")
        await trio.testing.wait_all_tasks_blocked()
        states = {name: number for name, number in world.llm.states.items() if number}
        assert states == {"streaming": 1, "assembling": 1}
        assert world.model.open_streams == 1


# --- one at a time -----------------------------------------------------------------------------


async def test_a_session_has_one_turn_at_a_time(autojump_clock: MockClock) -> None:
    """Another connection is told which one runs."""
    async with open_world() as world:
        client, other = world.connect(), world.connect()
        world.model.will(half(5, *finish()))
        start = await client.begun()
        (busy,) = await other.converse(id="o1", sessionId=start["sessionId"])
        assert (busy["code"], busy["turnId"]) == ("SESSION_BUSY", start["turnId"])
        assert (await client.hear_out("r1"))[-1]["type"] == "chat.stream.end"
        frames = await other.converse(id="o2", sessionId=start["sessionId"])
        assert frames[-1]["type"] == "chat.stream.end"


async def test_one_id_for_two_messages_is_refused(autojump_clock: MockClock) -> None:
    """While the first is answered nobody gets its answer for another question."""
    async with open_world() as world:
        client, other = world.connect(), world.connect()
        world.model.will(half(5, *finish()))
        start = await client.begun(id="same")
        (refused,) = await other.converse("Something else", id="same", sessionId=start["sessionId"])
        assert refused["code"] == "INVALID_MESSAGE"
        assert (await client.hear_out("same"))[-1]["type"] == "chat.stream.end"


async def test_the_first_message_said_again_with_its_session_attaches(
    autojump_clock: MockClock,
) -> None:
    """The session's id was told in the meantime; nothing is billed twice."""
    async with open_world() as world:
        client, other = world.connect(), world.connect()
        world.model.will(half(5, *finish()))
        start = await client.begun(id="same")
        again = await other.converse(id="same", sessionId=start["sessionId"])
        assert again[-1]["turnId"] == start["turnId"]
        assert len(world.store.rows) == 1


async def test_said_again_on_the_same_connection_it_goes_on(autojump_clock: MockClock) -> None:
    """No error comes into the stream, and its end comes once."""
    async with open_world() as world:
        client = world.connect()
        world.model.will(half(5, *finish()))
        start = await client.begun(id="same")
        client.send(id="same", sessionId=start["sessionId"])
        assert (await client.hear_out("same"))[-1]["type"] == "chat.stream.end"
        await client.silence()


async def test_a_refused_request_may_be_sent_again(autojump_clock: MockClock) -> None:
    """It has had no turn: its cause may have been mended."""
    async with open_world() as world:
        client = world.connect()
        session = (await client.converse())[0]["sessionId"]
        (refused,) = await client.converse(id="same", sessionId=session, maxCost=0.0000001)
        assert refused["code"] == "BUDGET_EXCEEDED"
        frames = await client.converse(id="same", sessionId=session)
        assert frames[-1]["type"] == "chat.stream.end"


async def test_a_session_is_busy_from_the_first_moment(autojump_clock: MockClock) -> None:
    """Also when both requests come back to back."""
    async with open_world() as world:
        client, other = world.connect(), world.connect()
        session = (await client.converse())[0]["sessionId"]
        client.send(id="a", sessionId=session)
        other.send(id="b", sessionId=session)
        ends = [(await client.hear_out("a"))[-1], (await other.hear_out("b"))[-1]]
        assert sorted(kinds_of(ends)) == ["chat.stream.end", "error"]


async def test_the_same_request_again_attaches_to_its_turn(autojump_clock: MockClock) -> None:
    """While it runs and after its end: the same frames, one row, one request upstream."""
    async with open_world() as world:
        client, other = world.connect(), world.connect()
        session = (await client.converse())[0]["sessionId"]
        world.model.will(reply("Hel", "lo.", pause=5))
        client.send(id="again", sessionId=session)
        await client.expect("chat.stream.start")
        running = await other.converse(id="again", sessionId=session)
        finished = await other.converse(id="again", sessionId=session)
        check_turn(running)
        assert text_of(running) == text_of(finished) == "Hello."
        assert running[0] == finished[0]
        assert (len(world.model.bodies), len(world.store.rows)) == (2, 2)


async def test_once_its_log_is_gone_the_same_request_is_pointed_to_the_history(
    autojump_clock: MockClock,
) -> None:
    """It is never billed twice."""
    async with open_world(keep_seconds=60.0) as world:
        client = world.connect()
        session = (await client.converse())[0]["sessionId"]
        first = await client.converse(id="same", sessionId=session)
        await trio.sleep(61)
        (second,) = await client.converse(id="same", sessionId=session)
        assert (second["code"], second["turnId"]) == ("TURN_NOT_FOUND", first[0]["turnId"])


async def test_turns_of_new_sessions_alone_are_forgotten_too(autojump_clock: MockClock) -> None:
    """Nobody need come back to a session for what is known of its requests to go."""
    async with open_world() as world:
        for _ in range(20):
            world.model.will(reply("Yes."))
            await world.connect().converse()
            await trio.sleep(400)
        assert len(world.llm._running._started) == 1


async def test_a_long_turn_does_not_keep_others_from_being_forgotten(
    autojump_clock: MockClock,
) -> None:
    """Its own request is still known when those behind it have expired."""
    async with open_world(keep_seconds=60.0) as world:
        client, other = world.connect(), world.connect()
        session = (await client.converse())[0]["sessionId"]
        second = (await other.converse())[0]["sessionId"]
        world.model.will(half(100, piece("lo."), 30, *finish()))
        client.send(id="long", sessionId=session)
        start = await client.expect("chat.stream.start")
        first = await other.converse(id="short", sessionId=second)
        await trio.sleep(61)
        (again,) = await other.converse(id="short", sessionId=second)
        assert (again["code"], again["turnId"]) == ("TURN_NOT_FOUND", first[0]["turnId"])
        attached = await other.converse(id="long", sessionId=session)
        assert attached[0]["turnId"] == start["turnId"]


# --- cancelling --------------------------------------------------------------------------------


def check_cancelled(frames: list[Frame], text: str) -> None:
    """A turn that was stopped."""
    check_turn(frames)
    assert frames[-1]["stopReason"] == "cancelled"
    assert text_of(frames) == text


async def test_a_turn_is_cancelled_before_the_first_byte(autojump_clock: MockClock) -> None:
    """It has a row, and nothing was billed."""
    async with open_world() as world:
        client = world.connect()
        world.model.will([trio.Event()])
        start = await client.begun()
        client.say("chat.cancel", requestId=start["requestId"])
        frames = [start, *await client.hear_out(start["requestId"])]
        check_cancelled(frames, "")
        assert frames[-1]["usage"]["totalTokens"] == 0
        assert (world.row.status, world.row.stop_reason) == ("cancelled", "cancelled")
        assert world.model.open_streams == 0
        await client.silence()


async def test_a_cancel_before_the_turns_first_step_is_not_lost(
    autojump_clock: MockClock,
) -> None:
    """Both frames arrive back to back: it starts, and ends at once."""
    async with open_world() as world:
        client = world.connect()
        world.model.will(half(trio.Event()))
        client.send()
        client.say("chat.cancel", requestId="r1")
        check_cancelled(await client.hear_out("r1"), "")
        assert world.model.open_streams == 0


async def test_an_input_that_is_never_told_is_estimated(autojump_clock: MockClock) -> None:
    """A whole answer was billed; its bill teaches nothing."""
    async with open_world() as world:
        client = world.connect()
        silent = MessageStart(ProviderMessage(MODEL, None))
        world.model.will([silent, *reply("Hello.")[1:]])
        end = (await client.converse())[-1]
        assert (end["usage"]["inputTokens"], end["usage"]["estimated"]) == (
            world.row.token_estimate,
            True,
        )
        assert world.row.token_estimate > 0
        (step,) = world.row.steps
        assert step.sample(MODEL) is None


@pytest.mark.parametrize("by", ["requestId", "turnId"])
async def test_a_turn_is_cancelled_in_mid_stream(by: str, autojump_clock: MockClock) -> None:
    """What came is kept, and its output is estimated: the provider never told the final figure."""
    async with open_world() as world:
        client = world.connect()
        world.model.will(half(trio.Event()))
        start = await client.begun()
        await client.expect("chat.stream.delta", delta="Hel")
        client.say("chat.cancel", **{by: start[by]})
        end = await client.expect("chat.stream.end", stopReason="cancelled")
        assert (end["usage"]["outputTokens"], end["usage"]["estimated"]) == (3, True)
        assert (world.row.estimated, world.row.counts.output) == (True, 3)
        assert world.store.messages[-1].status == "partial"
        assert json.loads(world.store.messages[-1].content) == [{"type": "text", "text": "Hel"}]


@pytest.mark.parametrize("whole", [True, False])
async def test_reasoning_that_broke_off_is_estimated_as_such(
    whole: bool, autojump_clock: MockClock
) -> None:
    """It is a part of the output, whether or not its block was finished."""
    thought = ContentBlockDelta(0, ThinkingDelta("Hmmm."))
    start = open_block(type="thinking", thinking="", signature="")
    more: list[Step] = (
        [ContentBlockStop(0), open_block(1), piece("Hello", index=1)] if whole else []
    )
    async with open_world() as world:
        world.model.will([begin(), start, thought, *more, BUSY])
        (*_, error) = await world.connect().converse()
        usage = error["usage"]
        assert (usage["outputTokens"], usage["estimated"]) == (10 if whole else 5, True)
        assert usage["outputDetails"] == {"thinking": 5}


async def test_text_that_was_held_back_is_still_shown(autojump_clock: MockClock) -> None:
    """What might have become a fence is part of what came."""
    async with open_world() as world:
        client = world.connect()
        world.model.will(half(piece("\n``"), trio.Event()))
        start = await client.begun()
        await client.expect("chat.stream.delta")
        client.say("chat.cancel", turnId=start["turnId"])
        assert text_of(await client.hear_out("r1")) in ("``", "\n``")
        assert json.loads(world.store.messages[-1].content)[0]["text"] == "Hel\n``"


async def test_a_second_cancel_changes_nothing(autojump_clock: MockClock) -> None:
    """One terminal frame; the row is settled once."""
    async with open_world() as world:
        client = world.connect()
        world.store.slow["settle_turn"] = 1
        world.model.will(half(trio.Event()))
        begun = [await client.begun(), await client.expect("chat.stream.delta")]
        for _ in range(2):
            client.say("chat.cancel", turnId=begun[0]["turnId"])
        check_cancelled([*begun, *await client.hear_out("r1")], "Hel")
        await client.silence()


async def test_a_turn_is_cancelled_from_another_connection(autojump_clock: MockClock) -> None:
    """By its own id; by its request's only when nobody watches it: ids are the clients' own."""
    async with open_world() as world:
        client, other = world.connect(), world.connect()
        world.model.will(half(trio.Event()))
        start = await client.begun()
        other.say("chat.cancel", id="stop", requestId=start["requestId"])
        await other.expect("error", code="REQUEST_NOT_FOUND")
        other.say("chat.cancel", id="stop", turnId=start["turnId"])
        check_cancelled([start, *await client.hear_out(start["requestId"])], "Hel")
        await other.silence()


async def test_a_turn_that_nobody_watches_is_cancelled_by_its_request(
    autojump_clock: MockClock,
) -> None:
    """Its client has come back on another connection."""
    async with open_world() as world:
        client, other = world.connect(), world.connect()
        world.model.will(half(trio.Event()))
        await client.begun(id="mine")
        client.socket.leave()
        await trio.testing.wait_all_tasks_blocked()
        other.say("chat.cancel", id="stop", requestId="mine")
        await other.silence()
        assert world.row.status == "cancelled"


async def test_a_request_id_that_names_several_turns_cancels_none(
    autojump_clock: MockClock,
) -> None:
    """Two programs may both count from 1."""
    async with open_world() as world:
        clients = [world.connect(), world.connect()]
        world.model.will(half(5, *finish()), half(5, *finish()))
        for client in clients:
            await client.begun(id="r1")
        other = world.connect()
        other.say("chat.cancel", requestId="r1")
        await other.expect("error", code="REQUEST_NOT_FOUND")
        for client in clients:
            assert (await client.hear_out("r1"))[-1]["stopReason"] == "end_turn"


@pytest.mark.parametrize("name", [{"requestId": "r9"}, {"turnId": "turn_9"}])
async def test_an_unknown_turn_cannot_be_cancelled(
    name: dict[str, str], autojump_clock: MockClock
) -> None:
    """The client is told."""
    async with open_world() as world:
        client = world.connect()
        client.say("chat.cancel", id="stop", **name)
        await client.expect("error", code="REQUEST_NOT_FOUND", requestId="stop")


async def test_all_turns_can_be_cut(autojump_clock: MockClock) -> None:
    """At the end of a drain: each settles and ends by itself."""
    async with open_world() as world:
        clients = [world.connect(), world.connect()]
        world.model.will(half(trio.Event()), [trio.Event()])
        starts = [await client.begun() for client in clients]
        world.llm.cancel_all()
        for client, start in zip(clients, starts, strict=True):
            frames = await client.hear_out(start["requestId"])
            assert frames[-1]["stopReason"] == "cancelled"
        assert {row.status for row in world.store.rows.values()} == {"cancelled"}


async def test_the_turn_of_a_session_that_ends_is_stopped(autojump_clock: MockClock) -> None:
    """Nobody should pay for it; what the session's turns said cannot be had any more."""
    async with open_world() as world:
        client, other = world.connect(), world.connect()
        first = await client.converse(id="first")
        session = first[0]["sessionId"]
        elsewhere = await other.converse(id="elsewhere")
        world.model.will(half(trio.Event()))
        await client.begun(id="second", sessionId=session)
        await world.llm_box.ask(EndSession(session_id=session))
        assert (await client.hear_out("second"))[-1]["stopReason"] == "cancelled"
        await world.llm_box.ask(EndSession(session_id=session))
        (known, gone) = (elsewhere[-1]["turnId"] in world.logs, first[-1]["turnId"] in world.logs)
        assert (known, gone) == (True, False)


@pytest.mark.parametrize("request_id", ["same", "another"])
async def test_a_session_that_ended_is_not_busy(request_id: str, autojump_clock: MockClock) -> None:
    """Whoever sends while its last turn is being settled hears that it is gone."""
    async with open_world() as world:
        client, other = world.connect(), world.connect()
        world.model.will(half(trio.Event()))
        session = (await client.begun(id="same"))["sessionId"]
        world.store.slow["settle_turn"] = 1
        other.say("session.delete", id="end", sessionId=session)
        await other.expect("session.deleted")
        frames = await other.converse(id=request_id, sessionId=session)
        assert [frame.get("code") for frame in frames] == ["SESSION_NOT_FOUND"]
        assert [row.status for row in world.store.rows.values()] == ["open"]
        assert (await client.hear_out("same"))[-1]["stopReason"] == "cancelled"
        assert [row.status for row in world.store.rows.values()] == ["cancelled"]


# --- money -------------------------------------------------------------------------------------


async def test_a_context_that_costs_too_much_is_not_sent(autojump_clock: MockClock) -> None:
    """12 tokens of context cost 0.000036 USD."""
    async with open_world() as world:
        client = world.connect()
        (error,) = await client.converse(maxCost=0.000035)
        assert (error["code"], world.model.bodies) == ("BUDGET_EXCEEDED", [])
        assert (await client.converse(maxCost=0.000036))[-1]["stopReason"] == "budget"


async def test_a_budget_for_a_model_without_a_price_is_refused(
    autojump_clock: MockClock,
) -> None:
    """It could not be kept."""
    async with open_world() as world:
        (error,) = await world.connect().converse(model="claude-of-no-price", maxCost=1)
        assert (error["code"], world.model.bodies) == ("BUDGET_EXCEEDED", [])


async def test_a_turn_stops_when_its_budget_is_spent(autojump_clock: MockClock) -> None:
    """In mid-stream, with the stop reason `budget`; what came is kept."""
    async with open_world() as world:
        world.model.will([begin(), open_block(), *[piece("123456789 ")] * 20, *finish()])
        frames = await world.connect().converse(maxCost=0.0006)
        check_turn(frames)
        assert (frames[-1]["stopReason"], len(text_of(frames))) == ("budget", 80)
        assert (world.row.status, world.row.stop_reason) == ("cancelled", "budget")
        assert frames[-1]["usage"]["estimated"]
        assert world.model.open_streams == 0


async def test_a_cost_that_nobody_knows_is_null(autojump_clock: MockClock) -> None:
    """The usage is told all the same."""
    async with open_world() as world:
        end = (await world.connect().converse(model="claude-of-no-price"))[-1]
        assert (end["cost"], end["usage"]["totalTokens"]) == (None, 105)


# --- the provider fails ------------------------------------------------------------------------


async def test_a_failure_before_the_first_byte_is_tried_again(autojump_clock: MockClock) -> None:
    """After pauses that double; the client sees one start and no error."""
    async with open_world() as world:
        world.model.will([BUSY], [BUSY], reply("Hello."))
        began = trio.current_time()
        frames = await world.connect().converse()
        check_turn(frames)
        assert text_of(frames) == "Hello."
        assert 0.75 <= trio.current_time() - began <= 1.5
        assert len(world.model.bodies) == 3


async def test_after_the_last_attempt_the_turn_fails(autojump_clock: MockClock) -> None:
    """With the provider's failure; nothing was billed, so no usage is told."""
    async with open_world(retry=RetryPolicy(attempts=1, cap_seconds=8)) as world:
        world.model.will([BUSY], [BUSY], reply("Hello."))
        frames = await world.connect().converse()
        check_turn(frames)
        error = frames[-1]
        assert (error["code"], error["retryable"]) == ("OVERLOADED", True)
        assert not {"usage", "cost"} & error.keys()
        assert (world.row.status, world.row.error_code) == ("failed", "OVERLOADED")
        assert (world.row.estimated, world.row.counts.any) == (False, False)


@pytest.mark.parametrize("lost", ["silent", "cut"])
async def test_a_try_that_is_given_up_makes_the_bill_an_estimate(
    lost: str, autojump_clock: MockClock
) -> None:
    """The provider may have billed it, too, and never said so; the next one tells its own alone."""
    async with open_world(retry=RetryPolicy(attempts=1, cap_seconds=8)) as world:
        world.model.will([trio.Event()] if lost == "silent" else [], reply("Hello."))
        end = (await world.connect().converse())[-1]
        assert (end["type"], end["usage"]["estimated"]) == ("chat.stream.end", True)
        (step,) = world.row.steps
        assert (world.row.estimated, step.estimated) == (True, True)
        assert (world.row.counts.input, len(world.model.bodies)) == (100, 2)


async def test_an_attempt_that_the_provider_refused_leaves_the_bill_exact(
    autojump_clock: MockClock,
) -> None:
    """It said itself that it failed."""
    async with open_world(retry=RetryPolicy(attempts=1, cap_seconds=8)) as world:
        world.model.will([BUSY], reply("Hello."))
        end = (await world.connect().converse())[-1]
        assert (end["type"], end["usage"]["estimated"]) == ("chat.stream.end", False)


async def test_the_provider_is_given_the_time_that_it_asks_for(autojump_clock: MockClock) -> None:
    """Up to the cap."""
    async with open_world() as world:
        world.model.will([failing_with(retryable=True, retry_after_ms=7_000)])
        began = trio.current_time()
        assert text_of(await world.connect().converse()) == "Hello."
        assert 7 <= trio.current_time() - began <= 7 * 1.25


async def test_turns_that_got_the_same_hint_come_back_one_by_one(
    autojump_clock: MockClock,
) -> None:
    """And none of them sooner than it was asked to."""
    came: list[float] = []
    async with open_world() as world, trio.open_nursery() as nursery:

        async def talk() -> None:
            assert text_of(await world.connect().converse()) == "Hello."
            came.append(trio.current_time())

        world.model.will(*[[failing_with(retryable=True, retry_after_ms=7_000)]] * 5)
        began = trio.current_time()
        for _ in range(5):
            nursery.start_soon(talk)
    assert min(came) - began >= 7
    assert len({round(moment, 3) for moment in came}) > 1


async def test_a_client_is_told_that_its_turn_waits(autojump_clock: MockClock) -> None:
    """How long, and why; with a place in the log like everything that a turn says."""
    async with open_world() as world:
        world.model.will([failing_with(retryable=True, retry_after_ms=7_000)])
        frames = await world.connect(hello=Pong(request_id="hello")).converse()
        notice = next(frame for frame in frames if frame["type"] == "chat.stream.notice")
        assert (notice["kind"], notice["seq"]) == ("retry", 1)
        assert 7_000 <= notice["retryAfterMs"] <= 8_750
        assert notice["message"].startswith("The provider's rate limit is reached; it is asked")


async def test_a_client_without_a_hello_is_told_nothing_of_it(autojump_clock: MockClock) -> None:
    """The original's clients have no word for it; their seq has a gap, and only grows."""
    async with open_world() as world:
        world.model.will([BUSY])
        frames = await world.connect().converse()
        assert "chat.stream.notice" not in kinds_of(frames)
        assert [frame["seq"] for frame in frames[-3:]] == [0, 2, 3]


async def test_whoever_asks_for_more_is_not_waited_for(autojump_clock: MockClock) -> None:
    """The client is told when to come back."""
    async with open_world() as world:
        world.model.will([failing_with(retryable=True, retry_after_ms=8_001)])
        error = (await world.connect().converse())[-1]
        assert (error["code"], error["retryAfterMs"]) == ("RATE_LIMITED", 8_001)
        assert len(world.model.bodies) == 1


@pytest.mark.parametrize(
    "failure", [failing_with(retryable=False), GatewayError("NO_API_KEY", "Give one.")]
)
async def test_what_would_fail_again_is_not_tried_again(
    failure: GatewayError, autojump_clock: MockClock
) -> None:
    """A bad request stays bad."""
    async with open_world() as world:
        world.model.will([failure])
        error = (await world.connect().converse())[-1]
        assert (error["code"], len(world.model.bodies)) == (failure.failure.code, 1)


async def test_after_the_first_event_nothing_is_tried_again(autojump_clock: MockClock) -> None:
    """It would be billed twice."""
    async with open_world() as world:
        world.model.will([begin(), BUSY])
        frames = await world.connect().converse()
        assert (frames[-1]["code"], len(world.model.bodies)) == ("OVERLOADED", 1)
        assert frames[-1]["usage"]["inputTokens"] == 100


async def test_a_turn_that_waits_for_another_try_can_be_cancelled(
    autojump_clock: MockClock,
) -> None:
    """It does not wait to the end."""
    async with open_world() as world:
        client = world.connect()
        world.model.will([failing_with(retryable=True, retry_after_ms=7_000)])
        await client.begun()
        began = trio.current_time()
        client.say("chat.cancel", requestId="r1")
        await client.expect("chat.stream.end", stopReason="cancelled")
        assert trio.current_time() == began


@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [
        ("authentication_error", "NO_API_KEY", "refuses the API key (401)"),
        ("billing_error", "LLM_ERROR", "a reason of billing (402): so it is."),
        ("permission_error", "LLM_ERROR", "not permit this to the key (403): so it is."),
        ("invalid_request_error", "LLM_ERROR", "refuses the request: so it is"),
        ("not_found_error", "LLM_ERROR", "nothing there (404): so it is."),
    ],
)
async def test_an_error_in_the_stream_that_stays_is_not_tried_again(
    kind: str, code: str, words: str, autojump_clock: MockClock
) -> None:
    """Though nothing was received; it means the same as with a status of its own."""
    async with open_world() as world:
        world.model.will([StreamError(ErrorDetails(kind, "so it is"))])
        error = (await world.connect().converse())[-1]
        assert (error["code"], error["retryable"]) == (code, False)
        assert words in error["message"]
        assert len(world.model.bodies) == 1


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("overloaded_error", "OVERLOADED"),
        ("rate_limit_error", "RATE_LIMITED"),
        ("timeout_error", "LLM_TIMEOUT"),
        ("api_error", "LLM_ERROR"),
        ("something_new", "LLM_ERROR"),
    ],
)
async def test_an_error_in_mid_stream_ends_the_turn(
    kind: str, code: str, autojump_clock: MockClock
) -> None:
    """With a code of ours, none of the provider's words, and what was billed."""
    async with open_world() as world:
        world.model.will(half(StreamError(ErrorDetails(kind, "your prompt: secret"))))
        frames = await world.connect().converse()
        check_turn(frames)
        error = frames[-1]
        assert (error["code"], error["retryable"]) == (code, True)
        assert "secret" not in json.dumps(frames, default=str)
        assert (error["usage"]["inputTokens"], error["usage"]["outputTokens"]) == (100, 3)
        assert error["usage"]["estimated"]
        assert error["cost"]["totalCost"] == Decimal("0.000345")
        assert (world.row.status, world.row.error_code) == ("failed", code)
        assert (world.row.counts.input, world.row.estimated) == (100, True)
        assert world.store.messages[-1].status == "partial"


@pytest.mark.parametrize(
    ("rest", "code"),
    [
        ([], "LLM_ERROR"),
        (finish()[:2], "LLM_ERROR"),
        ([MalformedEvent("no")], "LLM_ERROR"),
        ([begin()], "LLM_ERROR"),
        ([ContentBlockDelta(7, CitationsDelta({}))], "LLM_ERROR"),
    ],
)
async def test_an_answer_without_its_end_is_no_answer(
    rest: list[Step], code: str, autojump_clock: MockClock
) -> None:
    """Cut off, garbled or out of order: a failure, and never a false end."""
    async with open_world() as world:
        world.model.will(half(*rest))
        frames = await world.connect().converse()
        check_turn(frames)
        assert (frames[-1]["type"], frames[-1]["code"]) == ("error", code)
        assert frames[-1]["usage"]["inputTokens"] == 100
        assert (text_of(frames), world.row.status) == ("Hel", "failed")


async def test_a_bug_in_one_turn_ends_it_alone(autojump_clock: MockClock) -> None:
    """INTERNAL_ERROR with what was billed, a settled row; other turns do not notice."""
    async with open_world() as world:
        client, other = world.connect(), world.connect()
        world.model.will(half(5, *finish()), half(ZeroDivisionError("secret")))
        await other.begun()
        frames = await client.converse()
        check_turn(frames)
        assert frames[-1]["code"] == "INTERNAL_ERROR"
        assert frames[-1]["usage"]["inputTokens"] == 100
        assert "secret" not in json.dumps(frames, default=str)
        assert world.store.rows[frames[-1]["turnId"]].status == "failed"
        assert (await other.hear_out("r1"))[-1]["stopReason"] == "end_turn"
        assert text_of(await client.converse()) == "Hello."


# --- thinking that does not fit ------------------------------------------------------------------


def thoughtful(text: str, *, mismatched: int = 0) -> list[Step]:
    """An answer after some thinking; so many earlier thoughts did not fit."""
    start = begin()
    dropped = {"type": "thinking_dropped", "reason": "prefix_binding_mismatch"}
    told = msgspec.structs.replace(start.message, input_transformations=[dropped] * mismatched)
    return [
        MessageStart(told),
        open_block(type="thinking", thinking="", signature="sealed"),
        ContentBlockStop(0),
        open_block(1),
        piece(text, index=1),
        ContentBlockStop(1),
        *finish()[1:],
    ]


async def test_a_session_survives_a_refusal_of_what_was_said_before(
    autojump_clock: MockClock,
) -> None:
    """The model is asked once more, without the thinking; the answer's own thinking is sent on."""
    async with open_world() as world:
        client = world.connect()
        past = refusing("messages.1.content.0: Invalid `signature` in `thinking` block.")
        world.model.will(thoughtful("One."), past, thoughtful("Two."), reply("Three."))
        session = (await client.converse())[0]["sessionId"]
        end = (await client.converse(sessionId=session))[-1]
        assert (end["stopReason"], end["context"]["epoch"]) == ("end_turn", 1)
        bodies = [body.decode() for body in world.model.bodies]
        assert [body.count("sealed") for body in bodies] == [0, 1, 0]
        assert "context" not in (await client.converse(sessionId=session))[-1]
        assert world.model.bodies[-1].decode().count("sealed") == 1


async def test_a_refusal_that_cannot_be_mended_is_told_as_the_provider_says_it(
    autojump_clock: MockClock,
) -> None:
    """No turn before has a file that could be left out."""
    async with open_world() as world:
        client = world.connect()
        world.model.will(refusing("File not found: file_1"))
        error = (await client.converse())[-1]
        assert (error["code"], "File not found: file_1" in error["message"]) == ("LLM_ERROR", True)


async def test_a_turn_whose_end_cannot_be_made_is_settled_and_ends_alone(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever mistake of ours is in it: no row stays open, and others go on."""

    def broken(_: Answer) -> list[Block]:
        raise TypeError("a mistake")

    async with open_world() as world:
        client = world.connect()
        with monkeypatch.context() as patched:
            patched.setattr(Answer, "kept_blocks", broken)
            error = (await client.converse())[-1]
        assert error["code"] == "INTERNAL_ERROR"
        assert world.store.rows[error["turnId"]].status == "failed"
        assert (await client.converse())[-1]["stopReason"] == "end_turn"


async def test_the_error_names_a_tool_that_the_provider_refuses(
    autojump_clock: MockClock,
) -> None:
    """And the server that it is of; the next request goes without it, and any other way helps."""
    schema = {"type": "object"}
    async with open_world() as world:
        world.tools.tools = [
            OfferedTool(name="s__brew", description="", input_schema=schema, server="s")
        ]
        client = world.connect()
        mine = [{"name": "mine", "description": "", "inputSchema": schema}]
        odd = ProviderError("LLM_ERROR", "Odd.", provider_request_id="req_7")
        odd.refusal = "tools.0.custom.input_schema: It is odd."
        world.model.will([odd], refusing("tools.0.name: Odd"))
        error = (await client.converse(tools=mine))[-1]
        assert error["code"] == "LLM_ERROR"
        assert error["message"] == (
            "The provider refuses the tool s__brew of the MCP server s: "
            "tools.0.custom.input_schema: It is odd. The tool is left out until it is changed or "
            "the gateway is restarted: send again. (The provider's request: req_7)"
        )
        error = (await client.converse(tools=mine))[-1]
        assert "the tool mine: tools.0.name: Odd. The tool" in error["message"]
        frames = await client.converse(tools=mine)
        assert frames[-1]["stopReason"] == "end_turn"
        assert "tools" not in json.loads(world.model.bodies[-1])


async def test_after_a_mismatch_the_next_turn_begins_a_new_epoch(
    autojump_clock: MockClock,
) -> None:
    """The provider would drop the same thinking again and again."""
    async with open_world() as world:
        client = world.connect()
        world.model.will(
            thoughtful("One."), thoughtful("Two.", mismatched=1), reply("Three."), reply("Four.")
        )
        session = (await client.converse())[0]["sessionId"]
        told = [(await client.converse(sessionId=session))[-1].get("context") for _ in range(3)]
        assert told == [
            {"leftOutTurns": 0, "leftOutMessages": 0, "droppedThinking": 1},
            {"leftOutTurns": 0, "leftOutMessages": 0, "epoch": 1},
            None,
        ]


async def test_a_prompt_that_the_provider_finds_too_long_is_shortened(
    autojump_clock: MockClock,
) -> None:
    """The oldest turns go, and the answer says so."""
    async with open_world() as world:
        client = world.connect()
        session = (await client.converse("x" * 900))[0]["sessionId"]
        await client.converse("y" * 900, sessionId=session)
        world.model.will(too_long(3_000, 2_000), reply("Yes."))
        end = (await client.converse("z" * 90, sessionId=session))[-1]
        assert end["stopReason"] == "end_turn"
        assert end["context"]["leftOutTurns"] > 0
        first, last = (str(json.loads(body)) for body in world.model.bodies[-2:])
        assert ("xxx" in first, "xxx" in last, "zzz" in last) == (True, False, True)


# --- silence -----------------------------------------------------------------------------------


async def silent_after(client: Client) -> float:
    """How long it takes until a turn fails of silence."""
    began = trio.current_time()
    frames = await client.converse()
    check_turn(frames)
    assert frames[-1]["code"] == "LLM_TIMEOUT"
    return trio.current_time() - began


ONCE = RetryPolicy(attempts=0, cap_seconds=8)


@pytest.mark.parametrize(
    "script",
    [
        [trio.Event()],
        [begin(), trio.Event()],
        [begin(), *[50.0, ProviderPing()] * 9],
        [begin(), 119, ProviderPing(), 119, *finish()],
    ],
)
async def test_the_first_content_has_a_deadline(
    script: list[Step], autojump_clock: MockClock
) -> None:
    """Neither pings nor the first event alone are content."""
    async with open_world(retry=ONCE) as world:
        world.model.will(script)
        assert await silent_after(world.connect()) == 120


async def test_silence_before_the_first_event_is_tried_again(autojump_clock: MockClock) -> None:
    """As any failure before it."""
    async with open_world() as world:
        world.model.will([trio.Event()], reply("Hello."))
        assert text_of(await world.connect().converse()) == "Hello."


async def test_silence_between_contents_has_a_deadline_too(autojump_clock: MockClock) -> None:
    """Pings do not count; it is kept to a tenth."""
    pings: list[Step] = [20.0, ProviderPing()] * 9
    async with open_world() as world:
        world.model.will(half(50, piece("lo"), 5, piece("!"), *pings))
        waited = await silent_after(world.connect())
        assert 50 + 60 <= waited <= 55 + 60


async def test_a_slow_answer_is_no_silence(autojump_clock: MockClock) -> None:
    """As long as something of it comes; what is of no known kind counts for nothing."""
    async with open_world() as world:
        world.model.will(half(59, piece("l"), 50, piece("o."), 50, *finish()))
        assert text_of(await world.connect().converse()) == "Hello."
        world.model.will(half(59, UnknownEvent("new"), 2, piece("lo."), *finish()))
        frames = await world.connect().converse()
        assert frames[-1]["code"] == "LLM_TIMEOUT"


@pytest.mark.parametrize(
    ("pauses", "is_heard"),
    [([50] * 12, True), ([50, 61], False), ([50] * 18, False)],
    ids=["pings", "no pings", "too long"],
)
@pytest.mark.parametrize("kind", ["server_tool_use", "thinking"])
async def test_arguments_and_thinking_may_take_longer_while_pings_come(
    autojump_clock: MockClock, kind: str, pauses: list[int], is_heard: bool
) -> None:
    """True silence is ended as soon as anywhere else, and pings do not help for ever."""
    waits: list[Step] = [step for pause in pauses for step in (pause, ProviderPing())]
    begun = ContentBlockStart(1, {"type": kind, "id": "s", "input": {}, "thinking": ""})
    call: list[Step] = [begun, *waits, ContentBlockStop(1)]
    async with open_world() as world:
        world.model.will(half(*call, *finish()))
        frames = await world.connect().converse()
        assert (frames[-1]["type"] == "chat.stream.end") is is_heard


async def test_the_longest_silence_is_that_of_the_stillest_open_stream(
    autojump_clock: MockClock,
) -> None:
    """Pings are counted and break no silence; content does, and so does the end."""
    pings: list[Step] = [20.0, ProviderPing(), 20.0, ProviderPing(), 8]
    async with open_world() as world:
        assert (world.llm.pings, world.llm.longest_silence) == (0, 0)
        still, lively = world.connect(), world.connect()
        world.model.will(half(*pings, piece("lo"), 5, piece("!"), *finish()))
        await still.begun()
        chatter: list[Step] = [0.5, piece("ha")] * 100
        world.model.will(half(*chatter, *finish()))
        await lively.begun()
        await trio.sleep(45)
        assert (world.llm.pings, world.llm.longest_silence) == (2, 45)
        await trio.sleep(6)
        assert world.llm.longest_silence == 3
        await still.hear_out("r1")
        assert world.llm.longest_silence <= 1
        await lively.hear_out("r1")
        assert (world.llm.pings, world.llm.longest_silence) == (2, 0)


async def test_a_turn_has_a_longest_duration(autojump_clock: MockClock) -> None:
    """However lively it is; its end says so, and it is settled like any other."""
    chatter: list[Step] = [30, piece("ha")] * 200
    async with open_world() as world:
        world.model.will(half(*chatter, *finish()))
        frames = await world.connect().converse()
        end = frames[-1]
        assert (end["code"], end["retryable"]) == ("LLM_TIMEOUT", False)
        assert "longer than a turn may" in end["message"]
        assert text_of(frames) == "Hel" + "ha" * 119


# --- settling ----------------------------------------------------------------------------------


async def test_a_turn_that_cannot_be_written_down_is_no_success(
    autojump_clock: MockClock,
) -> None:
    """One error, no end, and it tells what was billed."""
    async with open_world() as world:
        world.store.breaks("settle_turn")
        frames = await world.connect().converse()
        check_turn(frames)
        error = frames[-1]
        assert (error["type"], error["code"]) == ("error", "INTERNAL_ERROR")
        assert error["usage"]["totalTokens"] == 105
        assert error["cost"]["totalCost"] == Decimal("0.000375")


async def test_settling_has_a_deadline(autojump_clock: MockClock) -> None:
    """Then the turn ends with an error; its outcome is written as soon as it can be."""
    async with open_world() as world:
        client = world.connect()
        world.store.slow["settle_turn"] = 1_000
        frames = await client.converse()
        check_turn(frames)
        assert (frames[-1]["code"], trio.current_time()) == ("OVERLOADED", 10)
        await trio.sleep(1_000)
        assert world.row.status == "completed"


async def test_a_turn_that_settles_is_not_cut_by_the_end_of_its_actor(
    autojump_clock: MockClock,
) -> None:
    """What was billed is written down all the same."""
    world = World()
    async with trio.open_nursery() as nursery:
        world.nursery = nursery
        await nursery.start(world.usage.run)
        await nursery.start(world.context.run)
        async with trio.open_nursery() as turns:
            await turns.start(world.llm.run)
            world.store.slow["settle_turn"] = 5
            await world.connect().begun()
            await trio.sleep(1)
            turns.cancel_scope.cancel()
        assert (world.row.status, trio.current_time()) == ("completed", 5)
        nursery.cancel_scope.cancel()


async def test_an_estimate_is_never_less_than_what_was_told(autojump_clock: MockClock) -> None:
    """The provider had counted 50 tokens when it broke off."""
    async with open_world() as world:
        told = MessageDelta(MessageEnd(None), ProviderUsage(output_tokens=50))
        world.model.will(half(told))
        error = (await world.connect().converse())[-1]
        assert (error["usage"]["outputTokens"], error["usage"]["estimated"]) == (50, True)


async def test_a_turn_ends_whatever_breaks(autojump_clock: MockClock) -> None:
    """Here the prices, which settling needs: one error, and the session is free again."""
    async with open_world() as world:
        client = world.connect()
        world.model.will(half(5, *finish()))
        start = await client.begun()
        world.prices.failing = ZeroDivisionError()
        frames = [start, *await client.hear_out("r1")]
        check_turn(frames)
        assert frames[-1]["code"] == "INTERNAL_ERROR"
        world.prices.failing = None
        frames = await client.converse(sessionId=start["sessionId"])
        assert frames[-1]["type"] == "chat.stream.end"


async def test_preparing_a_turn_has_a_deadline(autojump_clock: MockClock) -> None:
    """Then it is refused: nothing was sent."""
    async with open_world() as world:
        world.store.slow["begin_turn"] = 1_000
        frames = await world.connect().converse()
        assert kinds_of(frames) == ["error"]
        assert (frames[0]["code"], trio.current_time()) == ("OVERLOADED", 15)
        assert world.model.bodies == []


@pytest.mark.parametrize("seconds", [16, 24, 60])
async def test_a_turn_that_begins_too_late_is_undone(
    seconds: int, autojump_clock: MockClock
) -> None:
    """Its client was told that it failed: its question is not sent again, its session is free."""
    async with open_world() as world:
        client = world.connect()
        session = (await client.converse())[0]["sessionId"]
        world.store.slow["begin_turn"] = seconds
        (error,) = await client.converse("Late.", id="late", sessionId=session)
        assert error["code"] == "OVERLOADED"
        await trio.sleep(seconds)
        world.store.works()
        assert [row.status for row in world.store.rows.values()] == ["completed"]
        assert (await client.converse("And?", sessionId=session))[-1]["type"] == "chat.stream.end"
        assert "Late." not in str(world.model.last_request)


@pytest.mark.parametrize("seconds", [16, 60])
async def test_a_session_that_begins_too_late_is_undone(
    seconds: int, autojump_clock: MockClock
) -> None:
    """Its client has not heard of it."""
    async with open_world() as world:
        world.store.slow["begin_turn"] = seconds
        (error,) = await world.connect().converse()
        assert error["code"] == "OVERLOADED"
        await trio.sleep(seconds)
        assert (world.store.rows, world.context.open_rows) == ({}, 0)
        assert (world.store.sessions, world.store.messages) == ({}, [])


async def test_a_turn_that_could_not_begin_is_forgotten(autojump_clock: MockClock) -> None:
    """Whether its beginning fails at once or late."""
    async with open_world() as world:
        client = world.connect()
        world.store.breaks("begin_turn")
        for seconds in (0, 20):
            world.store.slow["begin_turn"] = seconds
            assert kinds_of(await client.converse()) == ["error"]
            await trio.sleep(2 * seconds)
            assert (world.store.rows, world.context.open_rows) == ({}, 0)


# --- the end -----------------------------------------------------------------------------------


async def test_while_draining_no_turn_begins(autojump_clock: MockClock) -> None:
    """One that runs goes on, and can still be attached to."""
    async with open_world() as world:
        client, other = world.connect(), world.connect()
        session = (await client.converse())[0]["sessionId"]
        world.model.will(half(5, *finish()))
        client.send(id="runs", sessionId=session)
        await client.expect("chat.stream.start")
        world.llm_box.offer(DrainTurns())
        (error,) = await other.converse()
        assert (error["code"], error["retryable"]) == ("DRAINING", True)
        frames = await other.converse(id="runs", sessionId=session)
        assert frames[-1]["stopReason"] == "end_turn"


async def test_the_actor_ends_when_its_mailbox_is_closed_and_its_turns_are_settled(
    autojump_clock: MockClock,
) -> None:
    """Not before."""
    async with open_world() as world:
        client = world.connect()
        world.model.will(half(5, *finish()))
        await client.begun()
        world.llm_box.close()
        with pytest.raises(ActorStopped):
            await world.llm_box.ask(StartTurn(send=ChatSend(id="r1", content="Hi.")))
        await trio.sleep(4)
        assert not world.llm.finished.is_set()
        with trio.fail_after(2):
            await world.llm.finished.wait()
        assert world.row.status == "completed"
        assert (await client.hear_out("r1"))[-1]["stopReason"] == "end_turn"


async def test_a_gateway_without_turns_is_quiet_at_once(autojump_clock: MockClock) -> None:
    """Nothing has to be waited for at the end of a drain."""
    async with open_world() as world:
        world.llm.cancel_all()
        assert world.llm.quiet.is_set()
