"""What follows from what was said: when a request goes on from the former one, and when not."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from trio.testing import MockClock

from actors.ports import AgentFiles, Skill
from protocol.context import SentContext
from protocol.errors import GatewayError
from protocol.provider.content import Block, ImageBlock, UrlSource
from protocol.provider.features import (
    BINDING_CONTROLS,
    CLEAR_TOOL_USES,
    CONTEXT_EDITING,
    INLINE_TOOLS,
)
from protocol.records import SessionRecord
from tests.actors.context.talk import SO, THOUGHTFUL, Talk, answer, declared, results
from tests.actors.fakes import MODEL, World, open_world
from tests.protocol.entries import (
    REBUILT,
    SEALED,
    THOUGHT,
    call,
    entry,
    found,
    result,
    search,
    text,
)

APPENDED = "claude-opus-5"

MEMORY = "\n\nYour memory has changed. What follows replaces all that was said of it before.\n\n"
NO_ANSWER = "[There was no answer.]"


def remembers(world: World, memory: str) -> None:
    """The agent's memory file is this now."""
    world.library.files["default"] = AgentFiles(memory, ())


def told(talk: Talk) -> list[Any]:
    """What is announced in the latest request."""
    return [content for role, content in talk.messages if role == "system"]


def added(name: str, description: str = "Now.") -> Block:
    """A client's tool is announced."""
    definition = {
        "name": name,
        "description": description,
        "input_schema": {"type": "object"},
        "eager_input_streaming": True,
    }
    return {
        "type": "tool_addition",
        "tool": {"type": "tool_definition", "definition": definition},
    }


def removed(name: str) -> Block:
    """A tool is announced to be gone."""
    return {"type": "tool_removal", "tool": {"type": "tool_reference", "name": name}}


# --- announcing --------------------------------------------------------------------------------


async def test_what_has_changed_is_told_behind_the_question(autojump_clock: MockClock) -> None:
    """The request goes on from the former one, to the byte: its head stays as it was."""
    async with open_world(prompt_caching=False) as world:
        remembers(world, "Tea.")
        talk = Talk(world)
        await talk.turn("1")
        remembers(world, "Coffee.")
        await talk.turn("2")
        assert talk.messages == [
            ("user", "1"),
            ("assistant", SO),
            ("user", "2"),
            ("system", f"{MEMORY}# Memory\n\nCoffee."),
        ]
        assert talk.goes_on
        texts = [block["text"] for block in talk.body["system"]]
        assert texts == ["Be brief.", "# Memory\n\nTea."]
        await talk.turn("3")
        assert talk.goes_on
        assert (len(told(talk)), len(talk.heads)) == (1, 1)
        assert await talk.is_as_stored()


async def test_each_part_of_the_system_prompt_is_told_apart(autojump_clock: MockClock) -> None:
    """In one entry, part by part; what is gone is withdrawn."""
    async with open_world() as world:
        remembers(world, "Tea.")
        talk = Talk(world)
        await talk.turn("1")
        world.library.files["default"] = AgentFiles("", (Skill("brew", "Brews."),))
        await talk.turn("2", system="Pour.")
        (announced,) = [one for one in talk.entries if one.role == "system"]
        sections = announced.sections
        assert [one.section for one in sections] == ["system_prompt", "memory", "skills"]
        texts = [block["text"] for block in json.loads(announced.content)]
        assert texts[0].endswith("\n\nPour.")
        assert "Your memory is withdrawn" in texts[1]
        assert texts[2].endswith("- brew: Brews.")
        assert [one.byte_count for one in sections] == [len(one) for one in texts]
        assert announced.token_count == sum(one.token_count for one in sections)


async def test_tools_come_and_go_and_change(autojump_clock: MockClock) -> None:
    """With a beta, which every later request needs too."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.turn("1", tools=[declared("brew"), declared("sip")])
        assert INLINE_TOOLS not in talk.prompts[-1].betas
        await talk.turn("2", tools=[declared("brew", "Later."), declared("pour")])
        changes = [removed("sip"), added("brew", "Later."), added("pour")]
        assert told(talk) == [changes]
        await talk.turn("3")
        assert told(talk) == [changes]
        assert [tool["name"] for tool in talk.body["tools"]] == ["brew", "sip"]
        assert INLINE_TOOLS in talk.prompts[-1].betas
        assert await talk.is_as_stored()


async def test_tools_are_told_where_there_were_none(autojump_clock: MockClock) -> None:
    """The head stays without any; the request counts as one with tools while there is one."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.turn("1")
        await talk.turn("2", tools=[declared("brew")])
        await talk.turn("3", tools=[])
        assert "tools" not in talk.body
        assert told(talk) == [[added("brew")], [removed("brew")]]
        assert [prompt.has_tools for prompt in talk.prompts] == [False, True, False]


async def test_a_model_that_has_it_is_asked_for_arguments_as_they_are_written() -> None:
    """Not for the provider's own tools, and no model is asked that nobody knows."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.turn("1", tools=[declared("brew")], server_tools=["web_search"])
        search, brew = talk.body["tools"]
        assert brew["eager_input_streaming"] is True
        assert "eager_input_streaming" not in search
        await talk.turn("2", model="claude-3-haiku-20240307")
        assert all("eager_input_streaming" not in tool for tool in talk.body["tools"])


async def test_a_server_that_is_down_keeps_its_tools(autojump_clock: MockClock) -> None:
    """Nothing is told, and nobody runs them; what it offers once it is up again is told."""
    async with open_world(prompt_caching=False) as world:
        world.tools.offers("look")
        talk = Talk(world)
        await talk.turn("1")
        world.tools.tools.clear()
        world.tools.down = {"look"}
        built = await talk.begin("2")
        assert (told(talk), built.tools, talk.goes_on) == ([], [], True)
        await talk.end(THOUGHTFUL)
        world.tools.down.clear()
        world.tools.offers("see")
        await talk.turn("3")
        ((gone, came),) = told(talk)
        assert gone == removed("look")
        assert came["tool"]["definition"]["name"] == "see"


async def test_before_the_first_answer_the_head_is_simply_made_anew(
    autojump_clock: MockClock,
) -> None:
    """No thinking is bound to it yet; the question stays."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.begin("1")
        await talk.end()
        remembers(world, "Tea.")
        await talk.turn("2")
        assert talk.messages == [("user", "1"), ("user", "2")]
        assert talk.body["system"][1]["text"] == "# Memory\n\nTea."
        assert [head.epoch for head in talk.heads] == [0]
        assert talk.prompts[-1].context is None
        assert await talk.is_as_stored()


async def test_an_announcement_without_an_answer_gets_a_few_words(
    autojump_clock: MockClock,
) -> None:
    """The provider takes no question behind it."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.turn("1")
        remembers(world, "Tea.")
        await talk.begin("2")
        await talk.end()
        await talk.turn("3")
        assert [content for role, content in talk.messages if role != "system"] == [
            *("1", SO, "2", NO_ANSWER, "3"),
        ]
        assert [one.turn_id for one in talk.entries[2:5]] == [talk.entries[2].turn_id] * 3
        assert await talk.is_as_stored()


async def test_a_search_that_has_no_result_is_taken_out(autojump_clock: MockClock) -> None:
    """What stands in its place is stored behind it, and people are shown that alone."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.turn("1", answer(THOUGHT, text("So."), search(), THOUGHT, text("And.")))
        await talk.turn("2")
        assert talk.messages[1:] == [("assistant", ["...", "So.", "And."]), ("user", "2")]
        assert talk.statuses == [
            ("user", "complete"),
            ("assistant", "replaced"),
            ("assistant", "complete"),
            ("user", "complete"),
            ("assistant", "complete"),
        ]
        assert await talk.is_as_stored()


# --- what is told with a request ---------------------------------------------------------------

SEARCHED = answer(search(), found("s", SEALED), text("So."))


async def test_a_prompt_says_that_only_the_provider_can_read_some_of_it(
    autojump_clock: MockClock,
) -> None:
    """As long as that is sent, after a restart too; not of an answer that is sent no more."""
    async with open_world() as world:
        talk = Talk(world)
        assert not (await talk.turn('{"encrypted_content":1}')).is_opaque
        assert not (await talk.turn("1")).is_opaque
        await talk.begin("2")
        await talk.end(SEARCHED, status="refused", unsent="turn")
        assert not (await talk.turn("3", SEARCHED)).is_opaque
        assert (await talk.turn("4")).is_opaque
        talk.held().forget()
        assert (await talk.turn("5", model=REBUILT)).is_opaque
        talk.held().forget()
        world.model.window = 10_000
        cut = await talk.turn("x" * 1_500, model=APPENDED, max_tokens=8_300)
        assert (cut.is_opaque, [role for role, _ in talk.messages]) == (False, ["user"])


async def test_a_prompt_says_how_long_its_answer_may_be(autojump_clock: MockClock) -> None:
    """And whether the provider's own tools add to it, those too that were told later."""
    async with open_world() as world:
        talk = Talk(world)
        first = await talk.turn("1", tools=[declared("brew")], max_tokens=300)
        assert (first.max_tokens, first.has_tools, first.has_served_tools) == (300, True, False)
        second = await talk.turn("2", server_tools=["web_search"])
        assert second.max_tokens == talk.body["max_tokens"]
        assert second.has_served_tools
        third = await talk.turn("3", server_tools=[])
        assert (third.has_tools, third.has_served_tools) == (True, False)


# --- three kinds of models ---------------------------------------------------------------------


async def test_one_session_serves_each_kind_of_model(autojump_clock: MockClock) -> None:
    """What cannot be told to one is in its head; the others are told of it when they come."""
    async with open_world() as world:
        remembers(world, "1.")
        talk = Talk(world)
        await talk.turn("a")
        remembers(world, "2.")
        await talk.turn("b", model=REBUILT)
        assert (told(talk), talk.body["system"][1]["text"]) == ([], "# Memory\n\n2.")
        remembers(world, "3.")
        await talk.turn("c")
        assert (told(talk), talk.body["system"][1]["text"]) == ([], "# Memory\n\n3.")
        await talk.turn("d", model=APPENDED)
        assert told(talk) == [f"{MEMORY}# Memory\n\n3."]
        assert talk.body["system"][1]["text"] == "# Memory\n\n1."
        await talk.turn("e", model=MODEL)
        assert len(told(talk)) == 1
        await talk.turn("f", model=REBUILT)
        assert (told(talk), talk.body["system"][1]["text"]) == ([], "# Memory\n\n3.")
        assert [head.epoch for head in talk.heads] == [0]
        assert [content for _, content in talk.messages[:-1:2]] == [*"abcde"]
        assert [content for _, content in talk.messages[1::2]] == [SO] * 5
        assert await talk.is_as_stored()


@pytest.mark.parametrize(
    ("model", "former", "betas"),
    [(MODEL, "So.", True), (APPENDED, SO, False), (REBUILT, SO, False)],
)
async def test_thinking_from_before_an_epoch_is_left_out_where_it_is_checked(
    model: str, former: Any, betas: bool, autojump_clock: MockClock
) -> None:
    """And there alone the provider is asked to drop what does not fit."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.turn("1", model=model)
        await talk.begin("2")
        await talk.end(THOUGHTFUL, mismatched=True)
        await talk.turn("3")
        await talk.turn("4")
        assert answers(talk) == [former, former, SO]
        assert (BINDING_CONTROLS in talk.prompts[-1].betas) == betas
        guard = talk.body["thinking"].get("block_binding")
        assert guard == ({"prefix_mismatch_behavior": "drop_block"} if betas else None)


# --- new epochs --------------------------------------------------------------------------------


async def test_a_mismatch_begins_an_epoch_with_the_next_turn(autojump_clock: MockClock) -> None:
    """The one after that goes on; what was announced before is in the head."""
    async with open_world(prompt_caching=False) as world:
        talk = Talk(world)
        await talk.turn("1")
        remembers(world, "Tea.")
        await talk.begin("2")
        await talk.end(THOUGHTFUL, mismatched=True)
        await talk.turn("3")
        assert talk.messages == [
            *(("user", "1"), ("assistant", "So.")),
            *(("user", "2"), ("assistant", "So.")),
            ("user", "3"),
        ]
        assert talk.body["system"][1]["text"] == "# Memory\n\nTea."
        assert talk.prompts[-1].context == SentContext(
            left_out_turns=0, left_out_messages=0, epoch=1
        )
        await talk.turn("4")
        assert talk.goes_on
        assert talk.built is not None
        assert talk.built.prompt.context is None
        assert [head.epoch for head in talk.heads] == [0, 1]
        assert await talk.is_as_stored()


async def test_a_name_of_another_kind_of_tool_begins_an_epoch(autojump_clock: MockClock) -> None:
    """The provider would refuse to be told of it, also when the former one was removed."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.turn("1", server_tools=["web_search"])
        await talk.turn("2", server_tools=[])
        assert told(talk) == [[removed("web_search")]]
        await talk.turn("3", tools=[declared("web_search")])
        assert (told(talk), len(talk.heads)) == ([], 2)
        (tool,) = talk.body["tools"]
        assert (tool["name"], "type" in tool) == ("web_search", False)
        assert await talk.is_as_stored()


LIMIT = 4 * 16_000 / 8
"""Bytes that may be superseded where there is room for 16,000 tokens."""


async def superseding(world: World, *sizes: int) -> Talk:
    """A talk with a turn for each size that the memory has had."""
    world.model.window = 16_001
    talk = Talk(world)
    for number, size in enumerate(sizes):
        remembers(world, "x" * size)
        await talk.turn(f"{number}")
    return talk


async def test_too_much_that_is_superseded_begins_an_epoch(autojump_clock: MockClock) -> None:
    """An eighth of the room, at four bytes a token: the head says the latest alone."""
    async with open_world(prompt_caching=False, max_tokens=1) as world:
        talk = await superseding(world, 5_000, 3_000, 10)
        assert sum(talk.held().told.superseded.values()) > LIMIT
        assert (talk.goes_on, len(told(talk)), len(talk.heads)) == (True, 2, 1)
        await talk.turn("3")
        assert (told(talk), len(talk.heads)) == ([], 2)
        assert talk.body["system"][1]["text"] == "# Memory\n\n" + "x" * 10
        assert talk.messages[1] == ("assistant", "So.")
        assert talk.held().told.superseded == {}


async def test_no_epoch_begins_inside_a_turn_for_what_it_announced(
    autojump_clock: MockClock,
) -> None:
    """Its first step's thinking would be lost."""
    async with open_world(prompt_caching=False, max_tokens=1) as world:
        talk = await superseding(world, 9_000)
        remembers(world, "Short.")
        await talk.begin("1")
        assert sum(talk.held().told.superseded.values()) > LIMIT
        await talk.extend(answer(THOUGHT, call()), results(result()))
        assert (talk.goes_on, len(talk.heads)) == (True, 1)


async def test_a_session_of_older_days_begins_with_an_epoch(autojump_clock: MockClock) -> None:
    """It has no head: what its requests began with is not known."""
    async with open_world() as world:
        talk = Talk(world)
        talk.session_id = "old"
        world.store.sessions["old"] = SessionRecord(
            session_id="old",
            agent_id="default",
            model=MODEL,
            system=None,
            tools=None,
            title=None,
            created_at=1,
            last_active_at=1,
        )
        world.store.entries["old"] = [
            entry(0, "user", "1", "a"),
            entry(1, "assistant", [THOUGHT, text("So.")], "a"),
        ]
        built = await talk.begin("2")
        assert talk.messages == [("user", "1"), ("assistant", "So."), ("user", "2")]
        assert built.prompt.context == SentContext(left_out_turns=0, left_out_messages=0, epoch=0)
        assert await talk.is_as_stored()


# --- what fits ---------------------------------------------------------------------------------


def long(size: int) -> Any:
    """An answer of so many tokens."""
    return answer(THOUGHT, text("x" * (size - 4)))


async def test_a_full_window_is_cut_to_three_quarters_and_stays_cut(
    autojump_clock: MockClock,
) -> None:
    """The cut is stored: the next turns go on from there, also when the session is loaded."""
    async with open_world(prompt_caching=False, max_tokens=1, history_cache_bytes=0) as world:
        world.model.window = 1_001
        talk = Talk(world)
        prompts = [await talk.turn(f"{number}", long(260)) for number in range(4)]
        assert {prompt.context for prompt in prompts} == {None}
        await talk.turn("4", long(100))
        assert [content for role, content in talk.messages if role == "user"] == ["2", "3", "4"]
        cut = SentContext(left_out_turns=2, left_out_messages=4, epoch=1)
        assert talk.prompts[-1].context == cut
        assert talk.heads[-1].first == 4
        await talk.turn("5")
        assert talk.goes_on
        assert talk.prompts[-1].context == msgspec.structs.replace(cut, epoch=msgspec.UNSET)


async def test_inside_a_turn_older_turns_make_room_for_what_tools_answer(
    autojump_clock: MockClock,
) -> None:
    """The turn itself stays, whole, and its thinking too, which the provider is to drop itself."""
    async with open_world(prompt_caching=False, max_tokens=1) as world:
        world.model.window = 2_001
        talk = Talk(world)
        await talk.turn("1", long(900))
        await talk.turn("2", long(300))
        await talk.begin("3", tools=[declared("brew")])
        assert talk.prompts[-1].context is None
        prompt = await talk.extend(answer(THOUGHT, call("a")), results(result("a", "x" * 500)))
        assert prompt.context == SentContext(left_out_turns=1, left_out_messages=2, epoch=1)
        assert [role for role, _ in talk.messages] == [*["user", "assistant"] * 2, "user"]
        assert talk.messages[1] == ("assistant", "x" * 296)
        assert talk.messages[2:4] == [("user", "3"), ("assistant", ["...", call("a")])]
        assert prompt.own_from == 2
        assert await talk.is_as_stored()
        await talk.extend(answer(THOUGHT, call("b")), results(result("b")))
        assert talk.goes_on
        assert talk.messages[-2][1] == ["...", call("b")]


async def test_a_turn_that_outgrows_the_window_is_refused(autojump_clock: MockClock) -> None:
    """With what each section weighs; nothing of it is stored."""
    async with open_world(max_tokens=1) as world:
        world.model.window = 1_000
        talk = Talk(world)
        await talk.turn("1")
        await talk.begin("2")
        with pytest.raises(GatewayError, match="CONTEXT_TOO_LARGE") as caught:
            await talk.extend(answer(call()), results(result("c", "x" * 1_000)))
        weights = {one.name: one for one in caught.value.failure.sections or []}
        assert weights["history"].token_estimate == 0
        assert weights["user_message"].token_estimate > 1_000
        assert weights["system_prompt"].token_estimate == len("Be brief.")
        assert len(talk.entries) == 3
        assert await talk.is_as_stored()


async def test_what_was_mended_is_left_out_with_its_turn(autojump_clock: MockClock) -> None:
    """When only the question has room: the first message is a person's."""
    async with open_world(max_tokens=1) as world:
        world.model.window = 401
        talk = Talk(world)
        await talk.turn("1", answer(text("x" * 300), search()))
        built = await talk.begin("y" * 150)
        assert [role for role, _ in talk.messages] == ["user"]
        assert built.prompt.context == SentContext(left_out_turns=1, left_out_messages=2, epoch=1)
        assert [one.role for one in talk.entries] == ["user", "assistant", "assistant", "user"]
        assert await talk.is_as_stored()


async def test_what_the_provider_clears_makes_room_for_the_turn(
    autojump_clock: MockClock,
) -> None:
    """Six answers of 7,000 tokens in a window of 40,000: three of them are cleared."""
    async with open_world(max_tokens=100) as world:
        world.model.window, world.model.edits = 40_000, (CLEAR_TOOL_USES,)
        world.tools.offers("brew")
        talk = Talk(world)
        built = await talk.begin("1")
        assert CONTEXT_EDITING in built.prompt.betas
        for number in range(6):
            name = f"c{number}"
            await talk.extend(answer(call(name)), results(result(name, "x" * 7_000)))
        prompt = talk.prompts[-1]
        assert prompt.counted_tokens > 40_000
        assert prompt.token_estimate == pytest.approx(prompt.counted_tokens - 3 * 7_000, abs=400)
        context = prompt.context
        assert context is not None
        assert (context.left_out_turns, context.cleared_tool_uses) == (0, 3)
        assert talk.body["context_management"]["edits"][0]["trigger"]["value"] == 29_925


async def test_of_what_is_left_the_provider_may_clear_nothing(autojump_clock: MockClock) -> None:
    """The turns that are left out take the reason with them: nothing is said to be cleared."""
    async with open_world(max_tokens=100) as world:
        world.model.window, world.model.edits = 40_000, (CLEAR_TOOL_USES,)
        world.tools.offers("brew")
        talk = Talk(world)
        await talk.turn("x" * 22_000)
        await talk.begin("2")
        for number in range(4):
            name = f"c{number}"
            await talk.extend(answer(call(name)), results(result(name, "x" * 5_900)))
        prompt = talk.prompts[-1]
        context = prompt.context
        assert context is not None
        assert (context.left_out_turns, context.cleared_tool_uses) == (1, msgspec.UNSET)
        assert prompt.token_estimate >= prompt.counted_tokens > 23_000


# --- what the provider did not take ------------------------------------------------------------


async def test_a_request_that_was_too_long_is_made_shorter(autojump_clock: MockClock) -> None:
    """To three quarters of what there is room for, in a new epoch."""
    async with open_world() as world:
        talk = Talk(world)
        for number in range(4):
            await talk.turn(f"{number}", long(250))
        await talk.begin("4")
        await talk.renew(room=800)
        assert [content for role, content in talk.messages if role == "user"] == ["2", "3", "4"]
        assert talk.heads[-1].left_out_turns == 2
        assert talk.prompts[-1].token_estimate <= 600
        assert await talk.is_as_stored()


async def test_a_request_that_is_too_long_by_itself_is_weighed(autojump_clock: MockClock) -> None:
    """There is nothing to leave out."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.turn("1")
        await talk.begin("2" * 100)
        with pytest.raises(GatewayError, match="CONTEXT_TOO_LARGE") as caught:
            await talk.renew(room=100)
        assert caught.value.failure.sections
        assert len(talk.heads) == 1


@pytest.mark.parametrize("model", [MODEL, APPENDED, REBUILT])
async def test_what_was_said_before_and_refused_goes_without_any_thinking(
    model: str, autojump_clock: MockClock
) -> None:
    """Whatever the model; the turn's own stays until it is over, and then a checked one goes."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.turn("1", model=model)
        await talk.begin("2")
        await talk.extend(answer(THOUGHT, call()), results(result()))
        await talk.renew()
        assert answers(talk) == ["So.", ["...", call()]]
        assert talk.heads[-1].epoch == 1
        assert await talk.is_as_stored()
        await talk.end(THOUGHTFUL)
        await talk.turn("3")
        assert answers(talk)[0] == "So."
        assert answers(talk)[2] == ("So." if model == MODEL else SO)
        assert talk.heads[-1].epoch == (2 if model == MODEL else 1)


def answers(talk: Talk) -> list[Any]:
    """What the model said, in the latest request."""
    return [content for role, content in talk.messages if role == "assistant"]


async def test_a_turn_with_a_message_that_is_refused_is_left_out(
    autojump_clock: MockClock,
) -> None:
    """A picture that is gone, for instance. It stays for people; the others go on."""
    async with open_world() as world:
        talk = Talk(world)
        for number in range(3):
            await talk.turn(f"{number}")
        await talk.begin("3")
        await talk.renew(without=2)
        assert talk.messages == [
            *(("user", "0"), ("assistant", "So.")),
            *(("user", "2"), ("assistant", "So.")),
            ("user", "3"),
        ]
        assert [status for _, status in talk.statuses[2:4]] == ["refused", "refused"]
        assert await talk.is_as_stored()
        await talk.end(THOUGHTFUL)
        await talk.turn("4")
        assert [content for role, content in talk.messages if role == "user"] == ["0", *"234"]
        assert await talk.is_as_stored()


async def test_where_some_attachment_is_refused_the_latest_turn_with_one_goes(
    autojump_clock: MockClock,
) -> None:
    """The provider does not say which; without any it must have been something else."""
    async with open_world() as world:
        talk = Talk(world)
        picture = ImageBlock(UrlSource("https://a.example/gone.png"))
        for content in ("0", [picture], "2"):
            await talk.turn(content)
        await talk.begin("3")
        await talk.renew(attachment=True)
        asked = [content for role, content in talk.messages if role == "user"]
        assert asked == ["0", "2", "3"]
        with pytest.raises(GatewayError, match="this session has none"):
            await talk.renew(attachment=True)


async def test_an_epoch_that_was_of_no_use_is_undone(autojump_clock: MockClock) -> None:
    """Its turn is not sent again, so what was valid before it still is."""
    async with open_world(prompt_caching=False) as world:
        talk = Talk(world)
        await talk.turn("1")
        before = talk.prompts[-1]
        await talk.begin("2")
        await talk.renew()
        assert talk.messages[1] == ("assistant", "So.")
        await talk.end(unsent="turn")
        await talk.turn("3")
        assert talk.messages == [("user", "1"), ("assistant", SO), ("user", "3")]
        assert talk.prompts[-1].body.startswith(before.body[:-2])
        assert talk.prompts[-1].context is None
        assert await talk.is_as_stored()


async def test_an_epoch_that_leaves_out_what_is_refused_is_not_undone(
    autojump_clock: MockClock,
) -> None:
    """The former one had it."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.turn("1")
        await talk.turn("2")
        await talk.begin("3")
        await talk.renew(without=0)
        await talk.end(unsent="turn")
        await talk.turn("4")
        assert talk.messages == [("user", "2"), ("assistant", "So."), ("user", "4")]
        assert await talk.is_as_stored()


async def test_thinking_that_cannot_be_dropped_gives_way_inside_a_turn(
    autojump_clock: MockClock,
) -> None:
    """The turn's own thoughts do not fit in the new epoch, and none may be left out by us."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.turn("1")
        await talk.begin("2", thinking="off")
        assert talk.body["thinking"] == {"type": "between_tools"}
        await talk.extend(answer(THOUGHT, call()), results(result()))
        assert talk.body["thinking"] == {"type": "between_tools"}
        await talk.renew()
        dropping = {"prefix_mismatch_behavior": "drop_block"}
        assert talk.body["thinking"] == {"type": "adaptive", "block_binding": dropping}
        assert BINDING_CONTROLS in talk.prompts[-1].betas
