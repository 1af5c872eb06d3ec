"""A window that is full, from outside: what is left out, by whom, and that it is said."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from gateway.simulator import Reply, ReplyText, ReplyThinking, SimulatorSettings, calls, says, turn
from tests.gateway.media.test_pictures import image, png
from tests.support import TERMINAL, Frame, Talk, World, open_world

SONNET_45 = "claude-sonnet-4-5"  # 200,000 tokens
READ = [{"name": "read", "description": "Reads a page.", "inputSchema": {"type": "object"}}]


def page(number: int, words: int) -> str:
    """A text that is no other; about 2 tokens a word."""
    return " ".join(f"p{number}w{word % 97}" for word in range(words))


def begins_with(body: Any) -> str:
    """The text of a request's first message."""
    content = body["messages"][0]["content"]
    return str(content if isinstance(content, str) else content[0]["text"])[:20]


async def inspected(talk: Talk, session: str, content: str) -> Frame:
    """What is said of a message before it is sent."""
    return await talk.ask("context.inspect", sessionId=session, content=content)


async def test_a_long_conversation_goes_on_with_its_latest_turns(tmp_path: Path) -> None:
    """It never overflows, says what it left out, and mostly finds its prefix in the cache.

    The gateway shortens it to three quarters of the room, and each time begins a new epoch: were it
    as little as need be, every turn of a full window would be paid in full.
    """
    async with open_world(tmp_path, default_model=SONNET_45) as world, world.talk() as talk:
        session = (await talk.ask("session.create"))["sessionId"]
        world.simulator.script(*[Reply(blocks=(ReplyText("I see."),)) for _ in range(60)])
        read: list[float] = []
        epochs: list[int] = []
        end: Frame = {}
        for number in range(60):
            text = page(number, 2_500)
            foreseen = await inspected(talk, session, text)
            end = (await talk.turn(text, sessionId=session))[-1]
            assert end["type"] == "chat.stream.end"
            assert end.get("context") == foreseen.get("context")
            assert foreseen["window"]["used"] <= 200_000
            read.append(end["usage"]["inputDetails"]["cacheRead"] / end["usage"]["inputTokens"])
            if "epoch" in end.get("context", {}):
                assert end["usage"]["inputTokens"] < 3 / 4 * 200_000
                epochs.append(end["context"]["epoch"])
        assert end["context"]["leftOutTurns"] * 2 == end["context"]["leftOutMessages"] > 0
        beginnings = [begins_with(body) for body in world.sent()]
        moved = sum(a != b for a, b in pairwise(beginnings))
        assert 1 < moved < 9
        assert epochs == [*range(1, moved + 1)]
        full = read[-20:]
        assert sum(share > 0.95 for share in full) >= 13


async def loops(world: World, talk: Talk, session: str, count: int, words: int) -> list[Frame]:
    """So many turns, each of which reads a page with the client's tool; their ends."""
    ends = []
    for number in range(count):
        call = calls(("read", {"page": number}), first=(ReplyThinking("Which page?"),))
        world.simulator.script(turn(call, says("Read.")))
        request_id = await talk.say("chat.send", content=f"Page {number}?", sessionId=session)
        heard = await talk.hear()
        while heard["type"] != "tool.call":
            assert heard["type"] not in TERMINAL, heard
            heard = await talk.hear()
        content = page(number, words)
        await talk.say("tool.output", toolCallId=heard["toolCallId"], content=content)
        ends.append((await talk.rest(request_id))[-1])
    return ends


@pytest.mark.parametrize("model", [SONNET_45, "claude-haiku-4-5"])
async def test_the_provider_clears_old_answers_of_tools(model: str, tmp_path: Path) -> None:
    """Before any turn is left out; the inspection foresees it, and the end says it."""
    async with open_world(tmp_path, default_model=model) as world, world.talk() as talk:
        session = (await talk.ask("session.create"))["sessionId"]
        await talk.turn("Hello.", sessionId=session, tools=READ)
        ends = await loops(world, talk, session, 10, 9_000)
        assert [end["type"] for end in ends] == ["chat.stream.end"] * 10
        cleared = [end.get("context", {}).get("clearedToolUses", 0) for end in ends]
        assert cleared[0] == 0
        assert cleared[-1] == 10 - 3
        assert not any(end.get("context", {}).get("leftOutTurns") for end in ends)
        foreseen = await inspected(talk, session, "So?")
        world.simulator.script(Reply(blocks=(ReplyText("So it is."),)))
        end = (await talk.turn("So?", sessionId=session))[-1]
        assert foreseen["context"]["clearedToolUses"] == end["context"]["clearedToolUses"]
        read = end["usage"]["inputDetails"]["cacheRead"]
        assert foreseen["totals"]["cachedTokens"] == pytest.approx(read, rel=0.05)
        tokens = end["context"]["clearedTokens"]
        assert foreseen["context"]["clearedTokens"] == pytest.approx(tokens, rel=0.05)
        billed = end["usage"]["inputTokens"]
        assert foreseen["totals"]["tokenEstimate"] == pytest.approx(billed, rel=0.05)
        exact = await talk.ask("context.inspect", sessionId=session, content="And?", exact=True)
        assert exact["exactTokens"] == pytest.approx(billed, rel=0.01)


async def test_an_older_model_has_room_for_its_answer_too(tmp_path: Path) -> None:
    """It takes no more input than leaves room for the longest answer: the request is shortened."""
    older = {"default_model": "claude-opus-4-1"}
    cheap, dear = SimulatorSettings(token_ratio=0.8), SimulatorSettings()
    async with open_world(tmp_path, provider=cheap, **older) as world, world.talk() as talk:
        world.simulator.script(*[Reply(blocks=(ReplyText("I see."),)) for _ in range(9)])
        session = (await talk.ask("session.create"))["sessionId"]
        for number in range(9):
            await talk.turn(page(number, 12_000), sessionId=session)
    async with open_world(tmp_path, provider=dear, **older) as world, world.talk() as talk:
        frames = await talk.turn(page(9, 6_000), id="more", sessionId=session)
        assert frames[-1]["type"] == "chat.stream.end"
        assert len(world.sent()) == 2
        (notice,) = (frame for frame in frames if frame["type"] == "chat.stream.notice")
        assert notice["kind"] == "window"
        left_out = frames[-1]["context"]["leftOutTurns"]
        assert f"its oldest {left_out} turns are not sent any more" in notice["message"]


async def test_a_message_larger_than_the_window_is_refused_with_its_weight(
    tmp_path: Path,
) -> None:
    """Nothing is sent; the table says which section is to blame, and the session goes on."""
    async with open_world(tmp_path, default_model=SONNET_45) as world, world.talk() as talk:
        session = (await talk.ask("session.create"))["sessionId"]
        (error,) = await talk.turn(page(0, 200_000), sessionId=session)
        assert (error["code"], error["retryable"]) == ("CONTEXT_TOO_LARGE", False)
        weights = {one["name"]: one["tokenEstimate"] for one in error["sections"]}
        assert max(weights, key=lambda name: weights[name]) == "user_message"
        assert weights["user_message"] > 200_000
        assert world.sent() == []
        assert (await talk.turn("Shorter.", sessionId=session))[-1]["type"] == "chat.stream.end"


async def test_what_the_provider_finds_too_long_is_shortened_at_once(tmp_path: Path) -> None:
    """It counts twice as much as was learned: it says by how much, and gets three quarters of that.

    The refused request costs nothing, and the next estimate is right.
    """
    cheap = SimulatorSettings(token_ratio=0.8)
    async with open_world(tmp_path, provider=cheap) as world, world.talk() as talk:
        world.simulator.script(*[Reply(blocks=(ReplyText("I see."),)) for _ in range(8)])
        session = (await talk.ask("session.create"))["sessionId"]
        for number in range(8):
            await talk.turn(page(number, 12_000), sessionId=session)
    dear = SimulatorSettings(token_ratio=1.6)
    async with open_world(tmp_path, provider=dear) as world, world.talk() as talk:
        end = (await talk.turn("Well?", id="w", sessionId=session, model=SONNET_45))[-1]
        assert end["type"] == "chat.stream.end"
        assert len(world.sent()) == 2
        (billed,) = world.simulator.billed
        assert end["context"]["leftOutTurns"] > 0
        assert end["context"]["epoch"] == 1
        one = end["usage"]["inputTokens"] / (8 - end["context"]["leftOutTurns"])
        three_quarters = 3 / 4 * 200_000
        assert three_quarters - one < end["usage"]["inputTokens"] <= three_quarters
        assert end["usage"]["outputTokens"] == billed.usage["output_tokens"]
        foreseen = await inspected(talk, session, "And?")
        end = (await talk.turn("And?", id="a", sessionId=session))[-1]
        assert len(world.sent()) == 3
        estimate = foreseen["totals"]["tokenEstimate"]
        assert estimate == pytest.approx(end["usage"]["inputTokens"], rel=0.05)


async def test_what_the_provider_alone_finds_too_large_is_weighed_as_well(tmp_path: Path) -> None:
    """There is nothing to leave out: the table says which section is to blame."""
    async with (
        open_world(
            tmp_path, provider=SimulatorSettings(token_ratio=4.0), default_model=SONNET_45
        ) as world,
        world.talk() as talk,
    ):
        error = (await talk.turn(page(0, 35_000)))[-1]
        assert error["code"] == "CONTEXT_TOO_LARGE"
        assert len(world.sent()) == 1
        weights = {one["name"]: one["tokenEstimate"] for one in error["sections"]}
        assert max(weights, key=lambda name: weights[name]) == "user_message"


async def test_a_session_of_many_pictures_goes_on(tmp_path: Path) -> None:
    """The provider takes few large ones, and no more than so many: the oldest turns go."""
    large = image(png(2_400, 30))
    async with open_world(tmp_path, default_model=SONNET_45) as world, world.talk() as talk:
        session = (await talk.ask("session.create"))["sessionId"]
        end: Frame = {}
        for number in range(8):
            content = [*[large] * 3, {"type": "text", "text": f"Look {number}."}]
            end = (await talk.turn(content, sessionId=session))[-1]
            assert end["type"] == "chat.stream.end"
        assert end["context"]["leftOutTurns"] > 0
        small = [image(png(30, 30))] * 45
        for number in range(4):
            content = [*small, {"type": "text", "text": f"See {number}."}]
            foreseen = await talk.ask("context.inspect", sessionId=session, content=content)
            end = (await talk.turn(content, sessionId=session))[-1]
            assert end["type"] == "chat.stream.end"
            assert end["context"] == foreseen["context"]


@pytest.mark.parametrize(
    ("blocks", "words"),
    [
        ([image(png(30, 30), "image/jpeg")], "`content[0]`: the picture is image/png"),
        ([image(b"no picture!")], "`content[0]`: the picture's data is none of"),
        ([image(png(30, 30))] * 101, "`content`: this model takes at most 100 pictures"),
        ([image(png(2_400, 30))] * 21, "`content`: of more than 20 pictures none may have"),
    ],
)
async def test_pictures_that_no_request_can_have_are_refused(
    blocks: list[Any], words: str, tmp_path: Path
) -> None:
    """By name, before the provider is asked."""
    async with open_world(tmp_path, default_model=SONNET_45) as world, world.talk() as talk:
        (error,) = await talk.turn([*blocks, {"type": "text", "text": "What is it?"}])
        assert error["code"] == "INVALID_MESSAGE"
        assert error["message"].startswith(words)
        assert world.sent() == []
