"""The prompt cache: which tokens were read, which were written, which were neither."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from anthropic import AsyncAnthropic, DefaultAsyncHttpxClient
from anthropic.types import Usage

from gateway.simulator import Simulator, open_simulator
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


def test_a_breakpoint_looks_back_twenty_segments(cache: PromptCache) -> None:
    """An entry further back than that is not found."""
    cache.charge("m", prompt("a|5m"), 1)
    near = [f"n{i}" for i in range(19)]
    assert cache.charge("m", prompt("a", *near, "end|5m"), 1).read == 1000
    far = [f"f{i}" for i in range(20)]
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


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[AsyncAnthropic]:
    plain = DefaultAsyncHttpxClient(verify=False)  # no certificates to load for plain HTTP
    async with AsyncAnthropic(
        base_url=simulator.url, api_key="any", max_retries=0, http_client=plain
    ) as client:
        yield client


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
