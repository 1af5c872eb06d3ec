"""Context: what is sent, what it weighs, and what a session remembers."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors import counting
from actors.ports import AgentFiles, Skill
from protocol.errors import GatewayError, ProviderError
from protocol.provider import ContentBlockStop
from protocol.records import CalibrationRecord
from tests.actors.fakes import (
    MODEL,
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

TOOLS = [{"name": "brew", "description": "Brews.", "inputSchema": {"type": "object"}}]
ASSISTANT = [{"type": "text", "text": "Hello."}]


async def inspect(client: Client, session: str, **fields: Any) -> Frame:
    """Ask for an inspection, and hear it."""
    client.say("context.inspect", sessionId=session, **fields)
    return await client.expect("context.inspection")


async def opened(client: Client, **fields: Any) -> str:
    """A session with one finished turn; its id."""
    return str((await client.converse(**fields))[0]["sessionId"])


def section(inspection: Frame, name: str) -> Frame:
    """The inspection's section of this name."""
    (found,) = (one for one in inspection["sections"] if one["name"] == name)
    assert isinstance(found, dict)
    return found


# --- inspected is sent -------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["Moin ☕", [{"type": "text", "text": "In a block."}]])
async def test_what_is_inspected_is_what_is_sent(content: Any, autojump_clock: MockClock) -> None:
    """For the same content the sections' texts are the request's body, part for part."""
    async with open_world(response_format=True) as world:
        world.library.files["tea"] = AgentFiles("No milk.", (Skill("brew", "Brews."),))
        client = world.connect()
        session = await opened(client, agentId="tea", tools=TOOLS, system="Pour.")
        inspection = await inspect(client, session, content=content)
        await client.converse(content, sessionId=session)
        texts = {one["name"]: one["content"] for one in inspection["sections"]}
        body = world.model.last_request
        assert [part["text"] for part in body["system"]] == [
            texts[name] for name in ("system_prompt", "response_format", "memory", "skills")
        ]
        assert body["tools"] == json.loads(texts["tools"])
        assert body["messages"][:-1] == json.loads(texts["history"])
        assert body["messages"][-1] == {"role": "user", "content": content}
        assert texts["user_message"] == (
            content if isinstance(content, str) else json.dumps(content, separators=(",", ":"))
        )


async def test_the_sums_are_the_sections_sums(autojump_clock: MockClock) -> None:
    """Bytes, tokens and money, to the last digit of a price that no decimal holds."""
    async with open_world() as world:
        world.prices.per_input = Decimal(1) / 3
        world.store.calibration = [CalibrationRecord(model=MODEL, has_tools=True, counted=300, billed=1_000)]
        client = world.connect()
        session = await opened(client, tools=TOOLS)
        inspection = await inspect(client, session, content="Moin ☕")
        sections, totals = inspection["sections"], inspection["totals"]
        for figure in ("byteCount", "tokenEstimate", "costEstimate"):
            assert totals[figure] == sum(one[figure] for one in sections)
        for one in sections:
            assert one["byteCount"] == len(one["content"].encode())
        used = totals["tokenEstimate"]
        limit = inspection["window"]["limit"]
        assert inspection["window"] == {"limit": limit, "used": used, "free": limit - used}


async def test_a_model_without_a_price_costs_null(autojump_clock: MockClock) -> None:
    """In each section and in sum."""
    async with open_world() as world:
        client = world.connect()
        session = await opened(client, model="claude-of-no-price")
        inspection = await inspect(client, session)
        assert inspection["totals"]["costEstimate"] is None
        assert {one["costEstimate"] for one in inspection["sections"]} == {None}


async def test_without_content_the_user_message_is_empty(autojump_clock: MockClock) -> None:
    """It weighs nothing."""
    async with open_world() as world:
        client = world.connect()
        inspection = await inspect(client, await opened(client))
        empty = section(inspection, "user_message")
        assert (empty["content"], empty["byteCount"], empty["tokenEstimate"]) == ("", 0, 0)


async def test_another_model_can_be_weighed(autojump_clock: MockClock) -> None:
    """The session does not remember it."""
    async with open_world() as world:
        client = world.connect()
        session = await opened(client)
        assert (await inspect(client, session, model="claude-3-haiku"))["model"] == "claude-3-haiku"
        assert (await inspect(client, session))["model"] == MODEL


async def test_the_providers_own_count_is_asked_for_the_same_request(
    autojump_clock: MockClock,
) -> None:
    """With the history and the new content in it."""
    async with open_world() as world:
        client = world.connect()
        session = await opened(client)
        assert "exactTokens" not in await inspect(client, session, content="And?")
        inspection = await inspect(client, session, content="And?", exact=True)
        assert inspection["exactTokens"] == 77
        counted = world.model.last_request["messages"]
        assert [message["content"] for message in counted] == ["Hi.", ASSISTANT, "And?"]


@pytest.mark.parametrize("fields", [{"content": " "}, {"exact": True}])
async def test_what_cannot_be_weighed_is_refused(
    fields: dict[str, Any], autojump_clock: MockClock
) -> None:
    """A blank content, and an exact count without any."""
    async with open_world() as world:
        client = world.connect()
        session = await opened(client)
        client.say("context.inspect", sessionId=session, **fields)
        await client.expect("error", code="INVALID_MESSAGE")


# --- weighing ----------------------------------------------------------------------------------


async def test_a_message_is_counted_once(autojump_clock: MockClock) -> None:
    """When it is stored: later turns and inspections count only what is new."""
    async with open_world() as world:
        client = world.connect()
        session = await opened(client, tools=TOOLS)
        world.tokenizer.texts.clear()
        await inspect(client, session)
        assert world.tokenizer.texts == []
        await client.converse("And?", sessionId=session)
        assert world.tokenizer.texts == ["And?", "Hello."]


async def test_remembered_counts_are_bounded(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond so many characters they begin anew, and stay right."""
    monkeypatch.setattr(counting, "KEPT_CHARACTERS", 10)
    async with open_world() as world:
        client = world.connect()
        for system in ("123456", "abcdef", "123456"):
            await client.converse(system=system)
        assert [text for text in world.tokenizer.texts if len(text) == 6].count("123456") == 2
        assert {row.counted_tokens for row in world.store.rows.values()} == {len("123456Hi.")}


async def test_the_estimate_learns_from_the_bill(autojump_clock: MockClock) -> None:
    """Billed over counted, in sum over all requests; 1 while nothing is known."""
    async with open_world() as world:
        client = world.connect()
        client.say("session.create")
        empty = (await client.expect("session.created"))["sessionId"]
        assert (await inspect(client, empty))["calibration"] == {"ratio": 1, "samples": 0}
        counted = len("Be brief.Hi.")
        world.model.will(reply("Hello.", prompt=counted * 2), reply("Hello.", prompt=counted))
        session = await opened(client)
        assert (await inspect(client, session))["calibration"] == {"ratio": 2, "samples": 1}
        await client.converse()
        inspection = await inspect(client, session, content="x" * 100)
        assert inspection["calibration"] == {"ratio": Decimal("1.5"), "samples": 2}
        assert section(inspection, "user_message")["tokenEstimate"] == 150


async def test_what_was_learned_before_is_known_at_the_start(autojump_clock: MockClock) -> None:
    """The store has summed it up."""
    world = World()
    world.store.calibration = [CalibrationRecord(model=MODEL, has_tools=False, counted=10, billed=30)]
    async with trio.open_nursery() as nursery:
        world.nursery = nursery
        for actor in (world.usage, world.context, world.llm):
            await nursery.start(actor.run)
        client = world.connect()
        inspection = await inspect(client, await opened(client))
        assert inspection["calibration"]["samples"] == 8
        nursery.cancel_scope.cancel()


# --- what fits ---------------------------------------------------------------------------------


async def test_the_oldest_turns_are_left_out_when_the_window_is_full(
    autojump_clock: MockClock,
) -> None:
    """Whole turns, and both the inspection and the end of the stream say how many."""
    async with open_world(max_tokens=1) as world:
        fixed, turn = len("Be brief.") + 10, 10 + 10
        world.model.window = fixed + 2 * turn + 2
        client = world.connect()
        client.say("session.create")
        session = (await client.expect("session.created"))["sessionId"]
        end: Frame = {}
        for number in range(4):
            billed = len("Be brief.") + 10 + turn * min(number, 2)  # as counted: a ratio of 1
            world.model.will(reply(f"answer {number}..", prompt=billed))
            end = (await client.converse(f"question {number}", sessionId=session))[-1]
        sent = world.model.last_request["messages"]
        assert [m["content"] for m in sent if m["role"] == "user"] == [
            "question 1",
            "question 2",
            "question 3",
        ]
        assert sent[0]["role"] == "user"
        assert end["context"] == {"leftOutTurns": 1, "leftOutMessages": 2}
        inspection = await inspect(client, session, content="question 4")
        assert inspection["context"] == {"leftOutTurns": 2, "leftOutMessages": 4}
        assert inspection["window"]["used"] <= inspection["window"]["limit"]


async def test_a_message_that_cannot_fit_is_refused(autojump_clock: MockClock) -> None:
    """Whatever is left out: nothing is sent, nothing stored, nothing billed."""
    async with open_world() as world:
        world.model.window = 20
        client = world.connect()
        frames = await client.converse("x" * 12)
        assert kinds_of(frames) == ["error"]
        assert frames[0]["code"] == "CONTEXT_TOO_LARGE"
        assert "21 tokens" in frames[0]["message"]
        assert (world.model.bodies, world.store.messages, world.store.rows) == ([], [], {})


async def test_what_fits_is_judged_by_what_would_be_billed(autojump_clock: MockClock) -> None:
    """Here twice as much as is counted."""
    async with open_world(max_tokens=1) as world:
        world.model.window = 100
        client = world.connect()
        world.model.will(reply("Hello.", prompt=2 * len("Be brief.Hi.")))
        session = await opened(client)
        client.say("context.inspect", sessionId=session, content="x" * 42)
        await client.expect("error", code="CONTEXT_TOO_LARGE")
        inspection = await inspect(client, session, content="x" * 40)
        assert inspection["window"]["used"] == 2 * len("Be brief." + "x" * 40)
        assert inspection["context"] == {"leftOutTurns": 1, "leftOutMessages": 2}
        assert "context" not in await inspect(client, session, content="x" * 30)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"maxTokens": 128_001}, "`maxTokens`"),
        ({"model": "claude-3-haiku", "effort": "low"}, "`effort`"),
        ({"content": " \n"}, "`content`"),
    ],
)
async def test_what_the_model_cannot_do_is_refused_by_name(
    fields: dict[str, Any], field: str, autojump_clock: MockClock
) -> None:
    """Before anything is sent."""
    async with open_world() as world:
        (error,) = await world.connect().converse(**fields)
        assert error["code"] == "INVALID_MESSAGE"
        assert error["message"].startswith(field)


async def test_the_answer_is_as_long_as_was_asked_for(autojump_clock: MockClock) -> None:
    """Else as the settings say, but not longer than the model can."""
    async with open_world() as world:
        client = world.connect()
        for fields in ({"maxTokens": 7}, {}, {"model": "claude-3-haiku"}):
            await client.converse(**fields)
        limits = [json.loads(body)["max_tokens"] for body in world.model.bodies]
        assert limits == [7, 8_192, 8_192]


# --- what a session remembers ------------------------------------------------------------------


async def test_a_session_remembers_model_system_and_tools(autojump_clock: MockClock) -> None:
    """Until they are changed; an empty list takes the tools away."""
    async with open_world() as world:
        client = world.connect()
        session = await opened(client, model="claude-3-haiku", system="Pour.", tools=TOOLS)
        await client.converse(sessionId=session)
        remembered = world.model.last_request
        assert remembered["model"] == "claude-3-haiku"
        assert remembered["system"] == [{"type": "text", "text": "Pour."}]
        assert remembered["tools"] == [
            {"name": "brew", "description": "Brews.", "input_schema": {"type": "object"}}
        ]
        await client.converse(sessionId=session, model=MODEL, system="", tools=[])
        await client.converse(sessionId=session)
        changed = world.model.last_request
        assert changed["model"] == MODEL
        assert not {"system", "tools"} & changed.keys()


async def test_a_session_belongs_to_its_agent(autojump_clock: MockClock) -> None:
    """Another one is refused."""
    async with open_world() as world:
        client = world.connect()
        session = await opened(client, agentId="tea")
        (error,) = await client.converse(sessionId=session, agentId="coffee")
        assert error["code"] == "INVALID_MESSAGE"
        assert kinds_of(await client.converse(sessionId=session, agentId="tea"))[-1] != "error"


async def test_a_session_that_was_created_empty_can_be_used(autojump_clock: MockClock) -> None:
    """With the system prompt that it was given; no second `session.created`."""
    async with open_world() as world:
        client = world.connect()
        client.say("session.create", system="Pour.")
        session = (await client.expect("session.created"))["sessionId"]
        frames = await client.converse(sessionId=session)
        assert kinds_of(frames)[0] == "chat.stream.start"
        assert world.model.last_request["system"] == [{"type": "text", "text": "Pour."}]


async def test_a_question_that_was_not_answered_is_not_sent_again(
    autojump_clock: MockClock,
) -> None:
    """A partial answer is sent again, as far as it came."""
    async with open_world() as world:
        client = world.connect()
        half: list[Step] = reply("Hal")[:3]
        world.model.will(reply("One."), [begin()], half, reply("Four."))
        session = await opened(client, content="1")
        for number in ("2", "3", "4"):
            await client.converse(number, sessionId=session)
        sent = world.model.last_request["messages"]
        assert [message["content"] for message in sent] == [
            "1",
            [{"type": "text", "text": "One."}],
            "3",
            [{"type": "text", "text": "Hal"}],
            "4",
        ]


@pytest.mark.parametrize("kept", [0, 1_500, 1_000_000])
async def test_a_session_out_of_memory_is_the_same_session(
    kept: int, autojump_clock: MockClock
) -> None:
    """However little is kept in memory, the requests are those of a gateway that keeps all."""
    async with open_world(history_cache_bytes=kept) as world:
        client = world.connect()
        half: list[Step] = reply("Hal")[:3]
        world.model.will(reply("A"), reply("B"), half, reply("C"), [begin()], reply("D"))
        one, other = await opened(client, content="a"), await opened(client, content="b")
        for session in (one, other, one, other):
            await client.converse(f"more for {session}", sessionId=session)
        last = [message["content"] for message in world.model.last_request["messages"]]
        assert last == [
            "b",
            [{"type": "text", "text": "B"}],
            f"more for {other}",
            [{"type": "text", "text": "C"}],
            f"more for {other}",
        ]
        assert (world.store.calls.count("load_session") > 0) == (kept < 1_000_000)


async def test_a_deleted_session_is_gone(autojump_clock: MockClock) -> None:
    """For the next turn, for inspections and for its history; its bill stays."""
    async with open_world() as world:
        client = world.connect()
        session = await opened(client)
        client.say("session.delete", sessionId=session)
        await client.expect("session.deleted")
        assert (await client.converse(sessionId=session))[0]["code"] == "SESSION_NOT_FOUND"
        for kind in ("context.inspect", "session.history"):
            client.say(kind, sessionId=session)
            await client.expect("error", code="SESSION_NOT_FOUND")
        client.say("usage.query", sessionId=session)
        assert (await client.expect("usage.report"))["grandTotal"]["requestCount"] == 1


async def test_a_session_deleted_in_mid_turn_keeps_only_the_bill(
    autojump_clock: MockClock,
) -> None:
    """The turn ends as if nothing had happened, and leaves no message behind."""
    async with open_world() as world:
        client, other = world.connect(), world.connect()
        world.model.will(reply("Hello.", pause=5))
        start = await client.begun()
        other.say("session.delete", sessionId=start["sessionId"])
        await other.expect("session.deleted")
        frames = await client.hear_out(start["requestId"])
        assert (text_of(frames), frames[-1]["stopReason"]) == ("Hello.", "end_turn")
        assert (world.store.messages, world.row.status) == ([], "completed")


async def test_a_session_deleted_before_its_turn_began_is_not_found(
    autojump_clock: MockClock,
) -> None:
    """It is not brought back by a question that was already measured."""
    async with open_world() as world:
        client, other = world.connect(), world.connect()
        session = await opened(client)
        world.store.slow["delete_session"] = 1
        other.say("session.delete", sessionId=session)
        await trio.testing.wait_all_tasks_blocked()
        (error,) = await client.converse(sessionId=session)
        assert error["code"] == "SESSION_NOT_FOUND"
        assert world.store.sessions == {}


async def test_a_new_session_that_cannot_be_stored_is_not_begun(
    autojump_clock: MockClock,
) -> None:
    """The client is told why; nothing is sent, and nothing stays in memory."""
    async with open_world() as world:
        client = world.connect()
        world.store.breaks("begin_turn")
        (error,) = await client.converse()
        assert error["message"] == "The disk is full."
        assert world.model.bodies == []
        world.store.failing.clear()
        client.say("context.inspect", sessionId="session_3")
        await client.expect("error", code="SESSION_NOT_FOUND")


async def test_without_a_key_the_client_is_told_so(autojump_clock: MockClock) -> None:
    """Before anything is sent."""
    async with open_world() as world:
        world.model.describing = GatewayError("NO_API_KEY", "Give one.")
        (error,) = await world.connect().converse()
        assert (error["code"], error["message"]) == ("NO_API_KEY", "Give one.")


async def test_a_provider_that_does_not_describe_its_model_still_answers(
    autojump_clock: MockClock,
) -> None:
    """The table by version stands in."""
    async with open_world() as world:
        world.model.describing = ProviderError("LLM_ERROR", "No.")
        assert text_of(await world.connect().converse()) == "Hello."
        assert world.model.last_request["thinking"]["type"] == "adaptive"


async def test_room_is_left_for_the_answer(autojump_clock: MockClock) -> None:
    """What the answer may need of the window is not filled with history."""
    async with open_world(max_tokens=40) as world:
        world.model.window = 100
        client = world.connect()
        client.say("session.create")
        session = (await client.expect("session.created"))["sessionId"]
        world.model.will(reply("Hello.", prompt=len("Be brief.") + 30))
        await client.converse("x" * 30, sessionId=session)
        assert "context" not in await inspect(client, session, content="y" * 10)
        left_out = await inspect(client, session, content="y" * 20)
        assert left_out["context"] == {"leftOutTurns": 1, "leftOutMessages": 2}


async def test_tools_that_the_provider_would_refuse_are_refused_here(
    autojump_clock: MockClock,
) -> None:
    """Two of one name, and a schema of no object; the field is named."""
    tool = {"name": "t", "description": "", "inputSchema": {"type": "object"}}
    async with open_world() as world:
        client = world.connect()
        for tools, field in (
            ([tool, tool], "tools[1].name"),
            ([{**tool, "inputSchema": {"type": "string"}}], "tools[0].inputSchema"),
        ):
            (refused,) = await client.converse(tools=tools)
            assert refused["code"] == "INVALID_MESSAGE"
            assert field in refused["message"]


async def test_what_the_provider_refuses_does_not_stick(autojump_clock: MockClock) -> None:
    """The session is as it was before, and goes on with its own model."""
    async with open_world() as world:
        client = world.connect()
        session = await opened(client)
        world.model.will(
            [ProviderError("MODEL_NOT_FOUND", "The provider does not know this model.")]
        )
        frames = await client.converse(sessionId=session, model="claude-mistyped-5-5")
        assert frames[-1]["code"] == "MODEL_NOT_FOUND"
        await client.converse(sessionId=session)
        assert world.model.last_request["model"] == MODEL


async def test_the_answer_is_held_to_what_may_be_spent(autojump_clock: MockClock) -> None:
    """`maxCost` bounds the output tokens of the request; the end says `budget`."""
    async with open_world() as world:
        client = world.connect()
        world.model.will([begin(), open_block(), piece("Hi"), *finish(1, "max_tokens")])
        frames = await client.converse(maxCost=0.0004)
        assert world.model.last_request["max_tokens"] < 100
        assert frames[-1]["stopReason"] == "budget"
