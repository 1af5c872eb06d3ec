"""What goes wrong on purpose, as the SDK and as a bare socket see it; and clients that leave."""

import json
import math
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import anthropic
import httpx2
import msgspec
import pytest
import trio
from anthropic import AsyncAnthropic

from gateway.simulator import (
    ErrorReply,
    Fault,
    Reply,
    ReplyText,
    ReplyThinking,
    Simulator,
    SimulatorSettings,
    open_simulator,
)

# The SDK leaves the generators inside of a stream that was not read to its end to the collector.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")

TEXT = "naïve café — 日本語 🙂 " * 8
REQUEST: dict[str, Any] = {
    "model": "claude-haiku-4-5",
    "max_tokens": 1000,
    "messages": [{"role": "user", "content": "?"}],
}


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with open_simulator(seed=1, settings=SimulatorSettings(ping_every=0.02)) as simulator:
        yield simulator


async def read(client: AsyncAnthropic, received: list[Any] | None = None) -> list[Any]:
    """The events of one stream; those before an exception are in `received`."""
    events = [] if received is None else received
    async with await client.messages.create(**REQUEST, stream=True) as stream:
        async for event in stream:
            events.append(event)
    return events


def text_in(events: list[Any]) -> str:
    deltas = [event.delta for event in events if event.type == "content_block_delta"]
    return "".join(delta.text for delta in deltas if delta.type == "text_delta")


async def test_an_error_event_ends_the_stream(simulator: Simulator, client: AsyncAnthropic) -> None:
    """The SDK raises an APIStatusError of status 200 whose type is the event's."""
    fault = Fault("error", at=6, error_type="api_error", message="Something broke")
    simulator.script(Reply(blocks=(ReplyText(TEXT),), fault=fault))
    received: list[Any] = []
    with pytest.raises(anthropic.APIStatusError, match="Something broke") as raised:
        await read(client, received)
    assert (raised.value.status_code, raised.value.type) == (200, "api_error")
    assert len(received) == 5  # the sixth was the ping
    assert simulator.billed[-1].outcome == "faulted"
    assert simulator.billed[-1].deltas == 3


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault("reset", at=5), httpx2.ReadError),
        (Fault("truncate", at=5), httpx2.RemoteProtocolError),
        (Fault("bad_json", at=5), json.JSONDecodeError),
        (Fault("bad_utf8", at=5), UnicodeDecodeError),
    ],
)
async def test_a_broken_stream_raises(
    simulator: Simulator, client: AsyncAnthropic, fault: Fault, error: type[Exception]
) -> None:
    """Each way of breaking a stream has its exception, and none of them is an AnthropicError."""
    simulator.script(Reply(blocks=(ReplyText(TEXT),), fault=fault, flush=1))
    with pytest.raises(error):
        await read(client)


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_connection_can_be_reset_instead_of_an_answer(
    simulator: Simulator, client: AsyncAnthropic, *, streamed: bool
) -> None:
    """There is not even a status, and no bill."""
    simulator.script(Reply(blocks=(ReplyText(TEXT),), fault=Fault("hang_up")))
    with pytest.raises(anthropic.APIConnectionError):
        await client.messages.create(**REQUEST, stream=streamed)
    assert not simulator.billed


@pytest.mark.parametrize(("at", "output"), [(-2, 67), (-1, 70)])
async def test_the_bill_is_the_one_that_was_told(
    simulator: Simulator, client: AsyncAnthropic, at: int, output: int
) -> None:
    """Broken off before `message_delta`, what was written; after it, what it said."""
    simulator.script(Reply(blocks=(ReplyText("b" * 240),), fault=Fault("end", at=at)))
    events = await read(client)
    told = [event.usage.output_tokens for event in events if event.type == "message_delta"]
    assert told == ([70] if at == -1 else [])
    assert simulator.billed[-1].output_tokens == output


@pytest.mark.parametrize(
    "trouble",
    [Reply(fault=Fault("error", at=4)), Reply(failure=ErrorReply(529))],
    ids=["mid", "whole"],
)
async def test_what_goes_wrong_can_be_kept_waiting(
    simulator: Simulator, client: AsyncAnthropic, trouble: Reply
) -> None:
    """It comes when the gate is opened, and what precedes it comes before."""
    gate = trio.Event()
    simulator.script(msgspec.structs.replace(trouble, blocks=(ReplyText(TEXT),), gate=gate))
    received: list[Any] = []
    with trio.move_on_after(0.1) as patience, suppress(anthropic.APIStatusError):
        await read(client, received)
    assert patience.cancelled_caught
    assert len(received) == (3 if trouble.fault else 0)  # the third of four was the ping
    simulator.script(msgspec.structs.replace(trouble, blocks=(ReplyText(TEXT),), gate=gate))
    gate.set()
    with trio.fail_after(5), pytest.raises(anthropic.APIStatusError):
        await read(client)


async def test_a_tidy_end_without_message_stop_is_silent(
    simulator: Simulator, client: AsyncAnthropic
) -> None:
    """The body just ends: every event but the last was there, and nothing is raised."""
    simulator.script(Reply(blocks=(ReplyText(TEXT),), fault=Fault("end", at=-1)))
    events = await read(client)
    assert events[-1].type == "message_delta"
    assert text_in(events) == TEXT
    assert simulator.billed[-1].outcome == "faulted"


async def test_an_unknown_event_comes_in_between(
    simulator: Simulator, client: AsyncAnthropic
) -> None:
    """An event of an unknown type costs nothing of the text."""
    simulator.script(Reply(blocks=(ReplyText(TEXT),), fault=Fault("unknown_event", at=4)))
    events = await read(client)
    assert "content_block_telemetry" in [event.type for event in events]
    assert text_in(events) == TEXT


async def test_events_can_change_places(simulator: Simulator, client: AsyncAnthropic) -> None:
    """Two neighbours swapped: the text is the same letters in another order."""
    simulator.script(
        Reply(blocks=(ReplyText("abcdef"),), chars=1, fault=Fault("out_of_order", at=4))
    )
    assert text_in(await read(client)) == "acbdef"


async def test_message_stop_can_come_twice(simulator: Simulator, client: AsyncAnthropic) -> None:
    """The last event is sent again."""
    simulator.script(Reply(blocks=(ReplyText(TEXT),), fault=Fault("double_stop")))
    kinds = [event.type for event in await read(client)]
    assert kinds[-2:] == ["message_stop", "message_stop"]


async def test_bytes_torn_apart_make_the_same_text(
    simulator: Simulator, client: AsyncAnthropic
) -> None:
    """Chunks that end in the middle of a character lose nothing."""
    simulator.script(Reply(blocks=(ReplyText(TEXT),), fault=Fault("split")))
    assert text_in(await read(client)) == TEXT
    assert simulator.billed[-1].outcome == "completed"


async def test_a_stall_is_a_silence_and_then_goes_on(
    simulator: Simulator, client: AsyncAnthropic
) -> None:
    """For its seconds nothing comes, not even a ping."""
    simulator.script(Reply(blocks=(ReplyText(TEXT),), fault=Fault("stall", at=5, seconds=0.1)))
    start = trio.current_time()
    body = await raw_body(client)
    assert trio.current_time() - start >= 0.1
    assert body.count(b"event: ping") == 1
    assert b"message_stop" in body


async def test_pings_alone_keep_a_stream_open(simulator: Simulator, client: AsyncAnthropic) -> None:
    """For its seconds nothing comes but pings."""
    simulator.script(Reply(blocks=(ReplyText(TEXT),), fault=Fault("pings", at=5, seconds=0.1)))
    body = await raw_body(client)
    assert body.count(b"event: ping") >= 4
    assert b"message_stop" in body


async def test_a_slow_stream_is_kept_alive_with_pings(
    simulator: Simulator, client: AsyncAnthropic
) -> None:
    """Between two deltas that are far apart there are pings."""
    simulator.script(Reply(blocks=(ReplyText("abc"),), chars=1, rate=20))
    body = await raw_body(client)
    assert body.count(b"event: ping") >= 1 + 3


async def raw_body(client: AsyncAnthropic) -> bytes:
    async with client.messages.with_streaming_response.create(**REQUEST, stream=True) as response:
        return b"".join([part async for part in response.iter_bytes()])


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault("reset"), anthropic.APIConnectionError),
        (Fault("truncate"), (anthropic.APIConnectionError, httpx2.RemoteProtocolError)),
        (Fault("error"), anthropic.OverloadedError),
        (Fault("bad_json"), json.JSONDecodeError),
    ],
)
async def test_a_whole_answer_breaks_too(
    simulator: Simulator, client: AsyncAnthropic, fault: Fault, error: Any
) -> None:
    """Without a stream the faults have their like."""
    simulator.script(Reply(blocks=(ReplyText(TEXT),), fault=fault))
    with pytest.raises(error):
        await client.messages.create(**REQUEST)


async def test_a_paced_stream_takes_its_time(simulator: Simulator, client: AsyncAnthropic) -> None:
    """Forty deltas at 200 a second take 0.2 s, whatever the sending costs."""
    simulator.script(Reply(blocks=(ReplyText("x" * 40),), chars=1, rate=200))
    start = trio.current_time()
    events = await read(client)
    elapsed = trio.current_time() - start
    assert text_in(events) == "x" * 40
    assert 0.2 <= elapsed < 1


async def test_the_first_byte_can_be_late(simulator: Simulator, client: AsyncAnthropic) -> None:
    """Nothing comes before the delay is over, for a stream, a whole answer, or an error."""
    simulator.script(*[Reply(blocks=(ReplyText("late"),), delay=0.05)] * 2)
    start = trio.current_time()
    await read(client)
    await client.messages.create(**REQUEST)
    assert trio.current_time() - start >= 0.1


@pytest.mark.parametrize(
    "reply",
    [
        Reply(blocks=(ReplyText(TEXT),), rate=50),
        Reply(blocks=(ReplyText(TEXT),), fault=Fault("stall", at=4)),
        Reply(blocks=(ReplyText(TEXT),), fault=Fault("pings", at=4)),
        Reply(blocks=(ReplyText(TEXT * 50_000),)),
    ],
    ids=["paced", "silent", "pinging", "blocked"],
)
async def test_a_client_that_leaves_is_noticed_at_once(
    simulator: Simulator, client: AsyncAnthropic, reply: Reply
) -> None:
    """Whatever the stream waits for, it ends within 100 ms of the client's close, and is billed."""
    simulator.script(reply)
    async with await client.messages.create(**REQUEST, stream=True) as stream:
        assert (await anext(stream)).type == "message_start"
        assert simulator.open_streams == 1
    with trio.fail_after(0.1):
        await simulator.wait_idle()
    assert simulator.billed[-1].outcome == "aborted"


async def test_an_aborted_answer_is_billed_for_what_was_sent(
    simulator: Simulator, client: AsyncAnthropic
) -> None:
    """The ledger counts the deltas and tokens up to the break, thinking among them."""
    blocks = (ReplyThinking("a" * 36), ReplyText("b" * 360))
    simulator.script(Reply(blocks=blocks, chars=36, rate=10_000, fault=Fault("stall", at=8)))
    async with await client.messages.create(**REQUEST, stream=True) as stream:
        kinds = [(await anext(stream)).type for _ in range(7)]
    assert kinds[-1] == "content_block_delta"
    with trio.fail_after(1):
        await simulator.wait_idle()
    line = simulator.billed[-1]
    # message_start, block, ping, thinking, signature, block's end, block, one text delta
    assert (line.outcome, line.deltas, line.output_tokens) == ("aborted", 3, 20)
    assert line.usage["output_tokens_details"] == {"thinking_tokens": 10}


async def test_a_client_that_leaves_before_the_first_byte_is_noticed(
    simulator: Simulator, client: AsyncAnthropic
) -> None:
    """A delayed answer is given up when nobody waits for it."""
    simulator.script(Reply(blocks=(ReplyText(TEXT),), delay=math.inf))
    with trio.move_on_after(0.1):
        await read(client)
    with trio.fail_after(0.1):
        await simulator.wait_idle()
    assert simulator.billed[-1].deltas == 0
