"""The client against a real gateway: questions, turns, cut wires; under asyncio and trio."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

import agentspace.client
from agentspace.client import (
    AnswerRefused,
    Client,
    GatewayError,
    Interrupted,
    MessageTooLarge,
    Resumed,
    TurnEvent,
    new_id,
)
from agentspace.embed import supervised
from agentspace.messages import (
    ChatSend,
    ChatStreamDelta,
    ChatStreamEnd,
    ChatStreamStart,
    ContextInspect,
    GatewayStatus,
    GatewayStatusReport,
    ModelList,
    ModelListing,
    Ping,
    Pong,
    SessionCreate,
    SessionHistory,
    SessionList,
    ToolCall,
    ToolDeclaration,
    ToolResult,
    UsageQuery,
)
from tests.agentspace.backstage import Wire, either, run, world_in_a_thread
from tests.support import TOKEN, World
from tests.test_process import environment

LONG = "go on [[sim: count=200 rate=400 chars=5]]"
ENDLESS = "go on [[sim: count=5000 rate=100 chars=5]]"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One gateway for all tests that do not end it."""
    with world_in_a_thread(tmp_path_factory.mktemp("world")) as world:
        yield world


@asynccontextmanager
async def open_wire(world: World) -> AsyncIterator[Wire]:
    """A wire to the gateway that can be cut."""
    wire = Wire(world.url)
    async with anyio.create_task_group() as tasks:
        await tasks.start(wire.run)
        yield wire
        tasks.cancel_scope.cancel()


async def heard(client: Client, question: str | ChatSend) -> list[TurnEvent]:
    """All that a turn says."""
    async with client.send(question) as turn:
        return [event async for event in turn]


def text_of(events: list[TurnEvent]) -> str:
    return "".join(event.delta for event in events if isinstance(event, ChatStreamDelta))


async def stored_answer(client: Client, session_id: str) -> str:
    """What the gateway has kept of the last answer."""
    page = await client.ask(SessionHistory(id=new_id(), session_id=session_id))
    content = page.messages[-1].content
    if isinstance(content, str):
        return content
    return "".join(block["text"] for block in content if block["type"] == "text")


@either
def test_a_question_gets_its_own_answer_among_many(backend: str, world: World) -> None:
    """Questions asked side by side each get the answer that is theirs, and of their type."""

    async def scenario() -> None:
        kinds: dict[str, type] = {}
        async with agentspace.client.connect(world.url, TOKEN) as client:

            async def ask(request: Ping | GatewayStatus | ModelList) -> None:
                kinds[request.id] = type(await client.ask(request))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask, Ping(id="a"))
                tasks.start_soon(ask, GatewayStatus(id="b"))
                tasks.start_soon(ask, ModelList(id="c"))
        assert kinds == {"a": Pong, "b": GatewayStatusReport, "c": ModelListing}

    run(backend, scenario)


@either
def test_a_turn_is_heard_from_its_start_to_its_end(backend: str, world: World) -> None:
    """The turn has the text, the reasoning and the bill; its session can be gone on with."""

    async def scenario() -> None:
        async with agentspace.client.connect(world.url, TOKEN) as client:
            async with client.send("hello") as turn:
                events = [event async for event in turn]
            assert isinstance(events[0], ChatStreamStart)
            assert isinstance(events[-1], ChatStreamEnd)
            assert turn.text == text_of(events) == await stored_answer(client, turn.session_id)
            assert turn.reasoning
            assert turn.end is not None
            assert turn.end.usage.total_tokens > 0
            async with client.send("and more", session_id=turn.session_id) as further:
                await further.finish()
            assert further.session_id == turn.session_id
            listed = await client.ask(SessionList(id=new_id(), limit=1))
            assert listed.sessions[0].title == "hello"

    run(backend, scenario)


@either
def test_a_refusal_is_raised(backend: str, world: World) -> None:
    """Of a question and of a turn: a GatewayError with its code and all of the answer."""

    async def scenario() -> None:
        async with agentspace.client.connect(world.url, TOKEN) as client:
            with pytest.raises(GatewayError, match="SESSION_NOT_FOUND") as refused:
                await client.ask(ContextInspect(id=new_id(), session_id="none"))
            assert refused.value.answer.code == "SESSION_NOT_FOUND"
            with pytest.raises(GatewayError, match="SESSION_NOT_FOUND"):
                async with client.send("hello", session_id="none") as turn:
                    await turn.finish()
            assert isinstance(await client.ask(Ping(id=new_id())), Pong)

    run(backend, scenario)


@either
def test_cuts_anywhere_lose_nothing_and_repeat_nothing(backend: str, world: World) -> None:
    """Before the start is heard, in its middle, and right before its end; billed once."""

    async def scenario() -> None:
        async with open_wire(world) as wire:
            for at in range(900, 3_000, 300):
                before = len(world.sent())
                wire.bytes_to_live = [at, 900]
                async with agentspace.client.connect(wire.url, TOKEN) as client:
                    async with client.send("go on [[sim: count=20 rate=0 chars=5]]") as turn:
                        events = [event async for event in turn]
                    kinds = [type(event) for event in events]
                    assert kinds.count(ChatStreamEnd) == kinds.count(ChatStreamStart) == 1
                    assert kinds[-1] is ChatStreamEnd
                    assert kinds.count(Interrupted) == kinds.count(Resumed)
                    text = await stored_answer(client, turn.session_id)
                    assert turn.text == text_of(events) == text
                    report = await client.ask(UsageQuery(id=new_id(), session_id=turn.session_id))
                assert report.grand_total.request_count == 1
                assert len(world.sent()) == before + 1
            assert wire.connections > 14

    run(backend, scenario)


@either
def test_a_wait_that_is_cancelled_loses_nothing(backend: str, world: World) -> None:
    """A program may look at a turn between other things."""

    async def scenario() -> None:
        async with agentspace.client.connect(world.url, TOKEN) as client:
            async with client.send(LONG) as turn:
                events: list[TurnEvent] = []
                while turn.end is None:
                    with anyio.move_on_after(0.001):
                        events.append(await anext(turn))
            assert text_of(events) == await stored_answer(client, turn.session_id)

    run(backend, scenario)


@either
def test_whoever_leaves_a_turn_cancels_it(backend: str, world: World) -> None:
    """By `break` and by an exception; the next question finds the way free."""

    async def scenario() -> None:
        async with agentspace.client.connect(world.url, TOKEN) as client:
            async with client.send(ENDLESS) as turn:
                async for event in turn:
                    if isinstance(event, ChatStreamDelta):
                        break
            assert turn.end is not None
            assert turn.end.stop_reason == "cancelled"
            with pytest.raises(LookupError):
                async with client.send(ENDLESS):
                    raise LookupError
            assert isinstance((await heard(client, "hello"))[-1], ChatStreamEnd)

    run(backend, scenario)


@either
def test_a_turn_that_is_let_go_goes_on_by_itself(backend: str, world: World) -> None:
    """Its answer is in the session later; the next question finds the way free."""

    async def scenario() -> None:
        async with agentspace.client.connect(world.url, TOKEN) as client:
            async with client.send(LONG, on_leave="detach") as turn:
                while not turn.text:
                    await anext(turn)
            assert turn.end is None
            assert isinstance((await heard(client, "hello"))[-1], ChatStreamEnd)
            while len(await stored_answer(client, turn.session_id)) <= len(LONG):  # noqa: ASYNC110
                await anyio.sleep(0.05)

    run(backend, scenario)


@either
def test_a_turn_can_be_cancelled_and_heard_to_its_end(backend: str, world: World) -> None:
    """Its end says so, with what it cost; also when the wish came over a dead connection."""

    async def scenario() -> None:
        async with (
            open_wire(world) as wire,
            agentspace.client.connect(wire.url, TOKEN) as client,
        ):
            for cut in (False, True):
                async with client.send(ENDLESS) as turn:
                    while not turn.text:
                        await anext(turn)
                    if cut:
                        wire.cut()
                    await turn.cancel()
                    end = await turn.finish()
                assert end.stop_reason == "cancelled"
                assert end.usage.output_tokens > 0

    run(backend, scenario)


def with_a_tool(content: str) -> ChatSend:
    tool = ToolDeclaration(name="look_up", description="Looks up.", input_schema={"type": "object"})
    return ChatSend(id=new_id(), content=content, tools=[tool])


@either
def test_a_tool_of_the_client_answers_over_a_new_connection(backend: str, world: World) -> None:
    """The answer is given again after a cut; the model gets it once."""

    async def scenario() -> None:
        async with (
            open_wire(world) as wire,
            agentspace.client.connect(wire.url, TOKEN) as client,
            client.send(with_a_tool("[[sim: tool=look_up]]")) as turn,
        ):
            events = []
            async for event in turn:
                events.append(event)
                if isinstance(event, ToolCall):
                    wire.cut()
                    await turn.give(event, "forty-two")
        assert [event.result for event in events if isinstance(event, ToolResult)] == ["forty-two"]
        assert not any(isinstance(event, AnswerRefused) for event in events)
        assert any(isinstance(event, Resumed) for event in events)

    run(backend, scenario)


@either
def test_an_answer_that_comes_too_late_is_told(backend: str, world: World) -> None:
    """The second answer to one call is refused, and the turn goes on."""

    async def scenario() -> None:
        async with (
            agentspace.client.connect(world.url, TOKEN) as client,
            client.send(with_a_tool("[[sim: tool=look_up]] [[sim: count=50 rate=200]]")) as turn,
        ):
            calls, refused = [], []
            async for event in turn:
                match event:
                    case ToolCall():
                        calls.append(event)
                        await turn.give(event, "once")
                    case ToolResult():
                        await turn.give(calls[0], "twice")
                    case AnswerRefused():
                        refused.append(event.tool_call_id)
        assert refused == [calls[0].tool_call_id]

    run(backend, scenario)


@either
def test_a_message_over_the_limit_is_refused_once_with_its_size(backend: str, world: World) -> None:
    """It is not sent, and the connection stays."""

    async def scenario() -> None:
        async with (
            open_wire(world) as wire,
            agentspace.client.connect(wire.url, TOKEN) as client,
        ):
            limit = client.hello.limits.max_message_bytes
            with pytest.raises(MessageTooLarge, match=f"{limit:,}") as refused:
                async with client.send("x" * limit):
                    pytest.fail("it was sent")
            assert refused.value.size > limit == refused.value.limit
            assert isinstance(await client.ask(Ping(id=new_id())), Pong)
            assert wire.connections == 1

    run(backend, scenario)


@either
@pytest.mark.parametrize("error", [LookupError(), SystemExit(3), ExceptionGroup("", [OSError()])])
def test_what_the_block_raises_comes_out_as_it_is(
    backend: str, world: World, error: BaseException
) -> None:
    """The same object, in no group."""

    async def scenario() -> None:
        raised: BaseException | None = None
        try:
            async with agentspace.client.connect(world.url, TOKEN) as client:
                assert isinstance(await client.ask(Ping(id=new_id())), Pong)
                raise error
        except BaseException as caught:  # noqa: ASYNC103, BLE001 - no cancellation is about
            raised = caught
        assert raised is error

    run(backend, scenario)


@either
def test_a_client_that_is_cancelled_says_goodbye(backend: str, world: World) -> None:
    """In the middle of a turn: the turn is cancelled, and the gateway keeps no connection."""

    async def scenario() -> None:
        with anyio.move_on_after(0.5) as scope:
            async with (
                agentspace.client.connect(world.url, TOKEN) as client,
                client.send(ENDLESS) as turn,
            ):
                await turn.finish()
        assert scope.cancelled_caught
        assert turn.end is not None
        assert turn.end.stop_reason == "cancelled"
        async with agentspace.client.connect(world.url, TOKEN) as client:
            assert (await client.ask(GatewayStatus(id=new_id()))).connections == 1

    run(backend, scenario)


@either
def test_a_gateway_that_dies_in_mid_turn_ends_it_once(
    backend: str, world: World, tmp_path: Path
) -> None:
    """The next process does not know the turn, and says so; the client goes on with it."""

    async def scenario() -> None:
        async with (
            supervised(
                settings={"anthropic_base_url": world.simulator.url},
                environ=environment(tmp_path),
                backoff_seconds=0.05,
            ) as gateway,
            agentspace.client.connect(gateway.url, gateway.token) as client,
        ):
            before = len(world.sent())
            async with client.send(ENDLESS) as turn:
                while not turn.text:
                    await anext(turn)
                os.kill(gateway.pid, signal.SIGKILL)
                with pytest.raises(GatewayError, match="TURN_NOT_FOUND"):
                    await turn.finish()
                assert [event async for event in turn] == []
            assert len(world.sent()) == before + 1
            async with client.send("hello", session_id=turn.session_id) as further:
                assert (await further.finish()).stop_reason == "end_turn"

    run(backend, scenario)


@either
def test_a_gateway_that_drains_hands_its_clients_to_its_successor(
    backend: str, world: World, tmp_path: Path
) -> None:
    """A question in that moment waits for the next process."""

    async def scenario() -> None:
        async with (
            supervised(
                settings={"anthropic_base_url": world.simulator.url},
                environ=environment(tmp_path),
                backoff_seconds=0.05,
            ) as gateway,
            agentspace.client.connect(gateway.url, gateway.token) as client,
        ):
            await client.ask(SessionCreate(id=new_id()))
            os.kill(gateway.pid, signal.SIGTERM)
            assert text_of(await heard(client, "hello"))
            assert gateway.restarts == 1

    run(backend, scenario)


def test_importing_it_imports_nothing_of_the_gateway() -> None:
    """Nor trio, for a program under asyncio."""
    script = (
        "import sys, agentspace.client, agentspace.embed\n"
        "rooms = {'gateway', 'actors', 'protocol', 'trio', 'anthropic', 'rich'}\n"
        "print(rooms & {name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout == "set()\n"
