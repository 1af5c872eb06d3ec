"""Context: what is sent, what it weighs, and what a session remembers."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from actors.context.estimate import calibration, counting
from actors.ports import AgentFiles, Skill
from gateway.simulator.prompt import segments
from gateway.simulator.tokenizer import ByteTokenizer
from gateway.tokenizer import TiktokenTokenizer
from protocol.errors import GatewayError, ProviderError, TooLong
from protocol.prompt import Prompt
from protocol.provider.events import (
    ContentBlockStop,
    MessageStart,
    ProviderMessage,
    ProviderUsage,
)
from protocol.records import CalibrationRecord
from tests.actors.fakes import (
    MODEL,
    Client,
    FakeTokenizer,
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
    running,
    text_of,
)
from tests.protocol.entries import REBUILT, SEALED, found, search

TOOLS = [{"name": "brew", "description": "Brews.", "inputSchema": {"type": "object"}}]


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


def said(messages: Sequence[Frame]) -> list[Any]:
    """The contents of a request's messages; one that is a single text as that."""
    contents = [message["content"] for message in messages]
    return [one[0]["text"] if len(one) == 1 else one for one in contents]


# --- inspected is sent -------------------------------------------------------------------------


BLOCK = {"type": "text", "text": "In a block."}


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ("Moin ☕", "Moin ☕"),
        ([BLOCK], "In a block."),
        ([BLOCK, BLOCK], json.dumps([BLOCK, BLOCK], separators=(",", ":"))),
    ],
)
async def test_what_is_inspected_is_what_is_sent(
    content: Any, shown: str, autojump_clock: MockClock
) -> None:
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
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        assert body["messages"][-1] == {"role": "user", "content": blocks}
        assert texts["user_message"] == shown


async def test_the_sums_are_the_sections_sums(autojump_clock: MockClock) -> None:
    """Bytes, tokens and money, to the last digit of a price that no decimal holds."""
    async with open_world() as world:
        world.prices.per_input = Decimal(1) / 3
        world.store.calibration = [
            CalibrationRecord(model=MODEL, has_tools=True, counted=300, billed=1_000)
        ]
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
        assert said(counted) == ["Hi.", "Hello.", "And?"]


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
        assert [text for text in world.tokenizer.texts if text] == ["And?", "Hello."]


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


@asynccontextmanager
async def taught(
    line: Callable[[int], float], *, has_tools: bool = False, **changes: Any
) -> AsyncIterator[World]:
    """A world in which requests of many sizes were billed, each as `line` says."""
    world = World(**changes)
    world.store.calibration = [
        CalibrationRecord(model=MODEL, has_tools=has_tools, counted=size, billed=round(line(size)))
        for size in (10, 100, 1_000, 10_000) * 10
    ]
    async with running(world):
        yield world


async def created(client: Client) -> str:
    """An empty session; its id."""
    client.say("session.create")
    return str((await client.expect("session.created"))["sessionId"])


async def test_the_estimate_learns_from_the_bill(autojump_clock: MockClock) -> None:
    """A ratio, and what every request costs beside its text; 1 and 0 while nothing is known."""
    async with open_world() as world:
        client = world.connect()
        before = await inspect(client, await created(client), content="x" * 1_000)
        assert before["calibration"] == {"ratio": 1, "samples": 0}
        assert "provider_overhead" not in [one["name"] for one in before["sections"]]
    async with taught(lambda counted: 1.5 * counted + 100) as world:
        client = world.connect()
        after = await inspect(client, await created(client), content="x" * 1_000)
        assert after["calibration"]["samples"] == 40
        assert float(after["calibration"]["ratio"]) == pytest.approx(1.5, rel=0.01)
        assert section(after, "user_message")["tokenEstimate"] == pytest.approx(1_500, rel=0.01)
        overhead = section(after, "provider_overhead")
        assert (overhead["content"], overhead["byteCount"]) == ("", 0)
        assert overhead["tokenEstimate"] == pytest.approx(100, rel=0.05)
        assert after["sections"][-1] == overhead


async def test_what_the_session_was_billed_is_the_estimate_of_it(
    autojump_clock: MockClock,
) -> None:
    """Its texts may be of another kind than those from which the ratio was learned."""
    async with taught(lambda counted: counted) as world:
        client = world.connect()
        world.model.will(reply("A" * 100, prompt=3 * len("Be brief." + "x" * 991)))
        session = await opened(client, content="x" * 991)
        inspection = await inspect(client, session, content="y" * 100)
        assert inspection["totals"]["tokenEstimate"] == pytest.approx(3 * 1_000 + 200, rel=0.02)


async def test_a_prompt_that_only_the_provider_can_read_teaches_its_session_alone(
    autojump_clock: MockClock,
) -> None:
    """It was billed for more than anybody can count."""
    async with open_world() as world:
        client = world.connect()
        session = await opened(client, content="x" * 991)
        world.model.will(
            [
                begin(),
                open_block(**search()),
                ContentBlockStop(0),
                open_block(1, **found("s", SEALED)),
                ContentBlockStop(1),
                *finish()[1:],
            ],
            reply("Hello.", prompt=2_500),
        )
        await client.converse("Search.", sessionId=session)
        before = (await inspect(client, session))["calibration"]["samples"]
        await client.converse("And?", sessionId=session)
        inspection = await inspect(client, session)
        assert inspection["calibration"]["samples"] == before
        assert inspection["totals"]["tokenEstimate"] == pytest.approx(2_500, rel=0.1)


async def test_the_bill_of_another_model_is_no_estimate_of_this_one(
    autojump_clock: MockClock,
) -> None:
    """It is learned for the model that answered."""
    async with open_world() as world:
        client = world.connect()
        _, *rest = reply("Hello.")
        usage = ProviderUsage(input_tokens=1_500, output_tokens=1)
        start = MessageStart(ProviderMessage("claude-opus-4-8", usage))
        world.model.will([start, *rest])
        session = await opened(client, content="x" * 991)
        inspection = await inspect(client, session)
        assert inspection["calibration"]["samples"] == 0
        assert inspection["totals"]["cachedTokens"] == 0
        other = await inspect(client, session, model="claude-opus-4-8")
        assert other["calibration"]["samples"] == 1


async def test_the_miss_of_the_estimates_is_told(autojump_clock: MockClock) -> None:
    """Of the estimate that was made of the very request."""
    async with open_world() as world:
        client = world.connect()
        counted = len("Be brief." + "x" * 991)
        world.model.will(reply("Hello.", prompt=2 * counted))
        session = await opened(client, content="x" * 991)
        assert (await inspect(client, session))["calibration"]["error"] == Decimal("0.5")


async def test_what_was_learned_before_is_known_at_the_start(autojump_clock: MockClock) -> None:
    """The store has kept the latest bills."""
    async with taught(lambda counted: 2 * counted) as world:
        client = world.connect()
        inspection = await inspect(client, await opened(client))
        assert inspection["calibration"]["samples"] == 41


def mixed(number: int) -> str:
    """A text of one of several kinds and sizes, the same every time."""
    code = Path(calibration.__file__).read_text()
    prose = " ".join(re.findall(r"[A-Za-z ,.]{40,}", code))
    chinese = (
        "人工智能助手可以帮助你编写代码。今天的天气很好。我们去公园散步吧。東京は日本の首都です。"
    )
    table = json.dumps([{"id": n, "tags": ["a", "b"], "score": n * 1.37} for n in range(60)])
    kinds = (prose * 3, code, chinese * 9, table)
    size = (300, 1_700, 90, 900, 2_500)[number % 5]
    start = 37 * number % 400
    return f"{number}: {kinds[number * 7 % 4][start : start + size]}"


@pytest.mark.parametrize(
    "provider",
    [
        ByteTokenizer(),
        ByteTokenizer(overhead=900),
        ByteTokenizer(ratio=1.37, overhead=346),
        ByteTokenizer(bytes_per_token=2.5),
    ],
)
async def test_after_twenty_turns_the_estimate_is_within_5_percent(
    provider: ByteTokenizer, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """Of prose, code, Chinese and JSON, for a provider that counts bytes and adds its own."""
    own = TiktokenTokenizer()
    own.load()

    async def count_many(_self: object, texts: Sequence[str]) -> list[int]:
        await trio.lowlevel.checkpoint()
        return [own.count(text) for text in texts]

    monkeypatch.setattr(FakeTokenizer, "count_many", count_many)
    async with open_world() as world:
        client = world.connect()
        session = await created(client)
        stream = world.model.stream

        def billing(prompt: Prompt, on_its_way: Callable[[], None]) -> Any:
            parts = segments(json.loads(prompt.body), provider)
            billed = sum(part.tokens for part in parts)
            number = len(world.model.bodies)
            world.model.will(reply(mixed(3 * number + 1), prompt=billed))
            return stream(prompt, on_its_way)

        monkeypatch.setattr(world.model, "stream", billing)
        misses = []
        for turn in range(30):
            question = mixed(2 * turn)
            inspection = await inspect(client, session, content=question)
            end = (await client.converse(question, sessionId=session))[-1]
            estimate, billed = inspection["totals"]["tokenEstimate"], end["usage"]["inputTokens"]
            assert estimate == sum(one["tokenEstimate"] for one in inspection["sections"])
            misses.append(abs(estimate - billed) / billed)
        assert max(misses[20:]) < 0.05
        told = (await inspect(client, session))["calibration"]["error"]
        assert float(told) == pytest.approx(sum(misses[-20:]) / 20, abs=0.001)


async def test_an_exact_count_is_shared_out_among_the_sections(autojump_clock: MockClock) -> None:
    """They add up to it, and keep their proportions; so does the money."""
    async with taught(lambda counted: counted + 100) as world:
        client = world.connect()
        session = await created(client)
        world.model.exact = 1_237
        inspection = await inspect(client, session, content="x" * 700, exact=True)
        sections, totals = inspection["sections"], inspection["totals"]
        assert inspection["exactTokens"] == totals["tokenEstimate"] == 1_237
        assert sum(one["tokenEstimate"] for one in sections) == 1_237
        assert sum(one["costEstimate"] for one in sections) == totals["costEstimate"]
        assert inspection["window"]["used"] == 1_237
        user = section(inspection, "user_message")["tokenEstimate"]
        assert user == pytest.approx(1_237 * 700 / 809, rel=0.02)


# --- what the provider remembers ----------------------------------------------------------------

SYSTEM = "S" * 600
PRICE = Decimal("0.000003")


async def cached_session(world: World, client: Client, *, billed: int = 603, **fields: Any) -> str:
    """A session whose one request was long enough for the provider to remember it."""
    world.model.will(reply("Hello.", prompt=billed))
    return await opened(client, system=SYSTEM, **fields)


async def test_what_was_sent_before_is_most_likely_cached(autojump_clock: MockClock) -> None:
    """The answer and the new question are not: they are written, at a quarter more."""
    async with open_world() as world:
        client = world.connect()
        session = await cached_session(world, client)
        inspection = await inspect(client, session, content="And?")
        system, history = section(inspection, "system_prompt"), section(inspection, "history")
        user, totals = section(inspection, "user_message"), inspection["totals"]
        assert (system["cached"], system["cachedTokens"]) == (True, 600)
        assert system["costEstimate"] == 600 * PRICE * Decimal("1.25")
        assert system["cachedCostEstimate"] == 600 * PRICE * Decimal("0.1")
        assert (history["cached"], history["cachedTokens"]) == (False, len("Hi."))
        assert history["tokenEstimate"] == len("Hi." + "Hello.")
        assert (user["cached"], user["cachedTokens"]) == (False, 0)
        assert user["cachedCostEstimate"] == user["costEstimate"]
        for figure in ("cachedTokens", "cachedCostEstimate"):
            assert totals[figure] == sum(one[figure] for one in inspection["sections"])


async def test_the_provider_forgets_after_five_minutes(autojump_clock: MockClock) -> None:
    """Each use renews them."""
    async with open_world() as world:
        client = world.connect()
        session = await cached_session(world, client)
        for _ in range(2):
            world.clock.skip(200_000)
            assert (await inspect(client, session))["totals"]["cachedTokens"] > 600
            world.model.will(reply("Hello.", prompt=620))
            await client.converse(sessionId=session)
        world.clock.skip(300_000)
        assert (await inspect(client, session))["totals"]["cachedTokens"] == 0


CHANGES: list[dict[str, Any]] = [
    {},
    {"system": "Now this."},
    {"tools": [{**TOOLS[0], "description": "D" * 600}]},
]


@pytest.mark.parametrize("change", CHANGES)
async def test_what_is_announced_costs_nothing_of_the_cache(
    change: dict[str, Any], autojump_clock: MockClock
) -> None:
    """All that was sent before is remembered; what is new of a section is not."""
    async with open_world() as world:
        client = world.connect()
        tools = [{**TOOLS[0], "description": "B" * 600}]
        session = await cached_session(world, client, billed=1_700, tools=tools)
        whole = (await inspect(client, session))["totals"]["cachedTokens"]
        assert whole >= 1_200
        world.model.will([begin(0)])
        await client.converse(sessionId=session, **change)
        inspection = await inspect(client, session)
        assert inspection["totals"]["cachedTokens"] == whole
        for field, name in (("system", "system_prompt"), ("tools", "tools")):
            one = section(inspection, name)
            assert one["cached"] == (field not in change)
            assert one["cachedTokens"] >= 600


@pytest.mark.parametrize(
    ("change", "cached"),
    [*zip(CHANGES, [["system_prompt", "tools"], ["tools"], []], strict=True)],
)
async def test_what_is_changed_costs_the_cache_of_what_comes_behind_it(
    change: dict[str, Any], cached: list[str], autojump_clock: MockClock
) -> None:
    """Where nothing can be announced: tools come first, then the system prompt, then messages."""
    async with open_world() as world:
        client = world.connect()
        world.model.will(reply("Hello.", prompt=2_500))
        session = await opened(
            client,
            model=REBUILT,
            system="S" * 1_200,
            tools=[{**TOOLS[0], "description": "B" * 1_200}],
        )
        world.model.will([], [], [])  # it breaks off before anything is billed
        await client.converse(sessionId=session, **change)
        inspection = await inspect(client, session)
        found = [one["name"] for one in inspection["sections"] if one["cached"]]
        assert [name for name in found if name != "provider_overhead"] == cached
        assert (section(inspection, "history")["cachedTokens"] > 0) == (not change)


async def test_a_short_beginning_is_not_remembered_by_itself(autojump_clock: MockClock) -> None:
    """What was long enough went with a system prompt that is no more."""
    async with open_world() as world:
        client = world.connect()
        world.model.will(reply("Hello.", prompt=1_109), [], [], [])
        session = await opened(client, content="x" * 1_100, model=REBUILT)
        assert (await inspect(client, session))["totals"]["cachedTokens"] == 1_109
        await client.converse(sessionId=session, system="Now this.")
        assert (await inspect(client, session))["totals"]["cachedTokens"] == 0


async def test_another_model_remembers_nothing(autojump_clock: MockClock) -> None:
    """Each has a cache of its own."""
    async with open_world() as world:
        client = world.connect()
        session = await cached_session(world, client)
        inspection = await inspect(client, session, model="claude-opus-5-5")
        assert inspection["totals"]["cachedTokens"] == 0


async def test_a_short_prompt_is_not_cached(autojump_clock: MockClock) -> None:
    """It costs the plain price, before and after."""
    async with open_world() as world:
        client = world.connect()
        totals = (await inspect(client, await opened(client), content="And?"))["totals"]
        assert totals["costEstimate"] == totals["tokenEstimate"] * PRICE
        assert totals["cachedTokens"] == 0
        assert totals["cachedCostEstimate"] == totals["costEstimate"]


async def test_without_caching_nothing_is_said_of_it(autojump_clock: MockClock) -> None:
    """Neither to the provider nor to the client, and nothing is written at a higher price."""
    async with open_world(prompt_caching=False) as world:
        client = world.connect()
        session = await cached_session(world, client, tools=TOOLS)
        inspection = await inspect(client, session, content="And?")
        totals = inspection["totals"]
        assert totals["costEstimate"] == totals["tokenEstimate"] * PRICE
        for shown in (totals, *inspection["sections"]):
            assert not {"cached", "cachedTokens", "cachedCostEstimate"} & shown.keys()
        assert b"cache_control" not in world.model.bodies[-1]


async def test_a_history_that_begins_elsewhere_is_not_cached(autojump_clock: MockClock) -> None:
    """When old turns are left out, the system prompt alone is remembered."""
    async with open_world(max_tokens=1) as world:
        client = world.connect()
        session = await cached_session(world, client, billed=900, content="x" * 300)
        world.model.will(reply("A" * 50, prompt=956))
        await client.converse("x" * 50, sessionId=session)
        world.model.window = 960
        await trio.sleep(3_601)  # the old window is forgotten
        inspection = await inspect(client, session, content="And?")
        assert inspection["context"] == {"leftOutTurns": 1, "leftOutMessages": 2, "epoch": 1}
        assert section(inspection, "system_prompt")["cachedTokens"] == 600
        history = section(inspection, "history")
        assert (history["tokenEstimate"], history["cachedTokens"]) == (100, 0)


# --- what fits ---------------------------------------------------------------------------------


async def test_the_oldest_turns_are_left_out_when_the_window_is_full(
    autojump_clock: MockClock,
) -> None:
    """Whole turns, down to three quarters; the inspection and the end of the stream say so.

    What is cut stays cut: the next turns go on from there.
    """
    async with open_world(max_tokens=1) as world:
        fixed, turn = len("Be brief."), 10 + 10
        world.model.window = fixed + 10 + 4 * turn + 1
        client = world.connect()
        session = await created(client)
        contexts, firsts = [], []
        for number in range(9):
            billed = fixed + 10 + turn * (number if number < 5 else number - 3)  # as counted
            world.model.will(reply(f"answer {number}..", prompt=billed))
            inspection = await inspect(client, session, content=f"question {number}")
            end = (await client.converse(f"question {number}", sessionId=session))[-1]
            assert inspection.get("context") == end.get("context")
            assert inspection["window"]["used"] <= inspection["window"]["limit"]
            sent = said(world.model.last_request["messages"])
            assert sent[-1] == f"question {number}"
            contexts.append(end.get("context"))
            firsts.append(sent[0])
        left_out = {"leftOutTurns": 3, "leftOutMessages": 6}
        assert contexts == [
            *[None] * 5,
            {**left_out, "epoch": 1},
            left_out,
            left_out,
            {"leftOutTurns": 6, "leftOutMessages": 12, "epoch": 2},
        ]
        assert firsts == ["question 0"] * 5 + ["question 3"] * 3 + ["question 6"]


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


async def test_a_refusal_says_what_each_section_weighs(autojump_clock: MockClock) -> None:
    """The user's message among them; they add up to what is needed."""
    async with open_world() as world:
        world.model.window = 20
        client = world.connect()
        (error,) = await client.converse("x" * 12)
        weights = {one["name"]: one["tokenEstimate"] for one in error["sections"]}
        assert weights["user_message"] == 12
        assert sum(weights.values()) == 21
        assert "content" not in error["sections"][0]


async def test_what_fits_is_judged_by_what_would_be_billed(autojump_clock: MockClock) -> None:
    """Here twice as much as is counted."""
    async with taught(lambda counted: 2 * counted, max_tokens=1) as world:
        world.model.window = 1_000
        client = world.connect()
        world.model.will(reply("H" * 100, prompt=2 * len("Be brief.Hi.")))
        session = await opened(client)
        client.say("context.inspect", sessionId=session, content="x" * 500)
        await client.expect("error", code="CONTEXT_TOO_LARGE")
        inspection = await inspect(client, session, content="x" * 440)
        used = inspection["window"]["used"]
        assert used == pytest.approx(2 * len("Be brief." + "x" * 440), rel=0.02)
        assert inspection["context"] == {"leftOutTurns": 1, "leftOutMessages": 2, "epoch": 1}
        assert "context" not in await inspect(client, session, content="x" * 360)


def too_long(counted: int, most: int) -> ProviderError:
    """The provider's refusal of a prompt, with its figures."""
    error = ProviderError("CONTEXT_TOO_LARGE", "The provider finds this request too large.")
    error.too_long = TooLong(counted, most)
    return error


async def test_what_the_provider_finds_too_long_is_shortened(autojump_clock: MockClock) -> None:
    """By as much as it says, again if need be; the refused requests are no steps of the turn."""
    async with open_world(max_tokens=1) as world:
        client = world.connect()
        world.model.will(reply("A" * 100, prompt=109))
        session = await opened(client, content="x" * 100)
        for number in range(2, 6):
            world.model.will(reply("A" * 100, prompt=200 * number - 91))
            await client.converse("x" * 100, sessionId=session)
        world.model.bodies.clear()
        world.model.will([too_long(2_000, 1_000)], [too_long(1_100, 1_000)], reply("So."))
        frames = await client.converse("So?", sessionId=session)
        assert frames[-1]["stopReason"] == "end_turn"
        sent = [json.loads(body)["messages"] for body in world.model.bodies]
        assert [len(messages) for messages in sent] == [11, 3, 1]
        assert frames[-1]["context"] == {"leftOutTurns": 5, "leftOutMessages": 10, "epoch": 2}
        assert "steps" not in frames[-1]


async def test_what_the_provider_finds_too_long_to_the_last_is_weighed(
    autojump_clock: MockClock,
) -> None:
    """There is nothing left to leave out: the sections say what is to blame."""
    async with open_world(max_tokens=1) as world:
        client = world.connect()
        session = await opened(client)
        for error in (
            too_long(2_000, 1_000),
            too_long(100, 1_000_000),
            too_long(0, 0),
            ProviderError("CONTEXT_TOO_LARGE", "Too large."),
        ):
            world.model.scripts.clear()
            world.model.will(*[[error]] * 9)
            told = (await client.converse("So?", sessionId=session))[-1]
            assert told["code"] == "CONTEXT_TOO_LARGE"
            assert "user_message" in [one["name"] for one in told["sections"]]


async def test_too_many_pictures_are_refused_by_name(autojump_clock: MockClock) -> None:
    """Together they are more than any request may have."""
    picture = {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}}
    async with open_world() as world:
        world.media.edge = 3_000
        (error,) = await world.connect().converse([*[picture] * 21, {"type": "text", "text": "?"}])
        assert error["code"] == "INVALID_MESSAGE"
        assert error["message"].startswith("`content`: of more than 20 pictures")
        assert world.model.bodies == []


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
        assert remembered["system"][0]["text"] == "Pour."
        (tool,) = remembered["tools"]
        del tool["cache_control"]
        assert tool == {
            "name": "brew",
            "description": "Brews.",
            "input_schema": {"type": "object"},
        }
        await client.converse(sessionId=session, model=REBUILT, system="", tools=[])
        await client.converse(sessionId=session)
        changed = world.model.last_request
        assert changed["model"] == REBUILT
        assert not {"system", "tools"} & changed.keys()


async def test_a_session_remembers_whose_tools_it_has(autojump_clock: MockClock) -> None:
    """The gateway's come first, then the provider's, then the client's; each is chosen apart."""
    async with open_world() as world:
        world.tools.offers("read_skill")
        client = world.connect()
        session = await opened(client, model=REBUILT, tools=TOOLS, serverTools=["web_search"])
        await client.converse(sessionId=session, serverTools=["web_fetch"])
        await client.converse(sessionId=session)
        sent = world.model.last_request["tools"]
        assert [tool["name"] for tool in sent] == ["read_skill", "web_fetch", "brew"]
        assert [tool.get("cache_control") for tool in sent] == [None, None, {"type": "ephemeral"}]
        inspection = await inspect(client, session)
        assert json.loads(section(inspection, "tools")["content"]) == sent


async def test_a_new_session_has_the_providers_tools_of_the_settings(
    autojump_clock: MockClock,
) -> None:
    """However it is begun; a client can take them away."""
    async with open_world(server_tools=("web_search",)) as world:
        client = world.connect()
        for session in (await created(client), await opened(client)):
            await client.converse(sessionId=session, model=REBUILT)
            (tool,) = world.model.last_request["tools"]
            assert (tool["type"], tool["name"]) == ("web_search_20260318", "web_search")
            await client.converse(sessionId=session, serverTools=[])
            assert "tools" not in world.model.last_request


async def test_a_clients_tool_may_not_have_the_name_of_another(autojump_clock: MockClock) -> None:
    """The field is named."""
    async with open_world() as world:
        world.tools.offers("brew")
        (error,) = await world.connect().converse(tools=TOOLS)
        assert error["code"] == "INVALID_MESSAGE"
        assert error["message"].startswith("`tools[0].name`")


@pytest.mark.parametrize("tools", [None, TOOLS])
async def test_the_provider_is_asked_to_clear_old_tool_results(
    tools: Any, autojump_clock: MockClock
) -> None:
    """Where the model offers it, and only when there are tools."""
    async with open_world() as world:
        world.model.edits = ("clear_tool_uses_20250919",)
        client = world.connect()
        await client.converse(**({} if tools is None else {"tools": tools}))
        body = world.model.last_request
        asked = "context-management-2025-06-27" in world.model.betas
        assert ("context_management" in body) == asked == (tools is not None)
        if asked:
            (edit,) = body["context_management"]["edits"]
            assert edit["trigger"]["value"] == (1_000_000 - 8_192) * 3 // 4


# --- pictures and documents ---------------------------------------------------------------------

PICTURE = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": "x" * 400},
}


async def test_pictures_are_weighed_apart_from_text(autojump_clock: MockClock) -> None:
    """The learned ratio is of text, and what is learned from their bill is of text alone."""
    async with taught(lambda counted: 2 * counted) as world:
        client = world.connect()
        content = [PICTURE, {"type": "text", "text": "x" * 1_000}]
        session = await created(client)
        inspection = await inspect(client, session, content=content)
        weighed = section(inspection, "user_message")["tokenEstimate"]
        assert weighed == pytest.approx(1_000 + 2 * 1_000, rel=0.01)
        world.model.will(reply("Hello.", prompt=2 * 1_009 + 1_000))
        await client.converse(content, sessionId=session)
        (row,) = world.store.rows.values()
        assert (row.steps[0].counted_tokens, row.steps[0].media_tokens) == (1_009, 1_000)
        question = world.store.messages[0]
        assert (question.token_count, question.media_tokens) == (1_000, 1_000)
        after = await inspect(client, session)
        assert float(after["calibration"]["ratio"]) == pytest.approx(2, rel=0.01)
        history = section(after, "history")["tokenEstimate"]
        assert history == pytest.approx(3_000 + 2 * len("Hello."), rel=0.01)


async def test_a_picture_is_stored_once(autojump_clock: MockClock) -> None:
    """In its own message, however often it is sent and inspected."""
    async with open_world() as world:
        client = world.connect()
        session = await opened(client, content=[PICTURE])
        await client.converse("And?", sessionId=session)
        await inspect(client, session, content="Well?")
        assert json.dumps(world.model.last_request).count("x" * 400) == 1
        stored = [message.content for message in world.store.messages]
        assert sum(content.count(b"x" * 400) for content in stored) == 1
        assert b"x" * 400 not in msgspec.msgpack.encode([*world.store.rows.values()])


@pytest.mark.parametrize("kind", ["chat.send", "context.inspect"])
async def test_a_picture_that_the_provider_would_refuse_is_refused_by_its_place(
    kind: str, autojump_clock: MockClock
) -> None:
    """Nothing is sent."""
    bad = {**PICTURE, "source": {**PICTURE["source"], "data": "bad"}}  # type: ignore[dict-item]
    async with open_world() as world:
        client = world.connect()
        session = await opened(client)
        content = [{"type": "text", "text": "Look."}, bad]
        client.say(kind, sessionId=session, content=content)
        error = await client.expect("error", code="INVALID_MESSAGE")
        assert error["message"].startswith("`content[1]`: it is bad")
        assert len(world.model.bodies) == 1


# --- what a session is --------------------------------------------------------------------------


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
        assert world.model.last_request["system"][0]["text"] == "Pour."


async def test_a_question_that_was_not_answered_stays(autojump_clock: MockClock) -> None:
    """The next request has both; a partial answer is sent again, as far as it came."""
    async with open_world() as world:
        client = world.connect()
        half: list[Step] = reply("Hal")[:3]
        world.model.will(reply("One."), [begin()], half, reply("Four."))
        session = await opened(client, content="1")
        for number in ("2", "3", "4"):
            await client.converse(number, sessionId=session)
        assert said(world.model.last_request["messages"]) == ["1", "One.", "2", "3", "Hal", "4"]


async def test_a_refused_turn_is_not_sent_again(autojump_clock: MockClock) -> None:
    """Neither its question nor what there was of its answer; people can read both."""
    async with open_world() as world:
        client = world.connect()
        refused: list[Step] = [begin(), open_block(), piece("No"), *finish(1, "refusal")]
        world.model.will(reply("One."), refused)
        session = await opened(client, content="1")
        await client.converse("2", sessionId=session)
        await client.converse("3", sessionId=session)
        assert said(world.model.last_request["messages"]) == ["1", "One.", "3"]
        client.say("session.history", sessionId=session, limit=10)
        page = (await client.expect("session.history"))["messages"]
        assert [message.get("status") for message in page[2:4]] == ["refused", "refused"]


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
        last = said(world.model.last_request["messages"])
        assert last == [
            *("b", "B", f"more for {other}", "C", f"more for {other}"),
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
    """The turn is cancelled: nobody pays for an answer without a place. No message is left."""
    async with open_world() as world:
        client, other = world.connect(), world.connect()
        world.model.will(reply("Hello.", pause=5))
        start = await client.begun()
        other.say("session.delete", sessionId=start["sessionId"])
        await other.expect("session.deleted")
        frames = await client.hear_out(start["requestId"])
        assert frames[-1]["stopReason"] == "cancelled"
        assert (world.store.messages, world.row.status) == ([], "cancelled")
        assert world.row.counts.input > 0
        other.say("chat.resume", turnId=start["turnId"])
        await other.expect("error", code="TURN_NOT_FOUND")


async def test_what_a_deleted_session_said_is_not_told_again(autojump_clock: MockClock) -> None:
    """What others said is."""
    async with open_world() as world:
        client = world.connect()
        gone, kept = await client.converse(), await client.converse()
        client.say("session.delete", sessionId=gone[0]["sessionId"])
        await client.expect("session.deleted")
        client.say("chat.resume", turnId=gone[1]["turnId"])
        await client.expect("error", code="TURN_NOT_FOUND")
        client.say("chat.resume", turnId=kept[1]["turnId"])
        await client.expect("session.created")


async def test_a_session_that_cannot_be_deleted_goes_on(autojump_clock: MockClock) -> None:
    """And so does its turn."""
    async with open_world() as world:
        client, other = world.connect(), world.connect()
        world.model.will(reply("Hello.", pause=5))
        start = await client.begun()
        world.store.breaks("delete_session")
        other.say("session.delete", sessionId=start["sessionId"])
        await other.expect("error", code="INTERNAL_ERROR")
        frames = await client.hear_out(start["requestId"])
        assert (text_of(frames), frames[-1]["stopReason"]) == ("Hello.", "end_turn")


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
        session = await created(client)
        world.model.will(reply("Hello.", prompt=len("Be brief.") + 30))
        await client.converse("x" * 30, sessionId=session)
        assert "context" not in await inspect(client, session, content="y" * 10)
        left_out = await inspect(client, session, content="y" * 20)
        assert left_out["context"] == {"leftOutTurns": 1, "leftOutMessages": 2, "epoch": 1}


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


HAIKU = "claude-haiku-4-5"


@pytest.mark.parametrize(
    ("max_cost", "budget", "longest"),
    [(1.0, 7_000, 8_192), (0.1, 5_000, 6_700), (0.02, None, 1_400)],
)
async def test_thinking_in_a_budget_is_held_to_what_may_be_spent(
    max_cost: float, budget: int | None, longest: int, autojump_clock: MockClock
) -> None:
    """Less money, less thinking; the answer has what is left."""
    async with open_world() as world:
        await world.connect().converse(maxCost=max_cost, model=HAIKU)
        sent = world.model.last_request
        assert sent["max_tokens"] <= longest
        thinking = sent.get("thinking")
        assert (thinking is None) == (budget is None)
        if thinking is not None:
            assert thinking["budget_tokens"] == min(8_000, sent["max_tokens"] - 1_024)
            assert thinking["budget_tokens"] >= (budget or 0)


async def test_a_budget_of_tokens_that_no_money_is_left_for_is_refused(
    autojump_clock: MockClock,
) -> None:
    """By name, and not for its `maxTokens`, of which the client has said nothing."""
    async with open_world() as world:
        client = world.connect()
        wanted = {"model": HAIKU, "thinking": {"budgetTokens": 4_000}}
        (error,) = await client.converse(maxCost=0.02, **wanted)
        assert error["code"] == "BUDGET_EXCEEDED"
        assert error["message"].startswith("`maxCost`")
        assert (await client.converse(maxCost=0.2, **wanted))[-1]["type"] == "chat.stream.end"


async def test_a_deletion_is_done_whole(autojump_clock: MockClock) -> None:
    """Though its client leaves in the middle: the turn is not left to go on without a session."""
    async with open_world() as world:
        client, other = world.connect(), world.connect()
        world.model.will(reply("Hello.", pause=60))
        start = await client.begun()
        world.store.slow["delete_session"] = 1
        other.say("session.delete", sessionId=start["sessionId"])
        await trio.sleep(0.5)
        other.socket.leave()
        frames = await client.hear_out(start["requestId"])
        assert frames[-1]["stopReason"] == "cancelled"
        assert world.store.sessions == {}
