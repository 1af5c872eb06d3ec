"""The prompt cache: which tokens were read, which were written, which were neither."""

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import pytest
from anthropic import AsyncAnthropic
from anthropic.types import Usage

from gateway.simulator import Reply, ReplyThinking, Simulator, open_simulator
from gateway.simulator.cache import Charge, PromptCache
from gateway.simulator.prompt import Segment


class Clock:
    """A clock that is set by hand, in seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> PromptCache:
    return PromptCache(clock)


def prompt(*parts: str) -> list[Segment]:
    """Segments of 1000 tokens, one a word; `|5m` or `|1h` ends one with a breakpoint."""
    segments = []
    for part in parts:
        name, _, ttl = part.partition("|")
        segments.append(Segment(1000, name.encode(), ttl or None))
    return segments


def test_a_prompt_without_breakpoints_is_not_cached(cache: PromptCache) -> None:
    """Nothing is read or written, however often it comes."""
    for _ in range(2):
        assert cache.charge("m", prompt("a", "b"), 1) == Charge(2000)


def test_what_was_written_is_read(cache: PromptCache) -> None:
    """The same prefix is written once, then read."""
    assert cache.charge("m", prompt("a|5m", "b"), 1) == Charge(1000, 0, 1000)
    assert cache.charge("m", prompt("a|5m", "c"), 1) == Charge(1000, 1000)


def test_a_growing_conversation_writes_only_what_is_new(cache: PromptCache) -> None:
    """A breakpoint finds the entry of an earlier one that lies before it."""
    cache.charge("m", prompt("a", "b|5m"), 1)
    assert cache.charge("m", prompt("a", "b", "c", "d|5m"), 1) == Charge(0, 2000, 2000)


def test_a_breakpoint_looks_at_twenty_places(cache: PromptCache) -> None:
    """Its own is the first of them; an entry further back is not found."""
    cache.charge("m", prompt("a|5m"), 1)
    near = [f"n{i}" for i in range(18)]
    assert cache.charge("m", prompt("a", *near, "end|5m"), 1).read == 1000
    far = [f"f{i}" for i in range(19)]
    assert cache.charge("m", prompt("a", *far, "end|5m"), 1).read == 0


def test_a_change_at_the_front_costs_the_whole_prefix(cache: PromptCache) -> None:
    """A prefix counts only as a whole."""
    cache.charge("m", prompt("a", "b|5m"), 1)
    assert cache.charge("m", prompt("x", "b|5m"), 1) == Charge(0, 0, 2000)


def test_each_model_has_its_own_entries(cache: PromptCache) -> None:
    """What one model cached, another cannot read."""
    cache.charge("m", prompt("a|5m"), 1)
    assert cache.charge("n", prompt("a|5m"), 1).read == 0


def test_a_short_prompt_is_not_cached(cache: PromptCache) -> None:
    """Under the model's minimum a breakpoint has no effect."""
    for _ in range(2):
        assert cache.charge("m", prompt("a|5m"), 1001) == Charge(1000)


def test_an_hour_and_five_minutes_are_billed_apart(cache: PromptCache) -> None:
    """What lies before a breakpoint is written at that breakpoint's price."""
    asked = prompt("a|1h", "b", "c|5m", "d")
    assert cache.charge("m", asked, 1) == Charge(1000, 0, 2000, 1000)


@pytest.mark.parametrize(("ttl", "seconds"), [("5m", 300), ("1h", 3600)])
def test_an_entry_expires(cache: PromptCache, clock: Clock, ttl: str, seconds: int) -> None:
    """It lives for its time from its last use."""
    asked = prompt(f"a|{ttl}")
    cache.charge("m", asked, 1)
    for _ in range(3):
        clock.now += seconds - 1
        assert cache.charge("m", asked, 1).read == 1000
    clock.now += seconds
    assert cache.charge("m", asked, 1).read == 0


def test_the_entry_unused_for_longest_makes_room(clock: Clock) -> None:
    """The cache is bounded."""
    cache = PromptCache(clock, limit=2)
    for name in ("a", "b", "c"):
        cache.charge("m", prompt(f"{name}|5m"), 1)
    assert cache.charge("m", prompt("c|5m"), 1).read == 1000
    assert cache.charge("m", prompt("a|5m"), 1).read == 0


@pytest.fixture
async def simulator(clock: Clock) -> AsyncIterator[Simulator]:
    async with open_simulator(seed=1, clock=clock) as simulator:
        yield simulator


SYSTEM = "You are patient and precise. " * 200


async def usage(client: AsyncAnthropic, turns: list[Any], **request: Any) -> Usage:
    defaults: dict[str, Any] = {"model": "claude-sonnet-5-5", "max_tokens": 2000, "system": SYSTEM}
    async with client.messages.stream(messages=turns, **(defaults | request)) as stream:
        return (await stream.get_final_message()).usage


async def test_a_conversation_is_read_from_the_cache_turn_by_turn(
    client: AsyncAnthropic, clock: Clock
) -> None:
    """With automatic caching each turn reads the last one's prompt and writes what is new."""
    turns: list[Any] = [{"role": "user", "content": "First question"}]
    written: list[int] = []
    for at in range(3):
        bill = await usage(client, turns, cache_control={"type": "ephemeral"})
        assert bill.input_tokens == 0
        assert bill.cache_read_input_tokens == sum(written)
        assert bill.cache_creation is not None
        written.append(bill.cache_creation.ephemeral_5m_input_tokens)
        assert written[-1] > 0
        assert written[-1] == bill.cache_creation_input_tokens
        turns += [
            {"role": "assistant", "content": f"Answer {at}"},
            {"role": "user", "content": f"Question {at}"},
        ]
    clock.now += 300
    bill = await usage(client, turns, cache_control={"type": "ephemeral"})
    assert bill.cache_read_input_tokens == 0


async def test_the_system_prompt_survives_a_change_of_thinking(client: AsyncAnthropic) -> None:
    """Another thinking setting costs the messages their cache, the system prompt keeps its own."""
    mark = {"type": "ephemeral", "ttl": "1h"}
    system = [{"type": "text", "text": SYSTEM, "cache_control": mark}]
    turns = [{"role": "user", "content": "Question"}]
    first = await usage(client, turns, system=system)
    assert first.cache_creation is not None
    assert first.cache_creation.ephemeral_1h_input_tokens > 1000
    second = await usage(client, turns, system=system, thinking={"type": "between_tools"})
    assert second.cache_read_input_tokens == first.cache_creation_input_tokens
    assert second.input_tokens == first.input_tokens > 0


async def test_a_string_and_its_text_block_are_one_prompt(client: AsyncAnthropic) -> None:
    """Content as a string, or as a block, or marked for caching, has the same prefix."""
    mark = {"type": "ephemeral"}
    block = {"type": "text", "text": SYSTEM, "cache_control": mark}
    await usage(client, [{"role": "user", "content": [block]}], system="Short.")
    turns = [{"role": "user", "content": SYSTEM}]
    bill = await usage(client, turns, system="Short.", cache_control=mark)
    assert bill.cache_read_input_tokens
    assert bill.input_tokens == bill.cache_creation_input_tokens == 0


MARK = {"type": "ephemeral"}
TOOL = {"name": "f", "description": "A tool. " * 300, "input_schema": {"type": "object"}}
ASK = [{"role": "user", "content": "Question"}]


def marked(text: str, ttl: str = "5m") -> dict[str, Any]:
    return {"type": "text", "text": text, "cache_control": {"type": "ephemeral", "ttl": ttl}}


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({}, "all"),
        ({"tool_choice": {"type": "none"}}, "system"),
        ({"thinking": {"type": "between_tools"}}, "system"),
        ({"output_config": {"effort": "low"}}, "system"),
        ({"output_config": {"effort": "high"}}, "all"),
        ({"system": [marked("Another. " * 400)]}, "tools"),
        ({"speed": "fast"}, "tools"),
        ({"tools": [{**TOOL, "description": "B. " * 800, "cache_control": MARK}]}, "nothing"),
    ],
    ids=["none", "tool-choice", "thinking", "effort", "same-effort", "system", "speed", "tools"],
)
async def test_a_change_costs_the_cache_of_what_follows_it(
    client: AsyncAnthropic, change: dict[str, Any], kept: str
) -> None:
    """Tools come before the system prompt, and that before the messages."""
    request: dict[str, Any] = {
        "tools": [{**TOOL, "cache_control": MARK}],
        "system": [marked(SYSTEM)],
    }
    turns = [{"role": "user", "content": [marked("word " * 800)]}]
    tools = await usage(client, ASK, tools=request["tools"], system="Short.")
    system = await usage(client, ASK, **request)
    whole = await usage(client, turns, **request)
    sizes = {
        "nothing": 0,
        "tools": tools.cache_creation_input_tokens,
        "system": (tools.cache_creation_input_tokens or 0)
        + (system.cache_creation_input_tokens or 0),
        "all": (whole.cache_read_input_tokens or 0) + (whole.cache_creation_input_tokens or 0),
    }
    assert len(set(sizes.values())) == 4
    bill = await usage(client, turns, **(request | change))
    assert bill.cache_read_input_tokens == sizes[kept]


async def test_an_automatic_breakpoint_avoids_thinking(
    client: AsyncAnthropic, simulator: Simulator
) -> None:
    """The last block that can carry it gets it; the thinking after that is not cached."""
    simulator.script(Reply(blocks=(ReplyThinking("Hm. " * 500),), stop_reason="pause_turn"))
    async with client.messages.stream(
        model="claude-sonnet-5-5",
        max_tokens=2000,
        system=SYSTEM,
        messages=[{"role": "user", "content": SYSTEM}],
        thinking={"type": "adaptive", "display": "summarized"},
    ) as stream:
        thought = (await stream.get_final_message()).content[0].to_dict()
    turns = [{"role": "user", "content": SYSTEM}, {"role": "assistant", "content": [thought]}]
    bill = await usage(client, turns, cache_control=MARK)
    assert bill.cache_creation_input_tokens
    assert bill.input_tokens > 500


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"system": [marked("x")] * 4, "cache_control": MARK}, "maximum of 4 blocks"),
        (
            {"messages": [{"role": "user", "content": [marked("x", "1h")]}], "cache_control": MARK},
            "already has a cache_control with ttl='1h'",
        ),
        (
            {
                "messages": [
                    *ASK,
                    {
                        "role": "assistant",
                        "content": [
                            {
                                "type": "thinking",
                                "thinking": "",
                                "signature": "",
                                "cache_control": MARK,
                            },
                        ],
                    },
                    *ASK,
                ]
            },
            "thinking.cache_control: Extra inputs are not permitted",
        ),
    ],
    ids=["five", "two-lives", "thinking"],
)
async def test_a_breakpoint_too_many_is_refused(
    client: AsyncAnthropic, body: dict[str, Any], words: str
) -> None:
    """Automatic and explicit breakpoints share four places, and must not contradict each other."""
    whole = {"model": "claude-sonnet-5-5", "max_tokens": 9, "messages": ASK, **body}
    with pytest.raises(anthropic.BadRequestError, match=words):
        await client.messages.create(**whole)


async def test_an_automatic_breakpoint_agrees_with_an_explicit_one(
    client: AsyncAnthropic,
) -> None:
    """The same life at the same block is one breakpoint."""
    turns = [{"role": "user", "content": [marked(SYSTEM)]}]
    first = await usage(client, turns)
    second = await usage(client, turns, cache_control=MARK)
    assert second.cache_read_input_tokens == first.cache_creation_input_tokens


def loop(results: int) -> list[Any]:
    """A conversation in which so many tools were called at once."""
    called = [{"type": "tool_use", "id": f"t{n}", "name": "f", "input": {}} for n in range(results)]
    told = [
        {"type": "tool_result", "tool_use_id": f"t{n}", "content": "ok"} for n in range(results)
    ]
    first = {"role": "user", "content": SYSTEM}
    return [first, {"role": "assistant", "content": called}, {"role": "user", "content": told}]


async def test_a_run_of_calls_is_one_place(client: AsyncAnthropic) -> None:
    """Thirty calls at once, and their thirty results, do not hide the entry before them."""
    written = await usage(client, loop(30)[:1], cache_control=MARK)
    bill = await usage(client, loop(30), cache_control=MARK)
    assert bill.cache_read_input_tokens == written.cache_creation_input_tokens


async def test_the_order_of_a_call_s_input_is_part_of_the_prefix(client: AsyncAnthropic) -> None:
    """The same keys in another order are another prompt; a block's own keys are not."""
    turns = loop(1)
    turns[1]["content"] = [{"type": "tool_use", "id": "t0", "name": "f", "input": {"a": 1, "b": 2}}]
    written = await usage(client, turns, cache_control=MARK)
    turns[1]["content"] = [{"input": {"a": 1, "b": 2}, "name": "f", "id": "t0", "type": "tool_use"}]
    turns[2]["content"][0]["content"] = [{"type": "text", "text": "ok"}]
    bill = await usage(client, turns, cache_control=MARK)
    assert bill.cache_read_input_tokens == written.cache_creation_input_tokens
    turns[1]["content"][0]["input"] = {"b": 2, "a": 1}
    bill = await usage(client, turns, cache_control=MARK)
    assert bill.cache_read_input_tokens == 0


@pytest.mark.parametrize(
    ("model", "least"),
    [
        ("claude-sonnet-5-5", 512),
        ("claude-opus-5-5", 512),
        ("claude-haiku-5-5", 512),
        ("claude-sonnet-4-6", 1024),
        ("claude-opus-4-7", 2048),
        ("claude-haiku-4-5", 4096),
    ],
)
async def test_each_model_has_a_least_prompt_to_cache(
    client: AsyncAnthropic, model: str, least: int
) -> None:
    """One token less, and nothing is cached, without a word."""
    for tokens, cached in ((least - 1, False), (least, True)):
        text = "x" * int((tokens - 4) * 3.6)
        turns = [{"role": "user", "content": text}]
        bill = await usage(client, turns, model=model, system=[], cache_control=MARK)
        total = bill.input_tokens + (bill.cache_creation_input_tokens or 0)
        assert total == tokens
        assert bool(bill.cache_creation_input_tokens) is cached


def test_what_was_read_keeps_the_life_it_was_paid_for(cache: PromptCache, clock: Clock) -> None:
    """A breakpoint of five minutes on an entry of an hour does not shorten it."""
    cache.charge("m", prompt("a|1h"), 1)
    cache.charge("m", prompt("a|5m"), 1)
    clock.now += 3599
    assert cache.charge("m", prompt("a|1h"), 1).read == 1000


@pytest.mark.parametrize(
    ("block", "kept"),
    [
        ({"type": "text", "text": "more"}, "all"),
        (
            {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}},
            "system",
        ),
        (
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "So."},
                "citations": {"enabled": True},
            },
            "nothing",
        ),
    ],
    ids=["text", "image", "cited-document"],
)
async def test_what_is_attached_later_may_cost_the_cache(
    client: AsyncAnthropic, block: dict[str, Any], kept: str
) -> None:
    """The first image costs the messages theirs, the first document to cite the system prompt."""
    turns: list[Any] = [{"role": "user", "content": [marked("word " * 800)]}]
    system = [marked(SYSTEM)]
    first = await usage(client, ASK, system=system)
    whole = await usage(client, turns, system=system)
    sizes = {
        "nothing": 0,
        "system": first.cache_creation_input_tokens,
        "all": (whole.cache_read_input_tokens or 0) + (whole.cache_creation_input_tokens or 0),
    }
    turns = [{"role": "user", "content": [*turns[0]["content"], block]}]
    bill = await usage(client, turns, system=system)
    assert bill.cache_read_input_tokens == sizes[kept]
