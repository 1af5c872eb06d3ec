"""What a prompt weighs is learned from prompts that were billed once, and of text alone.

The reported case: one turn with three searches was billed four times its prompt, and from then on
every estimate of every session was four times too high. A public report of figures that are summed
over passes and taken for a prompt's size: strands-agents/harness-sdk 3568.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gateway.simulator import Reply, ReplyBlock, ReplyText, SimulatorSettings, WebFetch, WebSearch
from gateway.simulator.reply import CodeExecution, Raw
from tests.support import Frame, Talk, World, open_world

QUESTION = "What is known of tea, and of the people who drink it? " * 40
SEARCH = WebSearch("tea", (("https://tea.example/", "Tea"), ("https://cup.example/", "Cups")))
TOOLS = ("web_search", "web_fetch", "code_execution")
RATIO = SimulatorSettings(token_ratio=1.2)


async def asked(world: World, talk: Talk, *blocks: ReplyBlock, **fields: object) -> Frame:
    """The end of a turn that is answered with these blocks."""
    world.simulator.script(Reply(blocks=(*blocks, ReplyText("That is all."))))
    end: Frame = (await talk.turn(QUESTION, **fields))[-1]
    assert end["type"] == "chat.stream.end"
    return end


async def weighed(talk: Talk, session: str) -> tuple[int, object]:
    """What the next question of the session is estimated at, and what that rests on."""
    seen = await talk.ask("context.inspect", sessionId=session, content=QUESTION)
    return seen["totals"]["tokenEstimate"], seen["calibration"]


async def test_three_searches_leave_every_estimate_as_it_was(tmp_path: Path) -> None:
    """Now, and after the next start; and the session itself is estimated like any other."""
    async with (
        open_world(tmp_path, provider=RATIO, server_tools=TOOLS) as world,
        world.talk() as talk,
    ):
        quiet = (await talk.ask("session.create"))["sessionId"]
        once = await asked(world, talk, sessionId=quiet)
        before = await weighed(talk, quiet)
        busy = quiet
        for served in ((SEARCH,) * 3, (WebFetch("https://tea.example/"),)):
            busy = (await talk.ask("session.create"))["sessionId"]
            end = await asked(world, talk, *served, sessionId=busy)
            passes = 1 + len(served)
            assert end["usage"]["inputTokens"] > passes * once["usage"]["inputTokens"]
            assert await weighed(talk, quiet) == before
        code = CodeExecution("ls", stdout="tea\n")
        await asked(world, talk, code, sessionId=busy)
        assert await weighed(talk, quiet) == before
        inspected, _ = await weighed(talk, busy)
    async with (
        open_world(tmp_path, provider=RATIO, server_tools=TOOLS) as world,
        world.talk() as talk,
    ):
        assert (await weighed(talk, quiet))[1] == before[1]
        plain = await asked(world, talk, sessionId=busy)
        assert abs(inspected / plain["usage"]["inputTokens"] - 1) < 0.1


async def test_a_prompt_with_what_only_the_provider_can_read_teaches_nothing(
    tmp_path: Path,
) -> None:
    """Its searches are of a former turn: it was billed once, but for more than can be counted."""
    read = {"input_tokens": 40_000, "cache_read_input_tokens": 0, "cache_creation": None}
    async with open_world(tmp_path, server_tools=TOOLS) as world, world.talk() as talk:
        session = (await talk.ask("session.create"))["sessionId"]
        await asked(world, talk, SEARCH, sessionId=session)
        first, before = await weighed(talk, session)
        world.simulator.script(Reply(blocks=(ReplyText("Yes."),), usage=read))
        await talk.turn(QUESTION, sessionId=session)
        tokens, after = await weighed(talk, session)
        assert after == before
        assert tokens > 3 * first


async def test_what_is_encrypted_weighs_nothing(tmp_path: Path) -> None:
    """The text of search results, the place of a citation, and a page that came as a file."""
    pages = tuple((f"https://tea.example/{number}", "Tea") for number in range(3))
    sealed = {"encrypted_content": "gAAAA" * 20_000}
    found = [
        {"type": "web_search_result", "url": url, "title": title, **sealed} for url, title in pages
    ]
    file = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0x" * 20_000}
    document = {"type": "document", "source": file, "title": "Tea"}
    page = {"type": "web_fetch_result", "url": "https://tea.example/9", "content": document}
    raw: list[dict[str, Any]] = [
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": found},
        {"type": "server_tool_use", "id": "srvtoolu_2", "name": "web_fetch", "input": {}},
        {"type": "web_fetch_tool_result", "tool_use_id": "srvtoolu_2", "content": page},
    ]
    async with open_world(tmp_path, server_tools=TOOLS) as world, world.talk() as talk:
        session = (await talk.ask("session.create"))["sessionId"]
        before, _ = await weighed(talk, session)
        await asked(world, talk, *(Raw(block) for block in raw), sessionId=session)
        after, _ = await weighed(talk, session)
        assert after < before + 1_500


async def test_a_turn_with_tools_leaves_other_models_as_they_were(tmp_path: Path) -> None:
    """They were never billed, and are taken to be like the plain turns of another one."""
    brew = {"name": "brew", "description": "Brews tea. " * 20, "inputSchema": {"type": "object"}}
    async with open_world(tmp_path, provider=RATIO) as world, world.talk() as talk:
        other = (await talk.ask("session.create", model="claude-opus-5"))["sessionId"]
        for _ in range(3):
            await asked(world, talk)
        before = await weighed(talk, other)
        world.simulator.script(Reply(blocks=(ReplyText("Yes."),)))
        await talk.turn("Tea?", tools=[brew])
        assert await weighed(talk, other) == before


async def test_one_odd_bill_leaves_every_estimate_as_it_was(tmp_path: Path) -> None:
    """It was 19 times too high for more than fourteen turns."""
    async with open_world(tmp_path, provider=RATIO) as world, world.talk() as talk:
        quiet = (await talk.ask("session.create"))["sessionId"]
        for _ in range(2):
            await asked(world, talk)
        before = await weighed(talk, quiet)
        odd = (await talk.turn('[[sim: usage={"input_tokens": 90000}]]'))[-1]
        assert odd["usage"]["inputTokens"] >= 90_000
        assert await weighed(talk, quiet) == before
