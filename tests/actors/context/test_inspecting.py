"""What is inspected is what is then sent."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from typing import Any

import pytest
from msgspec import UNSET
from trio.testing import MockClock

from actors.mailbox import Address
from actors.ports import AgentFiles, Skill
from protocol.client import ChatSend, ContextInspect, OutputFormat
from protocol.errors import GatewayError
from protocol.mail import BeginTurn, ExtendContext, WithdrawTurn
from protocol.provider.content import CitationsSwitch, DocumentBlock, PlainTextSource
from protocol.provider.features import BINDING_CONTROLS, CLEAR_TOOL_USES, INLINE_TOOLS
from protocol.request import Request
from protocol.server import ContextInspection
from tests.actors.context.talk import THOUGHTFUL, Talk, answer, declared, results
from tests.actors.fakes import MODEL, open_world
from tests.protocol.entries import REBUILT, THOUGHT, call, result, search, text

PRICE = Decimal("0.000003")
SECTIONS = ("system_prompt", "response_format", "memory", "skills")


def texts(inspection: ContextInspection) -> dict[str, str]:
    """The text of each section."""
    return {one.name: one.content for one in inspection.sections}


def section(inspection: ContextInspection, name: str) -> Any:
    """The section of this name."""
    (found,) = (one for one in inspection.sections if one.name == name)
    return found


def shown(body: dict[str, Any], own: int) -> dict[str, str]:
    """What the sections of a request are to show, taken from its body."""
    found = dict.fromkeys((*SECTIONS, "tools", "history", "user_message"), "")
    for block in body.get("system", []):
        said = block["text"]
        name = {"# Memo": "memory", "# Skil": "skills", "# Resp": "response_format"}.get(said[:6])
        found[name or "system_prompt"] += said
    if "tools" in body:
        found["tools"] += _json(body["tools"])
    messages = body["messages"]
    for message in messages:
        for block in message["content"] if message["role"] == "system" else []:
            said = block.get("text")
            if said is None:
                found["tools"] += _json(block)
                continue
            subject = said.strip().split(" ha")[0].split(" are")[0].split(" is")[0]
            found[_SUBJECTS[subject]] += said
    history = [message for message in messages[:own] if message["role"] != "system"]
    found["history"] = _json(history) if history else ""
    (block,) = messages[own]["content"]
    found["user_message"] = block["text"]
    return found


_SUBJECTS = {
    "Your general instructions": "system_prompt",
    "Your memory": "memory",
    "The list of your skills": "skills",
}


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


async def test_the_sections_are_the_whole_request(autojump_clock: MockClock) -> None:
    """Turn by turn: also with announcements, a breakpoint, a search taken out, a new epoch."""
    async with open_world(response_format=True) as world:
        talk = Talk(world)
        await talk.turn("first", tools=[declared("brew")])

        async def check(content: str, *said: Any, **fields: Any) -> None:
            inspection = await talk.inspect(content=content)
            built = await talk.begin(content)
            found = texts(inspection)
            found.pop("provider_overhead", None)
            assert found == shown(talk.body, built.prompt.own_from)
            weights = {one.name: (one.byte_count, one.token_estimate) for one in built.weights}
            assert weights == {
                one.name: (one.byte_count, one.token_estimate) for one in inspection.sections
            }
            assert {one.name: len(one.content.encode()) for one in inspection.sections} == {
                one.name: one.byte_count for one in inspection.sections
            }
            assert inspection.totals.token_estimate == built.prompt.token_estimate
            assert inspection.totals.cost_estimate == built.cost_estimate
            await talk.end(*(said or (THOUGHTFUL,)), **fields)

        await check("plain")
        world.library.files["default"] = AgentFiles("Tea ☕.", (Skill("brew", "Brews."),))
        await check("announced", answer(*[text(f"{number}") for number in range(30)]))
        await check("far away")
        world.library.files["default"] = AgentFiles("", ())
        world.tools.offers("look")
        await check("withdrawn", answer(text("a"), search()))
        await check("mended")
        await check("mismatched", THOUGHTFUL, mismatched=True)
        await check("anew")


async def test_what_is_inspected_is_told_to_nobody(autojump_clock: MockClock) -> None:
    """Neither to the session nor to its next request."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.turn("1")
        world.library.files["default"] = AgentFiles("Tea.", ())
        before = (talk.stored, [*talk.entries], talk.heads)
        for fields in ({}, {"content": "2"}, {"content": "2", "model": REBUILT}):
            await talk.inspect(**fields)
        assert (talk.stored, talk.entries, talk.heads) == before
        assert await talk.is_as_stored()
        await talk.turn("2")
        assert len(talk.messages) == 4


async def test_an_announcement_is_shown_in_its_section(autojump_clock: MockClock) -> None:
    """Behind what the head says, which it supersedes, as soon as it is to be told."""
    async with open_world() as world:
        world.library.files["default"] = AgentFiles("Tea.", ())
        talk = Talk(world)
        await talk.turn("1", tools=[declared("brew")])
        inspection = await talk.inspect(content="2")
        assert {one.superseded for one in inspection.sections} == {UNSET}
        world.library.files["default"] = AgentFiles("Coffee.", ())
        world.tools.offers("look")
        inspection = await talk.inspect(content="2")
        memory, tools = section(inspection, "memory"), section(inspection, "tools")
        assert memory.content.startswith("# Memory\n\nTea.\n\nYour memory has changed.")
        assert memory.content.endswith("# Memory\n\nCoffee.")
        assert memory.superseded == len("# Memory\n\nTea.")
        assert '"type":"tool_addition"' in tools.content
        assert tools.superseded is UNSET
        await talk.turn("2")
        again = section(await talk.inspect(), "memory")
        assert (again.content, again.superseded) == (memory.content, memory.superseded)


async def test_for_an_older_model_nothing_is_superseded(autojump_clock: MockClock) -> None:
    """It gets the latest alone."""
    async with open_world() as world:
        world.library.files["default"] = AgentFiles("Tea.", ())
        talk = Talk(world)
        await talk.turn("1")
        world.library.files["default"] = AgentFiles("Coffee.", ())
        await talk.turn("2")
        memory = section(await talk.inspect(model=REBUILT), "memory")
        assert (memory.content, memory.superseded) == ("# Memory\n\nCoffee.", UNSET)


async def test_what_was_announced_is_remembered_by_the_provider(
    autojump_clock: MockClock,
) -> None:
    """Once it was sent: then the section is known as a whole again."""
    async with open_world() as world:
        world.library.files["default"] = AgentFiles("T" * 600, ())
        talk = Talk(world)
        await talk.turn("1")
        world.library.files["default"] = AgentFiles("C" * 600, ())
        built = await talk.begin("2")
        await talk.end(THOUGHTFUL, billed=built.prompt.counted_tokens)
        inspection = await talk.inspect(content="3")
        memory, history = section(inspection, "memory"), section(inspection, "history")
        assert memory.token_estimate > 1_200
        assert (memory.cached, memory.cached_tokens) == (True, memory.token_estimate)
        assert history.cached_tokens == len("1" + "Hm.\nSo." + "2")
        assert section(inspection, "user_message").cached_tokens == 0


async def test_the_providers_own_count_is_of_the_request_that_is_sent(
    autojump_clock: MockClock,
) -> None:
    """With what is announced, and the betas that it needs."""
    async with open_world() as world:
        counted: list[tuple[bytes, Any]] = []
        count_tokens = world.model.count_tokens

        async def count(body: bytes, betas: Any = ()) -> int:
            counted.append((body, betas))
            return await count_tokens(body, betas)

        world.model.count_tokens = count  # type: ignore[method-assign]
        talk = Talk(world)
        await talk.turn("1")
        world.tools.offers("look")
        inspection = await talk.inspect(content="2", exact=True)
        assert inspection.exact_tokens == inspection.totals.token_estimate == 77
        await talk.begin("2")
        ((body, betas),) = counted
        assert json.loads(body) == talk.body
        assert betas == talk.prompts[-1].betas == (BINDING_CONTROLS, INLINE_TOOLS)


async def test_what_the_provider_will_clear_is_told(autojump_clock: MockClock) -> None:
    """The sections have what is left."""
    async with open_world(max_tokens=100) as world:
        world.model.window, world.model.edits = 40_000, (CLEAR_TOOL_USES,)
        world.tools.offers("brew")
        talk = Talk(world)
        await talk.begin("1")
        for number in range(5):
            name = f"c{number}"
            await talk.extend(answer(call(name)), results(result(name, "x" * 7_000)))
        await talk.end(answer(text("So.")))
        inspection = await talk.inspect(content="2")
        context = inspection.context
        assert context is not UNSET
        assert context.cleared_tool_uses == 2
        assert context.cleared_tokens == pytest.approx(2 * 7_000, abs=200)
        history = section(inspection, "history")
        assert history.token_estimate == pytest.approx(3 * 7_000, abs=900)
        assert history.byte_count > 5 * 7_000


@pytest.mark.parametrize("answers", [3, 4, 5, 6])
async def test_what_comes_before_the_newly_cleared_is_read_from_the_cache(
    answers: int, autojump_clock: MockClock
) -> None:
    """The prompt is another one from there on, and is to be paid as if it were new."""
    async with open_world(max_tokens=100) as world:
        world.model.window, world.model.edits = 40_000, (CLEAR_TOOL_USES,)
        world.tools.offers("brew")
        talk = Talk(world)
        await talk.begin("x" * 600, max_cost=9.0)
        for number in range(answers):
            name, billed = f"c{number}", talk.prompts[-1].token_estimate
            await talk.extend(answer(call(name)), results(result(name, "x" * 7_000)), billed=billed)
        former, latest = talk.prompts[-2:]
        kept = former.token_estimate if answers < 5 else 1_050
        assert latest.likely_cost is not None
        whole = latest.token_estimate * PRICE * Decimal("1.25")
        read = (whole - latest.likely_cost) / (PRICE * Decimal("1.15"))
        assert float(read) == pytest.approx(kept, abs=400)


@pytest.mark.parametrize(("size", "caching"), [(600, True), (600, False), (400, True)])
async def test_what_the_former_request_had_is_read_from_the_cache(
    size: int, caching: bool, autojump_clock: MockClock
) -> None:
    """At a tenth of the price, if it was long enough; what is new is written, at a quarter more."""
    async with open_world(prompt_caching=caching) as world:
        talk = Talk(world)
        built = await talk.begin("x" * size, max_cost=9.0)
        billed = built.prompt.counted_tokens
        prompt = await talk.extend(answer(call()), results(result("c", "x" * 600)), billed=billed)
        assert prompt.token_estimate == prompt.counted_tokens
        read, written = (Decimal("0.1"), Decimal("1.25")) if caching else (1, 1)
        if billed < 512:  # too short to be remembered
            read = written
        new = prompt.token_estimate - billed
        assert prompt.likely_cost == PRICE * (billed * read + new * written)


async def test_behind_results_that_nobody_answered_thinking_may_begin_anew(
    autojump_clock: MockClock,
) -> None:
    """A few words close the answer that called the tools: the next one may think in a budget."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.begin("1", model="claude-haiku-4-5", tools=[declared("brew")])
        await talk.extend(answer(call()), results(result()))
        await talk.end()
        await talk.turn("2")
        assert talk.body["thinking"]["type"] == "enabled"
        assert talk.messages[-2:] == [("assistant", "[There was no answer.]"), ("user", "2")]


@pytest.mark.parametrize("begins", [(THOUGHT,), (), (text("Look."),)])
async def test_who_calls_without_a_thought_goes_on_without_a_budget(
    begins: tuple[Any, ...], autojump_clock: MockClock
) -> None:
    """The provider refuses it; then its cache is lost, and the estimate knows."""
    async with open_world() as world:
        talk = Talk(world)
        tools = [declared("brew")]
        built = await talk.begin("x" * 5_000, model="claude-haiku-4-5", tools=tools, max_cost=9.0)
        billed = built.prompt.counted_tokens
        said = (answer(*begins, call()), results(result()))
        first = await talk.extend(*said, billed=billed)
        kinds = [talk.body["thinking"]["type"]]
        said = (answer(call("d")), results(result("d")))
        second = await talk.extend(*said, billed=first.token_estimate)
        kinds.append(talk.body["thinking"]["type"])
    costs = [(one.likely_cost or 0) / (one.token_estimate * PRICE) for one in (first, second)]
    thinks = begins == (THOUGHT,)
    assert kinds == ["enabled" if thinks else "disabled"] * 2
    assert [cost < Decimal("0.3") for cost in costs] == [thinks, True]


async def test_no_document_is_cited_in_json(autojump_clock: MockClock) -> None:
    """Neither one of this message nor one of a former, and it is shown so as well."""
    document = DocumentBlock(PlainTextSource("text/plain", "x"), citations=CitationsSwitch(True))
    wanted = OutputFormat({"type": "string"})
    async with open_world() as world:
        talk = Talk(world)
        await talk.turn([document])
        for ask in (talk.begin, talk.inspect):
            with pytest.raises(GatewayError, match="no citations in JSON"):
                await ask(content="?", output_format=wanted)


async def test_pictures_that_a_tool_answers_are_weighed_apart(autojump_clock: MockClock) -> None:
    """As those of the user."""
    picture = {"type": "image", "source": {"type": "base64", "data": "x" * 999}}
    async with open_world() as world:
        talk = Talk(world)
        built = await talk.begin("1", tools=[declared("brew")])
        assert (built.attached.pictures, built.prompt.media_tokens) == (0, 0)
        step = answer(THOUGHT, call()), results(result("c", [picture]))
        request = ExtendContext(turn=talk.row, at=0, messages=[*step])
        prompt = await world.context_box.ask(request)
        assert prompt.media_tokens == 1_000
        assert talk.entries[-1].media_tokens == 1_000
        assert talk.entries[-1].attached.pictures == 1
        assert talk.built is not None
        assert talk.built.model == MODEL


async def calls(box: Address, request: Request[Any]) -> int:
    """How often functions of ours are called until a request is answered."""
    count = 0

    def take(frame: Any, event: str, _: object) -> None:
        nonlocal count
        ours = frame.f_globals.get("__name__", "").startswith(("actors.", "protocol."))
        count += event == "call" and ours

    former = sys.getprofile()
    sys.setprofile(take)
    try:
        await box.ask(request)
    finally:
        sys.setprofile(former)
    return count


async def test_a_long_session_is_asked_and_inspected_in_as_many_calls(
    autojump_clock: MockClock,
) -> None:
    """Nothing goes through its turns: only their bytes make it dearer."""
    counts = []
    async with open_world() as world:
        talk = Talk(world)
        for length in (10, 40):
            while len(talk.prompts) < length:
                await talk.turn("Next?")
            send = ChatSend(id=f"r{length}", content="?", session_id=talk.stored.session_id)
            look = ContextInspect(id="i", content="?", session_id=talk.stored.session_id)
            begin = BeginTurn(turn_id=f"t{length}", send=send, created_at=1)
            await world.context_box.ask(look)  # it fills caches
            counts.append([await calls(world.context_box, one) for one in (look, begin)])
            await world.context_box.ask(WithdrawTurn(turn_id=begin.turn_id))
    assert counts[0] == counts[1]
    assert min(counts[0]) > 50
