"""The bill is right: what changes a price, what is not billed, and what is an estimate.

Public reports of wrong bills by gateways: BerriAI/litellm 21904 (regions and speeds), 38378 (the
speed that was asked for is not the one that was served), 34526 (cached tokens at plain prices).
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.prices import GenaiPrices
from gateway.simulator import Fault, Reply, ReplyBlock, ReplyText, WebSearch
from gateway.simulator.reply import CodeExecution
from protocol.usage import TokenCounts
from tests.support import Frame, Talk, World, open_world

SEARCH = WebSearch("tea", (("https://tea.example/", "Tea"),))
FIGURES = {
    "input_tokens": 1_000,
    "output_tokens": 2_000,
    "cache_creation_input_tokens": 400,
    "cache_read_input_tokens": 3_000,
    "cache_creation": {"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 100},
}
COUNTS = TokenCounts(
    uncached=1_000, output=2_000, cache_write5m=300, cache_write1h=100, cache_read=3_000
)
PRICES = GenaiPrices()
OPUS = "claude-opus-5-5"


async def ended(
    world: World,
    talk: Talk,
    *blocks: ReplyBlock,
    model: str = OPUS,
    by: str | None = None,
    **reply: Any,
) -> Frame:
    """The end of a turn that is answered so; what is asked of its bill later is the same."""
    reply = {"usage": FIGURES, **reply, "model": by, "blocks": (*blocks, ReplyText("Yes."))}
    world.simulator.script(Reply(**reply))
    before = (await talk.ask("usage.query"))["grandTotal"]
    frames = await talk.turn("Tea?", model=model)
    end = frames[-1]
    after = (await talk.ask("usage.query"))["grandTotal"]
    session = frames[0]["sessionId"]
    if end["cost"] is not None:
        assert money(after["totalCost"]) - money(before["totalCost"]) == total(end)
        estimated = int(end["cost"].get("estimated", False))
        assert after.get("estimatedRequests", 0) - before.get("estimatedRequests", 0) == estimated
        seen = await talk.ask("context.inspect", sessionId=session, turnId=end["turnId"])
        assert money(seen["turn"]["billedCost"]) == money(end["cost"]["inputCost"])
        assert seen["turn"].get("estimated") == end["cost"].get("estimated")
    return end


def money(amount: float) -> Decimal:
    """As the wire says it."""
    return Decimal(str(amount)).quantize(Decimal("1e-12"))


def total(end: Frame) -> Decimal:
    """What a turn cost."""
    return money(end["cost"]["totalCost"])


def price(model: str = OPUS, counts: TokenCounts = COUNTS, factor: str = "1") -> Decimal:
    """What these tokens cost at plain prices, times a factor."""
    cost = PRICES.price(model, counts)
    assert cost is not None
    return (cost.total_cost * Decimal(factor)).quantize(Decimal("1e-12"))


@pytest.mark.parametrize(
    ("told", "model", "factor", "estimated"),
    [
        ({}, OPUS, "1", False),
        ({"inference_geo": "global", "speed": "standard"}, OPUS, "1", False),
        ({"inference_geo": "not_available", "speed": None}, OPUS, "1", False),
        ({"inference_geo": "us"}, OPUS, "1.1", False),
        ({"inference_geo": "us"}, "claude-haiku-4-5", "1", True),
        ({"inference_geo": "mars"}, OPUS, "1", True),
        ({"inference_geo": ["us"]}, OPUS, "1", False),
        ({"speed": "fast"}, OPUS, "2", False),
        ({"speed": "fast", "inference_geo": "us"}, OPUS, "2.2", False),
        ({"speed": "fast"}, "claude-sonnet-5-5", "1", True),
        ({"speed": "ludicrous"}, OPUS, "1", True),
        ({"service_tier": "priority"}, OPUS, "1", True),
        ({"iterations": [{"type": "message"}, {"type": "compaction"}]}, OPUS, "1", True),
    ],
    ids=str,
)
async def test_where_and_how_fast_it_ran_changes_the_price(
    tmp_path: Path, told: dict[str, Any], model: str, factor: str, estimated: bool
) -> None:
    """What nobody has a price for is told as an estimate, never as exact."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        end = await ended(world, talk, model=model, usage={**FIGURES, **told})
    assert total(end) == price(model, factor=factor)
    assert end["cost"].get("estimated", False) is estimated
    for name, field in (("region", "inference_geo"), ("speed", "speed")):
        known = told.get(field) if isinstance(told.get(field), str) else None
        assert end["usage"].get(name) == (None if known == "not_available" else known)


async def test_searches_cost_the_same_everywhere(tmp_path: Path) -> None:
    """Only tokens have a price by region."""
    usage = {**FIGURES, "inference_geo": "us", "server_tool_use": {"web_search_requests": 1}}
    async with open_world(tmp_path) as world, world.talk() as talk:
        end = await ended(world, talk, SEARCH, usage=usage)
    assert total(end) == price(factor="1.1") + Decimal("0.01")
    assert "estimated" not in end["cost"]


async def test_directives_say_where_and_how_fast(tmp_path: Path) -> None:
    """So that others can try their clients with it."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        end = (await talk.turn("[[sim: count=3 region=us speed=fast]]", model=OPUS))[-1]
        assert (end["usage"]["region"], end["usage"]["speed"]) == ("us", "fast")
        refused = (await talk.turn("[[sim: count=0 category=cyber]]", model=OPUS))[-1]
        assert refused["stopReason"] == "refusal"
        assert total(refused) == 0
        assert world.simulator.billed[-1].free


# --- who answered --------------------------------------------------------------------------------


async def test_the_model_that_answered_is_billed(tmp_path: Path) -> None:
    """Its price, and its line of the report; one without a price leaves an estimate."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        other = await ended(world, talk, model="claude-fable-5-1")
        assert total(other) == price("claude-fable-5-1")
        fallen = await ended(world, talk, model="claude-fable-5-1", by=OPUS)
        assert total(fallen) == price(OPUS)
        assert "estimated" not in fallen["cost"]
        unknown = await ended(world, talk, model="claude-fable-5-1", by="claude-zen-9")
        assert (total(unknown), unknown["cost"]["estimated"]) == (price("claude-fable-5-1"), True)
        models = (await talk.ask("usage.query"))["perModel"]
        assert money(models[OPUS]["totalCost"]) == price(OPUS)
        assert models["claude-zen-9"]["estimatedRequests"] == 1


# --- what is not billed --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("category", "free", "estimated"),
    [
        ("cyber", True, False),
        ("general_harms", True, False),
        (None, True, False),
        ("bio", False, False),
        ("frontier_llm", False, False),
        ("of_tomorrow", False, True),
    ],
)
async def test_some_refusals_cost_nothing(
    tmp_path: Path, category: str | None, free: bool, estimated: bool
) -> None:
    """Before any output, by category; the usage is told, and what came after output is billed."""
    details = {"type": "refusal", "category": category}
    reply: dict[str, Any] = {"stop_reason": "refusal", "stop_details": details}
    async with open_world(tmp_path) as world, world.talk() as talk:
        world.simulator.script(Reply(blocks=(), usage=FIGURES, **reply))
        end = (await talk.turn("Tea?", model=OPUS))[-1]
        assert end["usage"]["inputTokens"] == 4_400
        assert total(end) == (0 if free else price())
        assert end["cost"].get("estimated", False) is estimated
        later = await ended(world, talk, **reply)
        assert total(later) == price()


async def test_a_block_in_which_nothing_stands_is_no_output(tmp_path: Path) -> None:
    """Some begin one before they refuse."""
    reply: dict[str, Any] = {
        "blocks": (ReplyText(""),),
        "usage": {**FIGURES, "output_tokens": 0},
        "stop_reason": "refusal",
        "stop_details": {"type": "refusal", "category": "cyber"},
    }
    async with open_world(tmp_path) as world, world.talk() as talk:
        world.simulator.script(Reply(**reply))
        end = (await talk.turn("Tea?", model=OPUS))[-1]
        assert total(end) == 0
        assert "estimated" not in end["cost"]


# --- what the answer's end would have told --------------------------------------------------------


async def test_the_searches_of_an_answer_that_broke_off_are_counted(tmp_path: Path) -> None:
    """Each call that was seen, but one that failed; and the cost is an estimate."""
    failed = WebSearch("tea", error="max_uses_exceeded")
    async with open_world(tmp_path, server_tools=("web_search",)) as world, world.talk() as talk:
        error = await ended(world, talk, SEARCH, failed, SEARCH, fault=Fault("reset", -4), usage={})
        assert error["type"] == "error"
        assert error["usage"]["webSearches"] == 2
        assert error["cost"]["estimated"] is True
        assert world.simulator.billed[-1].usage["server_tool_use"]["web_search_requests"] == 2
        assert error["cost"]["totalCost"] > 0.02


async def test_searches_that_are_never_told_are_counted(tmp_path: Path) -> None:
    """The answer is whole, its usage is not."""
    async with open_world(tmp_path, server_tools=("web_search",)) as world, world.talk() as talk:
        end = await ended(world, talk, SEARCH, usage={"server_tool_use": None})
        assert (end["usage"]["webSearches"], end["cost"]["estimated"]) == (1, True)


async def test_code_has_a_price_by_the_hour_that_nobody_tells(tmp_path: Path) -> None:
    """Most of it is free: the cost is an estimate."""
    code = CodeExecution("ls", stdout="tea\n")
    async with (
        open_world(tmp_path, server_tools=("code_execution",)) as world,
        world.talk() as talk,
    ):
        end = await ended(world, talk, code)
        assert end["cost"]["estimated"] is True


@pytest.mark.parametrize(
    ("told", "counts"),
    [
        ({"cache_creation_input_tokens": None}, {"cache_write5m": 300, "cache_write1h": 100}),
        ({"cache_creation": None}, {"cache_write5m": 400, "cache_write1h": 0}),
    ],
)
async def test_cache_writes_told_only_by_kind_or_only_as_a_sum_are_priced(
    tmp_path: Path, told: dict[str, Any], counts: dict[str, int]
) -> None:
    """Both are exact: the gateway knows for how long it asked."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        end = await ended(world, talk, usage={**FIGURES, **told})
        assert total(end) == price(counts=replace(COUNTS, **counts))
        assert "estimated" not in end["cost"]


@pytest.mark.parametrize(
    ("total_told", "kinds", "counts"),
    [
        (0, (0, 2_000), (0, 2_000)),
        (1_000, (0, 3_000), (0, 3_000)),
        (3_000, (0, 1_000), (0, 3_000)),
        (3_000, (1_000, 0), (3_000, 0)),
    ],
)
async def test_cache_writes_whose_sum_is_not_that_of_their_kinds_are_an_estimate(
    tmp_path: Path, total_told: int, kinds: tuple[int, int], counts: tuple[int, int]
) -> None:
    """The larger of both is billed, and never told as exact."""
    by_kind = {"ephemeral_5m_input_tokens": kinds[0], "ephemeral_1h_input_tokens": kinds[1]}
    told = {"cache_creation_input_tokens": total_told, "cache_creation": by_kind}
    billed = replace(COUNTS, cache_write5m=counts[0], cache_write1h=counts[1])
    async with open_world(tmp_path) as world, world.talk() as talk:
        end = await ended(world, talk, usage={**FIGURES, **told})
        assert total(end) == price(counts=billed)
        assert end["cost"]["estimated"] is True


# --- what a client will pay ----------------------------------------------------------------------


def tools_of(body: Any) -> dict[str, Any]:
    """The tools of a request by name, as they stand after what was announced in its messages."""
    tools = {tool["name"]: tool for tool in body.get("tools", [])}
    for message in body["messages"]:
        for block in message["content"] if message["role"] == "system" else []:
            match block:
                case {"type": "tool_addition", "tool": {"definition": tool}}:
                    tools[tool["name"]] = tool
                case {"type": "tool_removal", "tool": {"name": name}}:
                    tools.pop(name)
    return tools


@pytest.mark.parametrize(
    ("model", "few", "many", "most"),
    [
        ("claude-sonnet-5-5", 2, 5, 10),
        ("claude-opus-4-8", 1, 5, 5),
        ("claude-haiku-4-5", 3, 10, 10),
    ],
)
async def test_the_search_may_be_used_as_often_as_the_money_allows(
    tmp_path: Path, model: str, few: int, many: int, most: int
) -> None:
    """From turn to turn, however a change of it is told to the model; thinking stays valid."""
    turns = ((0.1, few), (0.1, few), (0.5, many), (None, None), (0.006, 0), (1, most))
    tools = ("web_search", "web_fetch")
    async with open_world(tmp_path, server_tools=tools) as world, world.talk() as talk:
        session = (await talk.ask("session.create", model=model))["sessionId"]
        for money, uses in turns:
            limit = {} if money is None else {"maxCost": money}
            end = (await talk.turn("Tea? Think.", sessionId=session, **limit))[-1]
            assert end["type"] == "chat.stream.end", end
            tools_now = tools_of(world.sent()[-1])
            assert tools_now.get("web_search", {"max_uses": 0}).get("max_uses") == uses
            assert "max_uses" not in tools_now["web_fetch"]
            assert "droppedThinking" not in end.get("context", {})


async def test_searches_stay_within_what_a_client_pays(tmp_path: Path) -> None:
    """The model wants nine of them: further ones fail, or it ends before it is too dear."""
    async with open_world(tmp_path, server_tools=("web_search",)) as world, world.talk() as talk:
        free = (await talk.turn("[[sim: search=2 searches=9]]"))[-1]
        assert free["usage"]["webSearches"] == 9
        paid = (await talk.turn("[[sim: search=2 searches=9 count=9]]", maxCost=0.06))[-1]
        assert 0 < paid["usage"]["webSearches"] <= 2
        assert paid["cost"]["totalCost"] < 0.06


@pytest.mark.parametrize(
    ("question", "results", "searches", "words", "most"),
    [
        ("go", 50, 3, 20, 0.07),
        ("go", 100, 3, 20, 0.07),
        ("go " * 1_500, 4, 9, 300, 0.03),
        ("go " * 1_500, 4, 9, 300, 0.05),
    ],
)
async def test_what_searches_find_is_paid_for_in_every_pass(
    tmp_path: Path, question: str, results: int, searches: int, words: int, most: float
) -> None:
    """What the provider bills keeps to `maxCost`; each of these was up to 91 % dearer."""
    told = f"[[sim: search={results} searches={searches} count={words} rate=500]]"
    async with open_world(tmp_path, server_tools=("web_search",)) as world, world.talk() as talk:
        end = (await talk.turn(f"{question} {told}", maxCost=most))[-1]
        assert end["stopReason"] in ("budget", "end_turn")
        assert end["cost"]["totalCost"] <= most
    billed = PRICES.price("claude-sonnet-5-5", billed_counts(world.simulator.billed[-1].usage))
    assert billed is not None
    assert 0.01 < billed.total_cost <= most


def billed_counts(usage: dict[str, Any]) -> TokenCounts:
    """What the simulator has billed."""
    return TokenCounts(
        uncached=usage["input_tokens"],
        cache_read=usage["cache_read_input_tokens"],
        cache_write5m=usage["cache_creation_input_tokens"],
        output=usage["output_tokens"],
        web_searches=usage["server_tool_use"]["web_search_requests"],
    )


async def test_a_tier_is_of_the_whole_request(tmp_path: Path) -> None:
    """Beyond 100,000 tokens an answer costs five times as much: it ends that much earlier."""
    model, words = "claude-haiku-5-5", "tea and cups of it " * 30_000
    async with open_world(tmp_path, prompt_caching=False) as world, world.talk() as talk:
        estimate = 0.0
        for text in (words[:200_000], words):
            session = (await talk.ask("session.create", model=model))["sessionId"]
            seen = await talk.ask("context.inspect", sessionId=session, content=text)
            estimate = seen["totals"]["costEstimate"]
            end = (await talk.turn(text, sessionId=session, maxCost=estimate + 0.0025))[-1]
            cost = end["cost"]["inputCost"]
            assert abs(estimate / cost - 1) < 0.25
            per_token = 2.5e-6 if seen["totals"]["tokenEstimate"] > 100_000 else 0.5e-6
            most = world.sent()[-1]["max_tokens"]
            assert most == pytest.approx(0.0025 / per_token, rel=0.01)


@pytest.mark.parametrize(("taught", "estimate"), [(0, 72_500), (5, 90_500)])
async def test_a_prompt_that_may_be_beyond_a_tier_is_priced_as_if_it_were(
    tmp_path: Path, taught: int, estimate: int
) -> None:
    """It is billed as more than was estimated: five times as dear; so it is not sent."""
    model, words = "claude-haiku-5-5", "lorem ipsum dolor sit amet " * 14_500
    async with open_world(tmp_path, prompt_caching=False) as world, world.talk() as talk:
        for number in range(taught):
            text = "The quick brown fox jumps over the lazy dog. " * (60 * number + 1)
            await talk.turn(text, model=model)
        sent = len(world.sent())
        session = (await talk.ask("session.create", model=model))["sessionId"]
        seen = (await talk.ask("context.inspect", sessionId=session, content=words))["totals"]
        assert seen["tokenEstimate"] == pytest.approx(estimate, rel=0.02)
        most = seen["costEstimate"] * 1.15
        error = (await talk.turn(words, sessionId=session, maxCost=most))[-1]
        assert (error["code"], len(world.sent())) == ("BUDGET_EXCEEDED", sent)
        most = seen["costEstimate"] * 8
        end = (await talk.turn(words, sessionId=session, maxCost=most))[-1]
        assert end["usage"]["inputTokens"] > 100_000
        assert end["cost"]["totalCost"] <= most


async def test_a_sum_of_cache_writes_is_of_the_hour_that_was_asked_for(tmp_path: Path) -> None:
    """Only the gateway knows of which kind they are, and it asked for one of them."""
    usage = {**FIGURES, "cache_creation": None}
    async with open_world(tmp_path) as world, world.talk() as talk:
        world.simulator.script(Reply(blocks=(ReplyText("Yes."),), usage=usage))
        end = (await talk.turn("Tea?", model=OPUS, cacheTtl="1h"))[-1]
        assert total(end) == price(counts=replace(COUNTS, cache_write5m=0, cache_write1h=400))
        assert "estimated" not in end["cost"]
