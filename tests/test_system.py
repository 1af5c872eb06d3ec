"""The main job, from outside: a foreign client, the gateway, a provider that speaks HTTP."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
import trio

from gateway.simulator import ErrorReply, Fault, Reply, ReplyText, ReplyThinking
from gateway.simulator.request import last_text
from tests.gateway.ledger.support import statements
from tests.support import client_frame, kinds_of, open_world, reasoning_of, text_block, text_of


async def test_an_answer_is_streamed_with_one_start_and_one_end(tmp_path: Path) -> None:
    """A first message makes a session, starts once, streams, and ends once with its bill."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        world.simulator.script(Reply(blocks=(ReplyThinking("Hm."), ReplyText("Hello there."))))
        frames = await talk.turn("Hi")
    assert kinds_of(frames) == [
        "session.created",
        "chat.stream.start",
        "chat.stream.reasoning",
        "chat.stream.delta",
        "chat.stream.end",
    ]
    assert text_of(frames) == "Hello there."
    assert reasoning_of(frames) == "Hm."
    created, start, end = frames[0], frames[1], frames[-1]
    assert created["sessionKey"] == f"agent:default:{created['sessionId']}"
    assert start["seq"] == 0
    assert end["turnId"] == start["turnId"]
    assert end["stopReason"] == "end_turn"
    seqs = [frame["seq"] for frame in frames if "seq" in frame]
    assert seqs == sorted(set(seqs))


async def test_a_turn_of_a_session_in_memory_reads_nothing_of_the_database(tmp_path: Path) -> None:
    """Its writes find out by themselves whether another process has written in between."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        session_id = (await talk.turn("Hi"))[0]["sessionId"]
        assert world.gateway.ledger is not None
        seen = await statements(world.gateway.ledger)
        assert (await talk.turn("And now?", sessionId=session_id))[-1]["type"] == "chat.stream.end"
        assert {statement.split()[0] for statement in seen} == {
            "BEGIN",
            "UPDATE",
            "INSERT",
            "COMMIT",
        }


@pytest.mark.parametrize("subprotocol", [None, "agentspace.v1.json", "agentspace.v1.msgpack"])
async def test_each_way_of_speaking_carries_the_same_answer(
    tmp_path: Path, subprotocol: str | None
) -> None:
    """Without a subprotocol, with JSON and with MessagePack, the text is the same."""
    async with open_world(tmp_path) as world, world.talk(subprotocol) as talk:
        world.simulator.script(Reply(blocks=(ReplyText("Grüße, 世界 🌍"),), chars=1))
        assert text_of(await talk.turn("Hi")) == "Grüße, 世界 🌍"


async def test_a_second_send_is_refused_and_the_first_is_untouched(tmp_path: Path) -> None:
    """Two sends in one packet: the second gets STREAM_IN_PROGRESS, the first its whole answer."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        world.simulator.script(Reply(blocks=(ReplyText("whole " * 50),), delay=0.05))
        first = {"type": "chat.send", "id": "one", "content": "a"}
        second = {"type": "chat.send", "id": "two", "content": "b"}
        texts = [json.dumps(message).encode() for message in (first, second)]
        packet = b"".join(client_frame(0x81, text) for text in texts)
        await talk.socket.stream.send_all(packet)
        refused = await talk.expect("error")
        assert (refused["requestId"], refused["code"]) == ("two", "STREAM_IN_PROGRESS")
        assert text_of(await talk.rest("one")) == "whole " * 50
        assert text_of(await talk.turn("again"))


async def test_code_is_told_from_prose_however_the_deltas_are_cut(tmp_path: Path) -> None:
    """From an opening fence to its closing fence the content type is `code`."""
    answer = "See:\n\n```python\nprint(1)\n```\n\nDone."
    async with open_world(tmp_path) as world, world.talk() as talk:
        world.simulator.script(Reply(blocks=(ReplyText(answer),), chars=1, rate=400))
        frames = await talk.turn("code")
    assert text_of(frames) == answer
    code = [f["delta"] for f in frames if f.get("contentType") == "code"]
    assert "".join(code) == "```python\nprint(1)\n```"


async def test_url_sources_come_once_each(tmp_path: Path) -> None:
    """A url that is cited twice is one source frame."""
    cited = [
        {
            "type": "web_search_result_location",
            "url": f"https://example.org/{name}",
            "title": name,
            "cited_text": "x",
            "encrypted_index": "e",
        }
        for name in ("a", "b", "a")
    ]
    async with open_world(tmp_path) as world, world.talk() as talk:
        world.simulator.script(Reply(blocks=(ReplyText("Cited.", citations=tuple(cited)),)))
        frames = await talk.turn("cite")
    sources = [frame["source"] for frame in frames if frame["type"] == "chat.stream.source"]
    assert sources == [
        {"url": "https://example.org/a", "title": "a"},
        {"url": "https://example.org/b", "title": "b"},
    ]


async def test_what_is_inspected_is_what_is_sent(tmp_path: Path) -> None:
    """Part for part, the sections are the body that the provider received."""
    agent = tmp_path / "agents" / "default"
    (agent / "skills" / "knots").mkdir(parents=True)
    (agent / "memory.md").write_text("The user sails.\n")
    (agent / "skills" / "knots" / "SKILL.md").write_text(
        "---\nname: knots\ndescription: How to tie knots.\n---\nBody.\n"
    )
    tools = [{"name": "tide", "description": "Tides.", "inputSchema": {"type": "object"}}]
    async with open_world(tmp_path, system_prompt="Be brief. ünïcode") as world:
        async with world.talk() as talk:
            frames = await talk.turn("First?", tools=tools)
            session_id = frames[0]["sessionId"]
            seen = await talk.ask("context.inspect", sessionId=session_id, content="Second?")
            await talk.turn("Second?", sessionId=session_id)
        body = world.sent()[-1]
    sections = {section["name"]: section["content"] for section in seen["sections"]}
    assert list(sections) == [
        "system_prompt",
        "response_format",
        "memory",
        "skills",
        "tools",
        "history",
        "user_message",
        "provider_overhead",
    ]
    system = [block["text"] for block in body["system"]]
    assert [sections[n] for n in list(sections)[:4]] == system
    assert json.loads(sections["tools"]) == body["tools"]
    assert json.loads(sections["history"]) == body["messages"][:-1]
    assert body["messages"][-1]["content"] == text_block(sections["user_message"])
    for section in seen["sections"]:
        assert section["byteCount"] == len(section["content"].encode())
        assert section["tokenEstimate"] > 0
    assert sections["provider_overhead"] == ""
    for total in ("byteCount", "tokenEstimate"):
        assert seen["totals"][total] == sum(section[total] for section in seen["sections"])
    assert seen["window"]["used"] == seen["totals"]["tokenEstimate"]


async def test_empty_sections_measure_nothing(tmp_path: Path) -> None:
    """Without files, tools and history, those sections are empty and weigh 0."""
    async with open_world(tmp_path, response_format=False) as world, world.talk() as talk:
        created = await talk.ask("session.create")
        seen = await talk.ask("context.inspect", sessionId=created["sessionId"])
    weights = {
        section["name"]: (section["byteCount"], section["tokenEstimate"], section["costEstimate"])
        for section in seen["sections"]
    }
    assert weights.pop("system_prompt")[0] > 0
    assert set(weights.values()) == {(0, 0, 0)}


async def test_each_user_message_goes_upstream_once(tmp_path: Path) -> None:
    """In a conversation of three turns, the third request has each message once, in order."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        session_id = (await talk.turn("one"))[0]["sessionId"]
        await talk.turn("two", sessionId=session_id)
        await talk.turn("three", sessionId=session_id)
        messages = world.sent()[-1]["messages"]
    asked = [m["content"] for m in messages if m["role"] == "user"]
    assert asked == [text_block("one"), text_block("two"), text_block("three")]
    assert [m["role"] for m in messages] == ["user", "assistant"] * 2 + ["user"]


async def test_the_bill_is_the_provider_s_to_the_token_and_the_cent(tmp_path: Path) -> None:
    """Cached and thinking tokens are kept apart, and the cost is exact."""
    usage = {
        "input_tokens": 1_000,
        "cache_creation_input_tokens": 300,
        "cache_read_input_tokens": 2_000,
        "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 100},
        "output_tokens": 50,
        "output_tokens_details": {"thinking_tokens": 20},
    }
    async with open_world(tmp_path) as world, world.talk() as talk:
        world.simulator.script(Reply(blocks=(ReplyText("Yes."),), usage=usage))
        frames = await talk.turn("Hi", model="claude-sonnet-4-5-20250929")
        end = frames[-1]
        report = await talk.ask("usage.query", sessionId=frames[0]["sessionId"])
    assert end["usage"] == {
        "inputTokens": 3_300,
        "outputTokens": 50,
        "totalTokens": 3_350,
        "inputDetails": {
            "uncached": 1_000,
            "cacheRead": 2_000,
            "cacheWrite5m": 200,
            "cacheWrite1h": 100,
        },
        "outputDetails": {"thinking": 20},
        "webSearches": 0,
        "estimated": False,
    }
    # USD a million: input 3, cache write 3.75 and 6, cache read 0.30, output 15.
    assert Decimal(str(end["cost"]["inputCost"])) * 1_000_000 == 3_000 + 750 + 600 + 600
    assert Decimal(str(end["cost"]["outputCost"])) * 1_000_000 == 750
    model = report["perModel"]["claude-sonnet-4-5-20250929"]
    assert model["totalCost"] == end["cost"]["totalCost"]
    assert model["requestCount"] == 1
    assert report["grandTotal"]["totalTokens"] == 3_350


async def test_an_unknown_model_costs_null(tmp_path: Path) -> None:
    """A model without a known price is billed in tokens and never guessed in money."""
    async with open_world(tmp_path, prices_file=None) as world, world.talk() as talk:
        frames = await talk.turn("Hi", model="claude-unknown-9")
        assert frames[-1]["code"] == "MODEL_NOT_FOUND"
        created = await talk.ask("session.create", model="claude-unknown-9")
        seen = await talk.ask("context.inspect", sessionId=created["sessionId"], content="Hi")
    assert seen["totals"]["costEstimate"] is None


@pytest.mark.parametrize(
    ("failure", "code", "retryable"),
    [
        (ErrorReply(400, message="messages.0: no"), "LLM_ERROR", False),
        (ErrorReply(401), "NO_API_KEY", False),
        (ErrorReply(404, message="model: claude-nobody-9"), "MODEL_NOT_FOUND", False),
        (ErrorReply(413), "CONTEXT_TOO_LARGE", False),
        (ErrorReply(429, retry_after=60), "RATE_LIMITED", True),
        (ErrorReply(500), "LLM_ERROR", True),
        (ErrorReply(529), "OVERLOADED", True),
    ],
)
async def test_a_provider_s_refusal_is_a_clear_error(
    tmp_path: Path, failure: ErrorReply, code: str, *, retryable: bool
) -> None:
    """Before the first byte each status has its code, the connection is usable afterwards."""
    async with open_world(tmp_path, retry_attempts=0) as world, world.talk() as talk:
        world.simulator.script(Reply(failure=failure))
        error = (await talk.turn("Hi"))[-1]
        assert (error["type"], error["code"], error["retryable"]) == ("error", code, retryable)
        assert "sk-test" not in error["message"]
        if failure.retry_after:
            assert error["retryAfterMs"] == 60_000
        assert (await talk.turn("Hi"))[-1]["type"] == "chat.stream.end"


@pytest.mark.parametrize("kind", ["error", "reset", "truncate", "end", "bad_json", "bad_utf8"])
async def test_a_fault_in_mid_stream_is_never_a_false_end(tmp_path: Path, kind: str) -> None:
    """The turn ends with an error and its bill; what came is kept and marked; the next works."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        fault = Fault(kind, at=6)  # type: ignore[arg-type]
        world.simulator.script(Reply(blocks=(ReplyText("word " * 40),), flush=1, fault=fault))
        frames = await talk.turn("Hi")
        session_id = frames[0]["sessionId"]
        assert frames[-1]["type"] == "error"
        assert frames[-1]["usage"]["estimated"] is True
        history = await talk.ask("session.history", sessionId=session_id)
        partial = history["messages"][-1]
        assert partial["status"] == "partial"
        assert partial["content"][0]["text"] == text_of(frames)
        again = await talk.turn("Go on", sessionId=session_id)
        assert again[-1]["type"] == "chat.stream.end"
        report = await talk.ask("usage.query", sessionId=session_id)
    assert report["grandTotal"]["requestCount"] == 2


async def test_an_answer_that_does_not_begin_with_its_beginning_is_refused(tmp_path: Path) -> None:
    """Events out of order end the turn with an error, and nothing is invented."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        world.simulator.script(
            Reply(blocks=(ReplyText("Hello"),), fault=Fault("out_of_order", at=0))
        )
        frames = await talk.turn("Hi")
    assert kinds_of(frames) == ["session.created", "chat.stream.start", "error"]
    assert frames[-1]["code"] == "LLM_ERROR"


async def test_a_failure_before_the_first_byte_is_tried_again(tmp_path: Path) -> None:
    """An overloaded provider is asked again, and the client sees one start and one end."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        world.simulator.script(Reply(failure=ErrorReply(529, retry_after=0.01)))
        frames = await talk.turn("Hi")
        assert kinds_of(frames)[-1] == "chat.stream.end"
        assert [f["type"] for f in frames].count("chat.stream.start") == 1
        assert len(world.sent()) == 2


async def test_sessions_outlive_the_process(tmp_path: Path) -> None:
    """After a restart a session is listed, its blocks are as they were, and it goes on."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        world.simulator.script(Reply(blocks=(ReplyThinking("Signed."), ReplyText("Kept."))))
        session_id = (await talk.turn("Remember", system="Sail."))[0]["sessionId"]
        before = await talk.ask("session.history", sessionId=session_id)
    async with open_world(tmp_path) as world, world.talk() as talk:
        listed = await talk.ask("session.list")
        after = await talk.ask("session.history", sessionId=session_id)
        assert before["messages"] == after["messages"]
        assert [s["sessionId"] for s in listed["sessions"]] == [session_id]
        assert listed["sessions"][0]["messageCount"] == 2
        # A signature that this simulator did not give would be refused as by the provider.
        world.simulator.script(Reply(blocks=(ReplyText("Still here."),)))
        assert (await talk.turn("And?", sessionId=session_id))[-1]["type"] == "chat.stream.end"
        body = world.sent()[-1]
        assert body["messages"][1]["content"] == before["messages"][1]["content"]
        assert body["system"][0]["text"] == "Sail."


async def test_history_is_paged_from_its_newest_end(tmp_path: Path) -> None:
    """Pages of two messages, each oldest first, meet without a gap."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        session_id = (await talk.turn("one"))[0]["sessionId"]
        await talk.turn("two", sessionId=session_id)
        newest = await talk.ask("session.history", sessionId=session_id, limit=2)
        oldest = await talk.ask(
            "session.history", sessionId=session_id, limit=2, before=newest["next"]
        )
    contents = [m["content"] for m in oldest["messages"] + newest["messages"]]
    assert [c for c in contents if isinstance(c, str)] == ["one", "two"]
    assert "next" not in oldest


async def test_a_deleted_session_is_gone_and_its_bill_is_not(tmp_path: Path) -> None:
    """Deleting forgets the messages; the usage stays."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        session_id = (await talk.turn("one"))[0]["sessionId"]
        assert (await talk.ask("session.delete", sessionId=session_id))["type"] == "session.deleted"
        gone = await talk.ask("session.history", sessionId=session_id)
        assert gone["code"] == "SESSION_NOT_FOUND"
        report = await talk.ask("usage.query")
        assert report["grandTotal"]["requestCount"] == 1


async def test_a_cancel_ends_the_turn_and_closes_upstream(tmp_path: Path) -> None:
    """The terminal frame says `cancelled` with usage, and no stream is left upstream."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        request_id = await talk.say("chat.send", content="[[sim: count=10000 rate=100]]")
        while (await talk.hear())["type"] != "chat.stream.delta":
            pass
        await talk.say("chat.cancel", requestId=request_id)
        end = (await talk.rest(request_id))[-1]
        assert (end["type"], end["stopReason"]) == ("chat.stream.end", "cancelled")
        assert end["usage"]["estimated"] is True
        assert end["usage"]["inputTokens"] > 0
        with trio.fail_after(1):
            await world.simulator.wait_idle()
        assert (await talk.turn("Hi"))[-1]["type"] == "chat.stream.end"


async def test_a_lost_connection_loses_no_text(tmp_path: Path) -> None:
    """A turn goes on without its client, and is taken up on another connection."""
    async with open_world(tmp_path) as world:
        async with world.talk() as talk:
            request_id = await talk.say("chat.send", content="[[sim: count=60 rate=100 chars=7]]")
            frames: list[dict[str, object]] = []
            while text_of(frames) == "":
                frames.append(await talk.hear())
            assert frames[0]["requestId"] == request_id
        start = next(frame for frame in frames if frame["type"] == "chat.stream.start")
        async with world.talk() as other:
            resumed = await other.say(
                "chat.resume", turnId=start["turnId"], after=frames[-1]["seq"]
            )
            frames += await other.rest(resumed)
            history = await other.ask("session.history", sessionId=start["sessionId"])
    assert text_of(frames) == history["messages"][-1]["content"][0]["text"]
    assert len(text_of(frames)) == 60 * 7


async def test_without_a_key_the_answer_says_what_to_type(tmp_path: Path) -> None:
    """NO_API_KEY names the command and the variable."""
    async with open_world(tmp_path, key=None) as world, world.talk() as talk:
        error = (await talk.turn("Hi"))[-1]
    assert error["code"] == "NO_API_KEY"
    assert "agentspace keys add anthropic" in error["message"]
    assert "ANTHROPIC_API_KEY" in error["message"]


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ("{", "JSON"),
        ("[]", "object"),
        ('{"type":"nonsense","id":"x"}', "nonsense"),
        ('{"type":"chat.send","id":"x"}', "content"),
        ('{"type":"chat.send","id":"x","content":7}', "content"),
        ('{"type":"chat.send","id":"x","content":"  "}', "content"),
        ('{"type":"chat.send","id":"x","content":[{"type":"image"}]}', "source"),
        ('{"type":"chat.send","id":"x","content":"a","maxTokens":0}', "maxTokens"),
        ('{"type":"chat.send","id":"x","content":"a","maxTokens":9000000}', "maxTokens"),
        ('{"type":"chat.send","id":"x","content":"a","effort":"huge"}', "effort"),
        ('{"type":"chat.cancel","id":"x"}', "requestId"),
        ('{"type":"usage.query","id":"x","since":"yesterday"}', "since"),
        ('{"type":"ping","id":""}', "id"),
        ('{"type":"ping","id":"' + "a" * 65 + '"}', "id"),
        ("[" * 100_000, "more than 50000 values"),
        (b"\x80", "JSON"),
    ],
)
async def test_anything_else_is_an_error_and_the_connection_lives(
    tmp_path: Path, frame: str | bytes, words: str
) -> None:
    """Whatever is not a message gets INVALID_MESSAGE with the reason, and a ping its pong."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        await talk.socket.send(frame)
        error = await talk.expect("error")
        assert error["code"] == "INVALID_MESSAGE"
        assert words in error["message"]
        assert (await talk.ask("ping"))["type"] == "pong"


async def test_the_status_is_read_from_the_state(tmp_path: Path) -> None:
    """Connections, turns and upstream streams are counted as they are."""
    async with open_world(tmp_path) as world, world.talk() as talk, world.talk() as other:
        request_id = await talk.say("chat.send", content="[[sim: count=10000 rate=50]]")
        while (await talk.hear())["type"] != "chat.stream.delta":
            pass
        busy = await other.ask("gateway.status")
        assert (busy["connections"], busy["upstreamStreams"], busy["openRows"]) == (2, 1, 1)
        assert busy["turns"]["streaming"] == 1
        await talk.say("chat.cancel", requestId=request_id)
        await talk.rest(request_id)
        idle = await other.ask("gateway.status")
        assert (idle["upstreamStreams"], idle["openRows"]) == (0, 0)
        assert idle["memoryBytes"] > 10_000_000


async def test_thinking_is_asked_for_as_the_model_takes_it(tmp_path: Path) -> None:
    """Adaptive, a budget, the least: what goes upstream fits each model.

    One that checks its thinking is asked to drop what does not fit, where its kind takes the wish.
    """
    drops = {"block_binding": {"prefix_mismatch_behavior": "drop_block"}}
    asked = {}
    async with open_world(tmp_path) as world, world.talk() as talk:
        for model, thinking in (
            ("claude-sonnet-5-5", "auto"),
            ("claude-sonnet-5-5", "off"),
            ("claude-opus-5-5", "off"),
            ("claude-sonnet-4-5", "auto"),
            ("claude-sonnet-4-5", {"budgetTokens": 2_000}),
        ):
            frames = await talk.turn("Hi", model=model, thinking=thinking, maxTokens=16_000)
            assert frames[-1]["type"] == "chat.stream.end"
            body = world.sent()[-1]
            asked[model, str(thinking)] = (body.get("thinking"), body.get("output_config"))
            betas = world.simulator.requests[-1].headers.get("anthropic-beta", "").split(",")
            controls = "thinking-binding-controls-2026-08-01" in betas
            assert controls == ("block_binding" in body["thinking"])
        refused = await talk.ask(
            "chat.send", content="Hi", model="claude-sonnet-5-5", thinking={"budgetTokens": 2_000}
        )
    assert asked == {
        ("claude-sonnet-5-5", "auto"): (
            {"type": "adaptive", "display": "summarized", **drops},
            None,
        ),
        ("claude-sonnet-5-5", "off"): ({"type": "between_tools"}, None),
        ("claude-opus-5-5", "off"): ({"type": "adaptive", **drops}, {"effort": "low"}),
        ("claude-sonnet-4-5", "auto"): ({"type": "enabled", "budget_tokens": 8_000}, None),
        ("claude-sonnet-4-5", "{'budgetTokens': 2000}"): (
            {"type": "enabled", "budget_tokens": 2_000},
            None,
        ),
    }
    assert refused["code"] == "INVALID_MESSAGE"
    assert "budgetTokens" in refused["message"]


async def test_a_context_dearer_than_allowed_is_not_sent(tmp_path: Path) -> None:
    """`maxCost` below the context's own cost refuses before the provider is called."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        error = (await talk.turn("Hi " * 200, maxCost=0.000001))[-1]
        assert error["code"] == "BUDGET_EXCEEDED"
        assert world.sent() == []


async def test_an_answer_stops_when_its_budget_is_used_up(tmp_path: Path) -> None:
    """`maxCost` reached in mid-stream ends the turn with `budget`, and upstream is closed."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        frames = await talk.turn("[[sim: count=100000 rate=2000]]", maxCost=0.002)
        assert frames[-1]["stopReason"] == "budget"
        with trio.fail_after(1):
            await world.simulator.wait_idle()


async def test_the_last_message_is_what_the_provider_reads(tmp_path: Path) -> None:
    """Blocks of a client's message go upstream as they came."""
    blocks = [
        {"type": "text", "text": "What is this?"},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}},
    ]
    async with open_world(tmp_path) as world, world.talk() as talk:
        await talk.turn(blocks)
        body = world.sent()[-1]
    assert body["messages"][-1]["content"] == blocks
    assert last_text(body) == "What is this?"


async def test_a_request_is_never_billed_twice_not_even_by_the_next_process(
    tmp_path: Path,
) -> None:
    """Said again after a restart, it is pointed to the answer in the session's history."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        frames = await talk.turn("Hi", id="mine")
        session_id = frames[0]["sessionId"]
    async with open_world(tmp_path) as world, world.talk() as talk:
        (error,) = await talk.turn("Hi", id="mine", sessionId=session_id)
        assert (error["code"], error["turnId"]) == ("TURN_NOT_FOUND", frames[-1]["turnId"])
        assert world.sent() == []
        report = await talk.ask("usage.query")
        assert report["grandTotal"]["requestCount"] == 1


async def test_while_the_disk_is_full_a_running_turn_finishes_and_a_new_one_is_refused(
    tmp_path: Path,
) -> None:
    """The status says so, and with room again everything is as before, every row settled."""
    async with open_world(tmp_path) as world, world.talk() as talk, world.talk() as other:
        frames = await talk.turn("first")
        session_id = frames[0]["sessionId"]
        request_id = await talk.say(
            "chat.send", sessionId=session_id, content="[[sim: count=30 rate=60 chars=3000]]"
        )
        while (await talk.hear())["type"] != "chat.stream.delta":
            pass
        await world.limit_database(0)
        await trio.sleep(0.7)  # the answer is over by now, and has no room
        full = await other.ask("gateway.status")
        assert (full["ledger"], full["openRows"]) == ("full", 1)
        refused = (await other.turn("new " * 5_000))[-1]
        assert (refused["type"], refused["retryable"]) == ("error", True)
        assert "disk" in refused["message"]
        await world.limit_database(10_000)
        assert (await talk.rest(request_id))[-1]["type"] == "chat.stream.end"
        calm = await other.ask("gateway.status")
        assert (calm["ledger"], calm["openRows"], calm["ledgerQueue"]) == ("ok", 0, 0)
        report = await other.ask("usage.query")
        assert report["grandTotal"]["requestCount"] == 2
