"""Connections: one stream at a time, nobody slowed by anybody, and an end in every case."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from actors.connection import connection
from actors.connection.connection import ConnectionEnd
from protocol.errors import CloseCode, GatewayError, ProviderError
from protocol.mail import Drain, DrainTurns
from protocol.server import Pong
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


def endless(*rest: Step) -> list[Step]:
    """An answer that begins with `Hel` and then waits, for ever or for `rest`."""
    return [begin(), open_block(), piece("Hel"), *(rest or [trio.Event()])]


async def ended(client: Client) -> ConnectionEnd:
    """How the connection ended."""
    with trio.fail_after(3_600):
        await client.closed.wait()
    assert client.closing is not None
    return client.closing


# --- talking -----------------------------------------------------------------------------------


async def test_whoever_wants_it_is_greeted(autojump_clock: MockClock) -> None:
    """Before anything else."""
    async with open_world() as world:
        client = world.connect(hello=Pong(request_id="hello"))
        client.say("ping", id="r1")
        await client.expect("pong", requestId="hello")
        await client.expect("pong", requestId="r1")


async def test_large_frames_come_and_go_in_steps(autojump_clock: MockClock) -> None:
    """As whole as small ones."""
    long = "x" * 100_000
    async with open_world() as world:
        client = world.connect(hello=Pong(request_id=long))
        await client.expect("pong", requestId=long)
        client.socket.say(f'{{"type":"ping","id":"r1","unknown":"{long}"}}')
        await client.expect("pong", requestId="r1")


@pytest.mark.parametrize(
    ("frame", "request_id"),
    [
        ("no JSON", None),
        ('{"type": "ping"}', None),
        ('{"type": "sing", "id": "r1"}', "r1"),
        ('{"type": "chat.send", "id": "r1"}', "r1"),
    ],
)
async def test_what_is_no_message_is_refused_and_the_talk_goes_on(
    frame: str, request_id: str | None, autojump_clock: MockClock
) -> None:
    """With the request's id when it could be read."""
    async with open_world() as world:
        client = world.connect()
        client.socket.say(frame)
        error = await client.expect("error", code="INVALID_MESSAGE")
        assert error.get("requestId") == request_id
        client.say("ping", id="r2")
        await client.expect("pong", requestId="r2")


async def test_the_status_is_the_censuses(autojump_clock: MockClock) -> None:
    """It is asked at once."""
    async with open_world() as world:
        client = world.connect()
        client.say("gateway.status", id="s")
        await client.expect("gateway.status", requestId="s", connections=1)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "tool.output", "toolCallId": "t", "content": "done"},
        {"kind": "tool.approval.response", "toolCallId": "t", "approved": True},
    ],
)
async def test_a_tool_call_that_nobody_made_is_not_found(
    fields: dict[str, Any], autojump_clock: MockClock
) -> None:
    """Nothing waits for it."""
    async with open_world() as world:
        client = world.connect()
        client.say(**fields)
        await client.expect("error", code="REQUEST_NOT_FOUND")


async def test_a_cancel_says_what_it_means(autojump_clock: MockClock) -> None:
    """By one name or the other."""
    async with open_world() as world:
        client = world.connect()
        client.say("chat.cancel")
        await client.expect("error", code="INVALID_MESSAGE")


async def test_queries_do_not_wait_for_the_stream(autojump_clock: MockClock) -> None:
    """Nor for each other."""
    async with open_world() as world:
        client = world.connect()
        world.model.will(endless())
        await client.begun()
        await client.expect("chat.stream.delta")
        world.store.slow["total_usage"] = 5
        client.say("usage.query", id="slow")
        client.say("session.list", id="fast")
        await client.expect("session.list", requestId="fast")
        await client.expect("usage.report", requestId="slow")


async def test_a_query_has_a_deadline(autojump_clock: MockClock) -> None:
    """Then the client is told to come back."""
    async with open_world() as world:
        client = world.connect()
        world.store.slow["list_sessions"] = 1_000
        client.say("session.list")
        await client.expect("error", code="OVERLOADED", retryable=True)
        assert trio.current_time() == 10


@pytest.mark.parametrize("kind", ["gateway.status", "session.list"])
async def test_a_bug_in_one_request_is_contained(kind: str, autojump_clock: MockClock) -> None:
    """INTERNAL_ERROR for that one, and the talk goes on."""
    async with open_world() as world:
        client = world.connect()
        world.census.failing = ZeroDivisionError()
        world.store.failing["list_sessions"] = ZeroDivisionError()
        client.say(kind, id="bad")
        await client.expect("error", code="INTERNAL_ERROR", requestId="bad")
        client.say("ping", id="good")
        await client.expect("pong", requestId="good")


async def test_a_bug_in_the_asking_is_contained_too(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only one in an actor that is asked."""

    async def fail(message: object) -> Frame:
        raise ZeroDivisionError

    async with open_world() as world:
        client = world.connect()
        monkeypatch.setattr(client.connection._queries, "answer", fail)
        for _ in range(5):
            client.say("session.list", id="bad")
            await client.expect("error", code="INTERNAL_ERROR", requestId="bad")


# --- one stream in flight ----------------------------------------------------------------------


async def test_a_second_stream_is_refused_at_once(autojump_clock: MockClock) -> None:
    """Also when both requests arrive back to back; the first does not notice."""
    async with open_world() as world:
        client = world.connect()
        world.model.will(endless(5, piece("lo."), *finish()))
        client.send(id="first")
        client.send(id="second")
        client.say("chat.resume", id="third", turnId="turn_2")
        frames = await client.hear_out("first")
        for name in ("second", "third"):
            (refused,) = (frame for frame in frames if frame["requestId"] == name)
            assert refused["code"] == "STREAM_IN_PROGRESS"
        own = [frame for frame in frames if frame["requestId"] == "first"]
        assert (text_of(own), own[-1]["type"]) == ("Hello.", "chat.stream.end")
        assert len(world.model.bodies) == 1


async def finishes(world: World, client: Client) -> Frame:
    """A turn that goes well."""
    return (await client.converse())[-1]


async def is_never_measured(world: World, client: Client) -> Frame:
    """A turn that fails before its start."""
    return (await client.converse("x", maxTokens=10**7))[-1]


async def fails_in_mid_stream(world: World, client: Client) -> Frame:
    """A turn whose provider fails."""
    world.model.will([begin(), ProviderError("LLM_ERROR", "No.")])
    return (await client.converse())[-1]


async def is_cancelled(world: World, client: Client) -> Frame:
    """A turn that the client stops."""
    world.model.will(endless())
    client.send(id="stop")
    client.say("chat.cancel", requestId="stop")
    return (await client.hear_out("stop"))[-1]


async def is_busy(world: World, client: Client) -> Frame:
    """A turn that the llm actor refuses."""
    other = world.connect()
    world.model.will(endless())
    session = (await other.begun())["sessionId"]
    return (await client.converse(id="another", sessionId=session))[-1]


async def has_no_session(world: World, client: Client) -> Frame:
    """A turn of a session that nobody knows."""
    return (await client.converse(sessionId="nobody"))[-1]


@pytest.mark.parametrize(
    ("way", "end"),
    [
        (finishes, "end_turn"),
        (is_never_measured, "INVALID_MESSAGE"),
        (fails_in_mid_stream, "LLM_ERROR"),
        (is_cancelled, "cancelled"),
        (is_busy, "SESSION_BUSY"),
        (has_no_session, "SESSION_NOT_FOUND"),
    ],
)
async def test_the_guard_frees_at_the_terminal_frame(
    way: Any, end: str, autojump_clock: MockClock
) -> None:
    """However a turn ends: whoever has seen it may send again at once."""
    async with open_world() as world:
        client = world.connect()
        terminal = await way(world, client)
        assert end in (terminal.get("stopReason"), terminal.get("code"))
        assert text_of(await client.converse()) == "Hello."
        await client.silence()


async def test_the_guard_frees_when_the_llm_actor_does_not_answer(
    autojump_clock: MockClock,
) -> None:
    """Every ask has a deadline."""
    world = World()
    async with trio.open_nursery() as nursery:
        world.nursery = nursery
        client = world.connect()
        for _ in range(2):
            (error,) = await client.converse()
            assert error["code"] == "OVERLOADED"
        client.say("chat.cancel", turnId="turn_9")
        await client.expect("error", code="OVERLOADED")
        assert trio.current_time() == 30
        nursery.cancel_scope.cancel()


async def test_the_guard_frees_when_the_llm_actor_has_stopped(autojump_clock: MockClock) -> None:
    """The client is told that the gateway goes."""
    async with open_world() as world:
        client = world.connect()
        world.llm_box.close()
        for _ in range(2):
            (error,) = await client.converse()
            assert error["code"] == "DRAINING"


async def test_the_guard_frees_when_a_log_is_gone_at_once(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn that was accepted and that nobody finds any more."""

    def lose(turn_id: str) -> None:
        raise GatewayError("TURN_NOT_FOUND", "Gone.")

    async with open_world() as world:
        client = world.connect()
        with monkeypatch.context() as patch:
            patch.setattr(world.logs, "find", lose)
            (error,) = await client.converse()
        assert error["code"] == "TURN_NOT_FOUND"
        assert text_of(await client.converse()) == "Hello."


# --- cancelling --------------------------------------------------------------------------------


async def test_a_cancel_that_comes_late_meets_no_strangers_turn(
    autojump_clock: MockClock,
) -> None:
    """The stream has ended, and another client's request has the same id."""
    async with open_world() as world:
        client, stranger = world.connect(), world.connect()
        await client.converse(id="r1")
        world.model.will(endless(5, *finish()))
        await stranger.begun(id="r1")
        client.say("chat.cancel", requestId="r1")
        await client.expect("error", code="REQUEST_NOT_FOUND")
        assert (await stranger.hear_out("r1"))[-1]["stopReason"] == "end_turn"


async def test_a_cancel_that_meets_the_end_is_answered_by_the_end(
    autojump_clock: MockClock,
) -> None:
    """The turn is over, its terminal frame not yet written: no error beside it."""
    async with open_world() as world:
        client = world.connect()
        world.model.will(endless(5, *finish()))
        await client.begun()
        await client.expect("chat.stream.delta")
        client.socket.stop_reading()
        client.say("ping")  # the writer is held up by this
        await trio.sleep(6)
        client.say("chat.cancel", requestId="r1")
        await trio.testing.wait_all_tasks_blocked()
        client.socket.read_on()
        assert kinds_of([await client.hear() for _ in range(2)]) == ["pong", "chat.stream.end"]
        await client.silence()


async def test_a_cancel_that_is_not_heard_is_no_success(autojump_clock: MockClock) -> None:
    """The client is told, and may try again."""
    async with open_world() as world:
        client = world.connect()
        world.model.will(endless())
        start = await client.begun()
        await client.expect("chat.stream.delta")
        world.llm_box.close()
        client.say("chat.cancel", id="stop", turnId=start["turnId"])
        await client.expect("error", code="DRAINING", requestId="stop")


# --- leaving and coming back -------------------------------------------------------------------


async def test_a_client_that_goes_ends_its_connection(autojump_clock: MockClock) -> None:
    """Normally."""
    async with open_world() as world:
        client = world.connect()
        client.socket.leave()
        assert await ended(client) == ConnectionEnd(code=CloseCode.NORMAL, reason="")


async def test_a_client_that_is_gone_when_it_is_written_to_ends_its_connection(
    autojump_clock: MockClock,
) -> None:
    """Though the reader has not heard of it."""
    async with open_world() as world:
        client = world.connect()
        client.socket._gone = True
        client.say("ping")
        assert await ended(client) == ConnectionEnd(code=CloseCode.NORMAL, reason="")


async def test_a_detached_turn_goes_on_and_is_resumed(autojump_clock: MockClock) -> None:
    """From where the client was: no character is lost, none comes twice."""
    async with open_world() as world:
        client = world.connect()
        world.model.will(reply(*"Hello world.", pause=1))
        start = await client.begun()
        seen = [await client.expect("chat.stream.delta") for _ in range(4)]
        client.socket.leave()
        await ended(client)
        await trio.sleep(3)
        other = world.connect()
        other.say("chat.resume", id="back", turnId=start["turnId"], after=seen[-1]["seq"])
        frames = await other.hear_out("back")
        assert text_of(seen) + text_of(frames) == "Hello world."
        assert {frame["requestId"] for frame in frames} == {"back"}
        assert all(frame["seq"] > seen[-1]["seq"] for frame in frames)
        assert frames[-1]["stopReason"] == "end_turn"


@pytest.mark.parametrize(
    ("after", "text"), [(None, "Hello."), (-1, "Hello."), (1, "lo."), (3, ""), (99, "")]
)
async def test_a_finished_turn_is_resumed(
    after: int | None, text: str, autojump_clock: MockClock
) -> None:
    """What was missed of it, and its terminal frame in every case."""
    async with open_world() as world:
        client = world.connect()
        world.model.will(reply("Hel", "lo.", pause=1))
        turn = (await client.converse())[-1]["turnId"]
        fields = {} if after is None else {"after": after}
        client.say("chat.resume", id="again", turnId=turn, **fields)
        frames = await client.hear_out("again")
        assert (text_of(frames), frames[-1]["stopReason"]) == (text, "end_turn")
        assert ("chat.stream.start" in kinds_of(frames)) == (after in (None, -1))
        await client.silence()


async def test_an_unknown_turn_cannot_be_resumed(autojump_clock: MockClock) -> None:
    """And the connection is free for another stream."""
    async with open_world() as world:
        client = world.connect()
        client.say("chat.resume", turnId="turn_9")
        await client.expect("error", code="TURN_NOT_FOUND")
        assert text_of(await client.converse()) == "Hello."


async def test_a_resumed_stream_is_cancelled_by_its_new_request(
    autojump_clock: MockClock,
) -> None:
    """Each watcher knows the turn by an id of its own."""
    async with open_world() as world:
        client, other = world.connect(), world.connect()
        world.model.will(endless())
        start = await client.begun()
        other.say("chat.resume", id="watch", turnId=start["turnId"])
        await other.expect("session.created")
        await other.expect("chat.stream.start", requestId="watch")
        other.say("chat.cancel", requestId="watch")
        for watcher, name in ((client, "r1"), (other, "watch")):
            assert (await watcher.hear_out(name))[-1]["stopReason"] == "cancelled"


@pytest.mark.parametrize(("wish", "status"), [("cancel", "cancelled"), ("detach", "completed")])
async def test_a_turn_ends_with_its_client_if_it_is_asked_to(
    wish: str, status: str, autojump_clock: MockClock
) -> None:
    """Otherwise it goes on."""
    async with open_world() as world:
        client = world.connect()
        world.model.will(endless(5, *finish()))
        await client.begun(onDisconnect=wish)
        client.socket.leave()
        await ended(client)
        await trio.sleep(6)
        assert world.row.status == status


async def test_a_client_that_goes_right_after_its_request_is_not_forgotten(
    autojump_clock: MockClock,
) -> None:
    """The turn is only accepted when its client is gone: it is cancelled, as was asked."""
    world = World()
    world.model.will(endless(5, *finish()))
    async with trio.open_nursery() as nursery:
        world.nursery = nursery
        await nursery.start(world.usage.run)
        await nursery.start(world.context.run)
        client = world.connect()
        client.send(onDisconnect="cancel")
        await trio.testing.wait_all_tasks_blocked()
        client.socket.leave()
        await trio.testing.wait_all_tasks_blocked()
        await nursery.start(world.llm.run)
        await ended(client)
        await trio.sleep(6)
        assert world.row.status == "cancelled"
        nursery.cancel_scope.cancel()


async def test_leaving_is_no_trouble_when_the_turn_cannot_be_cancelled(
    autojump_clock: MockClock,
) -> None:
    """The connection ends all the same."""
    async with open_world() as world:
        client = world.connect()
        world.model.will(endless(5, *finish()))
        await client.begun(onDisconnect="cancel")
        world.llm_box.close()
        client.socket.leave()
        assert (await ended(client)).code == CloseCode.NORMAL


async def test_a_connection_that_is_cut_cancels_its_turn_too(autojump_clock: MockClock) -> None:
    """However it ends, whoever asked for it gets it."""
    async with open_world() as world:
        world.model.will(endless(5, *finish()))
        async with trio.open_nursery() as connections:
            world.nursery = connections
            client = world.connect()
            await client.begun(onDisconnect="cancel")
            connections.cancel_scope.cancel()
        await trio.sleep(1)
        assert world.row.status == "cancelled"


# --- slow and silent clients -------------------------------------------------------------------


async def test_a_slow_reader_gets_fewer_and_larger_frames(autojump_clock: MockClock) -> None:
    """What came while it did not read is joined; another watcher is not slowed."""
    async with open_world() as world:
        client, other = world.connect(), world.connect()
        text = "0123456789" * 5
        world.model.will(reply(*text, pause=0.1))
        start = await client.begun()
        other.say("chat.resume", id="watch", turnId=start["turnId"])
        client.socket.stop_reading()
        log = world.logs.find(start["turnId"])
        await trio.testing.wait_all_tasks_blocked()
        assert log.watchers == 2
        quick = await other.hear_out("watch")
        assert trio.current_time() < 6
        client.socket.read_on()
        slow = await client.hear_out("r1")
        assert text_of(quick) == text_of(slow) == text
        assert (len(quick), len(slow)) == (53, 3)
        assert slow[-2]["seq"] == quick[-2]["seq"]
        assert log.watchers == 0


async def test_whoever_does_not_read_is_sent_away(autojump_clock: MockClock) -> None:
    """Forcibly, after the longest write; the turn goes on."""
    async with open_world() as world:
        client = world.connect()
        world.model.will(reply(*"Hello.", pause=9))
        await client.begun()
        client.socket.stop_reading()
        closing = await ended(client)
        assert (closing.code, closing.forcibly) == (CloseCode.POLICY, True)
        assert 9 + 10 <= trio.current_time() <= 9 + 12.5
        await trio.sleep(60)
        assert world.row.status == "completed"


async def test_a_ping_on_its_way_does_not_delay_the_end_of_a_write(
    autojump_clock: MockClock,
) -> None:
    """The two deadlines do not wait for each other."""
    async with open_world() as world:
        client = world.connect(write_seconds=4.0)
        client.socket.answers_pings = False
        await trio.sleep(20.5)
        client.socket.stop_reading()
        client.say("ping")
        closing = await ended(client)
        assert (closing.reason, trio.current_time()) == ("you read too slowly", 24.5)


async def test_a_ping_that_is_never_answered_ends_the_connection(
    autojump_clock: MockClock,
) -> None:
    """The peer has vanished."""
    async with open_world() as world:
        client = world.connect()
        client.socket.answers_pings = False
        closing = await ended(client)
        assert (closing.code, closing.reason, closing.forcibly) == (
            *(CloseCode.POLICY, "no pong"),
            False,
        )
        assert trio.current_time() == 40


async def test_an_idle_client_is_pinged_and_stays(autojump_clock: MockClock) -> None:
    """Every so often."""
    async with open_world() as world:
        client = world.connect()
        await trio.sleep(101)
        assert client.socket.pings == 5
        client.say("ping")
        await client.expect("pong")


async def test_a_client_that_is_written_to_is_not_pinged(autojump_clock: MockClock) -> None:
    """The write has its own deadline."""
    async with open_world() as world:
        client = world.connect(write_seconds=60.0)
        client.socket.stop_reading()
        client.say("ping")
        await trio.sleep(50)
        assert client.socket.pings == 0
        client.socket.read_on()
        await client.expect("pong")


async def test_a_ping_to_a_client_that_just_left_is_no_lost_pong(
    autojump_clock: MockClock,
) -> None:
    """The reader hears of it, and ends the connection normally."""
    async with open_world() as world:
        client = world.connect()
        client.socket._gone = True
        await trio.sleep(50)
        assert client.closing is None
        client.socket.leave()
        assert (await ended(client)).code == CloseCode.NORMAL


# --- floods ------------------------------------------------------------------------------------


async def test_queries_that_wait_are_bounded_in_bytes_too(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is too much together is refused; a single one is not, however large it is."""
    monkeypatch.setattr(connection, "MOST_BYTES", 1_000)
    async with open_world() as world:
        client = world.connect()
        client.say("session.create", id="s")
        session = (await client.expect("session.created"))["sessionId"]
        world.store.slow["load_session"] = 5
        for number in range(2):
            client.say("context.inspect", id=f"q{number}", sessionId=session, content="x" * 2_000)
        await client.expect("error", code="RATE_LIMITED", requestId="q1")
        await client.expect("context.inspection", requestId="q0")
        client.say("context.inspect", id="q2", sessionId=session, content="x" * 2_000)
        await client.expect("context.inspection", requestId="q2")


async def test_only_so_many_queries_wait_at_once(autojump_clock: MockClock) -> None:
    """The others are refused at once; after some answers there is room again."""
    async with open_world() as world:
        client = world.connect()
        world.store.slow["list_sessions"] = 5
        for number in range(6):
            client.say("session.list", id=f"q{number}")
        for number in (4, 5):
            await client.expect("error", code="RATE_LIMITED", requestId=f"q{number}")
        assert trio.current_time() == 0
        answered = [(await client.expect("session.list"))["requestId"] for _ in range(4)]
        assert sorted(answered) == ["q0", "q1", "q2", "q3"]
        client.say("session.list")
        await client.expect("session.list")


@pytest.mark.parametrize("kind", ["session.history", "context.inspect"])
async def test_one_who_never_reads_has_a_sessions_text_in_memory_twice_at_most(
    kind: str, autojump_clock: MockClock
) -> None:
    """One answer is on its way, the next one waits, and the rest is not asked for until then."""
    async with open_world() as world:
        client = world.connect()
        client.say("session.create", id="s")
        session = (await client.expect("session.created"))["sessionId"]
        client.socket.stop_reading()
        for number in range(4):
            client.say(kind, id=f"q{number}", sessionId=session)
        await trio.testing.wait_all_tasks_blocked()
        assert client.connection._writer.waiting == 1
        client.socket.read_on()
        answered = [(await client.hear())["requestId"] for _ in range(4)]
        assert sorted(answered) == ["q0", "q1", "q2", "q3"]


@pytest.mark.parametrize("kinds", [["ping"], ["session.list"], ["ping", "session.list"]])
async def test_a_flood_by_one_who_never_reads_is_bounded_and_ends(
    kinds: list[str], autojump_clock: MockClock
) -> None:
    """Outbox, mailbox and tasks stay small, and the write's deadline ends it: no deadlock."""
    async with open_world() as world:
        client = world.connect()
        client.socket.stop_reading()
        for number in range(1_000):
            client.say(kinds[number % len(kinds)])
        await trio.sleep(1)
        assert client.connection._nursery is not None
        tasks = len(client.connection._nursery.child_tasks)
        assert tasks <= 5 + 4
        assert client.connection.mailbox.waiting <= 8
        assert client.connection._writer.waiting <= 8
        assert world.store.calls.count("list_sessions") <= 8 + 4 + 1
        closing = await ended(client)
        assert (closing.code, closing.forcibly) == (CloseCode.POLICY, True)
        assert trio.current_time() <= 12.5


async def test_a_flood_by_one_who_reads_is_answered(autojump_clock: MockClock) -> None:
    """All of it, in order, though far more than any buffer holds."""
    async with open_world() as world:
        client = world.connect()
        names = [client.say("ping") for _ in range(500)]
        assert [(await client.hear())["requestId"] for _ in names] == names


# --- draining ----------------------------------------------------------------------------------


async def test_an_idle_connection_is_drained_at_once(autojump_clock: MockClock) -> None:
    """It is told, and closed as going away."""
    async with open_world() as world:
        client = world.connect()
        client.connection.mailbox.offer(Drain(deadline_ms=10_000))
        await client.expect("gateway.draining", deadlineMs=10_000)
        closing = await ended(client)
        assert (closing.code, closing.forcibly) == (CloseCode.GOING_AWAY, False)


async def test_a_streaming_connection_finishes_first(autojump_clock: MockClock) -> None:
    """It is told at once, and takes no other stream."""
    async with open_world() as world:
        client = world.connect()
        world.model.will(endless(5, piece("lo."), *finish()))
        start = await client.begun()
        await client.expect("chat.stream.delta")
        client.connection.mailbox.offer(Drain(deadline_ms=10_000))
        await client.expect("gateway.draining")
        client.send(id="late")
        await client.expect("error", code="DRAINING", requestId="late")
        assert text_of(await client.hear_out(start["requestId"])) == "lo."
        assert (await ended(client)).code == CloseCode.GOING_AWAY
        assert client.waiting() == []


async def test_a_draining_stream_can_still_be_cancelled(autojump_clock: MockClock) -> None:
    """And then the connection closes."""
    async with open_world() as world:
        client = world.connect()
        world.model.will(endless())
        start = await client.begun()
        world.llm_box.offer(DrainTurns())
        client.connection.mailbox.offer(Drain(deadline_ms=10_000))
        client.say("chat.cancel", turnId=start["turnId"])
        assert (await client.hear_out("r1"))[-1]["stopReason"] == "cancelled"
        assert (await ended(client)).code == CloseCode.GOING_AWAY


async def test_what_was_asked_during_the_last_frame_is_still_answered(
    autojump_clock: MockClock,
) -> None:
    """A drained connection closes when nothing is left to write."""
    async with open_world() as world:
        client = world.connect()
        world.model.will(endless(5, *finish()))
        await client.begun()
        await client.expect("chat.stream.delta")
        client.connection.mailbox.offer(Drain(deadline_ms=10_000))
        await client.expect("gateway.draining")
        client.socket.stop_reading()
        await trio.sleep(6)
        client.say("ping")
        await trio.testing.wait_all_tasks_blocked()
        client.socket.read_on()
        assert (await ended(client)).code == CloseCode.GOING_AWAY
        assert kinds_of(client.waiting()) == ["chat.stream.end", "pong"]


async def test_a_client_that_is_sent_away_hears_that_the_gateway_goes(
    autojump_clock: MockClock,
) -> None:
    """Whatever is still to be written; what ended a connection first is why it ended."""
    async with open_world() as world:
        client = world.connect()
        await client.begun()
        client.connection.send_away()
        client.connection.send_away()
        assert (await ended(client)).code == CloseCode.GOING_AWAY
