"""What binds simulated thinking to its conversation, and what becomes of thinking that is not."""

import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import msgspec
import pytest
from anthropic import AsyncAnthropic
from anthropic.types import Message

from gateway.simulator import (
    RedactedThinking,
    Reply,
    ReplyText,
    ReplyThinking,
    Simulator,
    SimulatorSettings,
    ToolUse,
    WebSearch,
    open_simulator,
    prefix_mismatch,
)
from gateway.simulator.signature import Signer
from tests.sdk import client_of

SONNET = "claude-sonnet-5-5"
OPUS = "claude-opus-5-5"
FABLE = "claude-fable-5-1"
LATEST = "claude-fable-5-2"
OLDER = "claude-opus-5"
CONTROLS = "thinking-binding-controls-2026-08-01"
ELSEWHERE = "bound to a different conversation"
TOOL = {"name": "f", "description": "It does.", "input_schema": {"type": "object"}}
TOOL_2 = {"name": "g", "description": "It does, too.", "input_schema": {"type": "object"}}
HEAD: dict[str, Any] = {"system": "Be brief.", "tools": [TOOL, TOOL_2]}


def drops(behavior: str | None = "drop_block", kind: str = "adaptive") -> dict[str, Any]:
    """Thinking that is shown, and what becomes of a mismatch."""
    binding = {} if behavior is None else {"prefix_mismatch_behavior": behavior}
    return {"type": kind, "display": "summarized", "block_binding": binding}


async def ask(
    client: AsyncAnthropic, messages: list[Any], *, betas: str = "", **body: Any
) -> Message:
    """Stream an answer to exactly this."""
    request = {"model": SONNET, "max_tokens": 4000, "messages": messages, **body}
    headers = {"anthropic-beta": betas} if betas else {}
    async with client.messages.stream(**request, extra_headers=headers) as stream:
        return await stream.get_final_message()


def told(message: Message) -> Any:
    """The message's `input_transformations`; None when it has none."""
    return message.to_dict().get("input_transformations")


def dropped(*paths: str, reason: str = "prefix", kind: str = "thinking_dropped") -> list[Any]:
    return [{"type": kind, "path": path, "reason": f"{reason}_binding_mismatch"} for path in paths]


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def says(text: str) -> dict[str, Any]:
    return user({"type": "text", "text": text})


def result(call: str) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call, "content": "ok"}


async def converse(
    simulator: Simulator,
    client: AsyncAnthropic,
    turns: int = 3,
    *,
    history: list[Any] | None = None,
    **body: Any,
) -> list[Any]:
    """The messages of so many turns, each answered after a thought, and another question."""
    messages = copy.deepcopy(history or [says("Question 0")])
    for at in range(turns):
        simulator.script(
            Reply(blocks=(ReplyThinking(f"Thought {at}. " * 30), ReplyText(f"Answer {at}.")))
        )
        answer = await ask(client, messages, **(HEAD | {"thinking": SHOWN} | body))
        content = [block.to_dict() for block in answer.content]
        messages += [{"role": "assistant", "content": content}, says(f"Question {at + 1}")]
    return messages


SHOWN = {"type": "adaptive", "display": "summarized"}


def without(messages: list[Any], *places: int) -> list[Any]:
    """The messages without the thinking of these."""
    return [
        {**m, "content": m["content"][1:]} if at in places else m for at, m in enumerate(messages)
    ]


async def test_a_conversation_that_only_grows_is_taken(
    simulator: Simulator, client: AsyncAnthropic
) -> None:
    """Every block of thinking goes back as it came, and nothing is said about it."""
    messages = await converse(simulator, client)
    answer = await ask(client, messages, **HEAD, betas=CONTROLS)
    assert told(answer) == []


async def test_without_the_beta_nothing_is_told(
    simulator: Simulator, client: AsyncAnthropic
) -> None:
    """`input_transformations` is there only for a request that names the beta."""
    assert told(await ask(client, await converse(simulator, client, 1), **HEAD)) is None


SAME: dict[str, dict[str, Any]] = {
    "nothing": {},
    "tools-in-another-order": {"tools": [TOOL_2, TOOL]},
    "a-marked-tool": {"tools": [TOOL, {**TOOL_2, "cache_control": {"type": "ephemeral"}}]},
    "keys-in-another-order": {"tools": [dict(reversed(TOOL.items())), TOOL_2]},
    "a-deferred-tool": {"tools": [TOOL, TOOL_2, {**TOOL, "name": "h", "defer_loading": True}]},
    "effort": {"output_config": {"effort": "low"}},
    "max-tokens": {"max_tokens": 100},
    "tool-choice": {"tool_choice": {"type": "none"}},
    "metadata": {"metadata": {"user_id": "someone"}},
    "thinking": {"thinking": {"type": "between_tools"}},
    "automatic-caching": {"cache_control": {"type": "ephemeral"}},
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
async def test_what_is_not_compared_may_change(
    simulator: Simulator, client: AsyncAnthropic, change: dict[str, Any]
) -> None:
    """Markers, orders, and all that is not system, tools and messages."""
    messages = await converse(simulator, client)
    assert told(await ask(client, messages, **(HEAD | change), betas=CONTROLS)) == []


OTHER: dict[str, dict[str, Any]] = {
    "system": {"system": "Be long."},
    "no-system": {"system": []},
    "system-as-a-block": {"system": [{"type": "text", "text": "Be brief."}]},
    "a-tool-less": {"tools": [TOOL]},
    "a-tool-more": {"tools": [TOOL, TOOL_2, {**TOOL, "name": "h"}]},
    "a-tool-s-text": {"tools": [TOOL, {**TOOL_2, "description": "Another."}]},
}


@pytest.mark.parametrize("change", OTHER.values(), ids=OTHER)
async def test_another_head_is_another_conversation(
    simulator: Simulator, client: AsyncAnthropic, change: dict[str, Any]
) -> None:
    """The system prompt and the set of tools stand before every block."""
    messages = await converse(simulator, client)
    with pytest.raises(anthropic.BadRequestError, match=ELSEWHERE) as raised:
        await ask(client, messages, **(HEAD | change))
    assert raised.value.type == "invalid_request_error"
    assert "messages.1.content.0: Invalid `signature` in `thinking` block." in raised.value.message
    assert f"requires the `{CONTROLS}` value" in raised.value.message


def _edited(messages: list[Any], how: str) -> list[Any]:
    """The messages with one change in the first turn or the second."""
    match how:
        case "question":
            return [says("Another"), *messages[1:]]
        case "string":
            return [{"role": "user", "content": "Question 0"}, *messages[1:]]
        case "block":
            return [user(*messages[0]["content"], *says("More")["content"]), *messages[1:]]
        case "merged":
            return [*messages[:2], says("x"), messages[2], *messages[3:]]
        case "answer":
            spoken = [*messages[1]["content"][:1], {"type": "text", "text": "Another."}]
            return [messages[0], {"role": "assistant", "content": spoken}, *messages[2:]]
        case "removed":
            return messages[2:]
        case _:
            raise AssertionError(how)


@pytest.mark.parametrize(
    ("how", "paths"),
    [
        ("question", (1, 3, 5)),
        ("string", (1, 3, 5)),
        ("block", (1, 3, 5)),
        ("merged", (4, 6)),
        ("answer", (3, 5)),
        ("removed", (1, 3)),
    ],
)
async def test_an_edit_costs_the_thinking_after_it(
    simulator: Simulator, client: AsyncAnthropic, how: str, paths: tuple[int, ...]
) -> None:
    """What stands before the edit stays; each later block is dropped, told and not billed."""
    messages = _edited(await converse(simulator, client), how)
    answer = await ask(client, messages, **HEAD, thinking=drops(), betas=CONTROLS)
    assert told(answer) == dropped(*(f"messages.{at}.content.0" for at in paths))
    bare = await ask(client, without(messages, *paths), **HEAD, thinking=drops(), betas=CONTROLS)
    assert bare.usage.input_tokens == answer.usage.input_tokens
    with pytest.raises(anthropic.BadRequestError, match=f"messages.{paths[0]}.content.0"):
        await ask(client, messages, **HEAD)


@pytest.mark.parametrize("gone", [(1,), (1, 3), (5,), (3, 5), (1, 3, 5), (1, 5)])
async def test_thinking_may_go_from_either_end(
    simulator: Simulator, client: AsyncAnthropic, gone: tuple[int, ...]
) -> None:
    """What is kept is an unbroken run, so it stays."""
    messages = without(await converse(simulator, client), *gone)
    answer = await ask(client, messages, **HEAD, thinking=drops(), betas=CONTROLS)
    assert told(answer) == []


async def test_a_gap_costs_all_thinking_after_it(
    simulator: Simulator, client: AsyncAnthropic
) -> None:
    """A block left out between others invalidates every later one."""
    messages = without(await converse(simulator, client, 4), 3)
    answer = await ask(client, messages, **HEAD, thinking=drops(), betas=CONTROLS)
    assert told(answer) == dropped("messages.5.content.0", "messages.7.content.0")


@pytest.mark.parametrize("gone", [(1,), (3,), (1, 3)])
async def test_thinking_that_was_left_out_stays_out(
    simulator: Simulator, client: AsyncAnthropic, gone: tuple[int, ...]
) -> None:
    """Put back, it invalidates what was made while it was gone."""
    whole = await converse(simulator, client, 2)
    later = await converse(simulator, client, 1, history=without(whole, *gone))
    assert told(await ask(client, later, **HEAD, betas=CONTROLS)) == []
    restored = [*whole, *later[len(whole) :]]
    answer = await ask(client, restored, **HEAD, thinking=drops(), betas=CONTROLS)
    assert told(answer) == dropped("messages.5.content.0")


async def test_thinking_that_has_moved_is_dropped(
    simulator: Simulator, client: AsyncAnthropic
) -> None:
    """Two blocks that changed places are both strangers where they are."""
    messages = await converse(simulator, client, 2)
    first, second = messages[1]["content"][0], messages[3]["content"][0]
    messages[1]["content"][0], messages[3]["content"][0] = second, first
    answer = await ask(client, messages, **HEAD, thinking=drops(), betas=CONTROLS)
    assert told(answer) == dropped("messages.1.content.0", "messages.3.content.0")


async def test_what_follows_dropped_thinking_is_valid(
    simulator: Simulator, client: AsyncAnthropic
) -> None:
    """After an edit the old blocks are dropped each time, and those made since then stay."""
    edited = _edited(await converse(simulator, client, 2), "question")
    later = await converse(simulator, client, 1, history=edited, thinking=drops(), betas=CONTROLS)
    answer = await ask(client, later, **HEAD, thinking=drops(), betas=CONTROLS)
    assert told(answer) == dropped("messages.1.content.0", "messages.3.content.0")


async def test_an_answer_s_own_blocks_stand_before_its_later_thinking(
    simulator: Simulator, client: AsyncAnthropic
) -> None:
    """Thinking between calls is bound to what the same answer said before it."""
    said = (ReplyThinking("One."), ReplyText("Look."), RedactedThinking(), ToolUse("f", id="t"))
    simulator.script(Reply(blocks=said))
    answer = await ask(client, [says("Go")], **HEAD)
    content = [block.to_dict() for block in answer.content]
    loop = [says("Go"), {"role": "assistant", "content": content}, user(result("t"))]
    assert told(await ask(client, loop, **HEAD, betas=CONTROLS)) == []
    content[1]["text"] = "Look!"
    with pytest.raises(anthropic.BadRequestError, match=ELSEWHERE) as raised:
        await ask(client, loop, **HEAD)
    assert "messages.1.content.2: Invalid `data` in `redacted_thinking`" in raised.value.message


async def test_omitted_thinking_is_bound_too(simulator: Simulator, client: AsyncAnthropic) -> None:
    """A block without text has a signature, and is refused like any other."""
    messages = await converse(simulator, client, 1, thinking={"type": "adaptive"})
    assert messages[1]["content"][0]["thinking"] == ""
    await ask(client, messages, **HEAD)
    with pytest.raises(anthropic.BadRequestError, match=ELSEWHERE):
        await ask(client, messages, system="Other", tools=HEAD["tools"])


async def test_what_the_server_clears_is_no_change(
    simulator: Simulator, client: AsyncAnthropic
) -> None:
    """The check compares what was sent, whatever context editing made of it."""
    edits = {
        "edits": [
            {
                "type": "clear_tool_uses_20250919",
                "keep": {"type": "tool_uses", "value": 0},
                "trigger": {"type": "tool_uses", "value": 0},
            }
        ]
    }
    simulator.script(Reply(blocks=(ReplyThinking("Hm."), ToolUse("f", id="t"))))
    first = await ask(client, [says("Go")], **HEAD)
    loop = [says("Go"), {"role": "assistant", "content": [b.to_dict() for b in first.content]}]
    loop.append(user({**result("t"), "content": "long " * 500}))
    betas = f"{CONTROLS},context-management-2025-06-27"
    edited: dict[str, Any] = {"extra_body": {"context_management": edits}, "betas": betas}
    longer = await converse(simulator, client, 1, history=loop, **edited)
    answer = await ask(client, longer, **HEAD, **edited)
    assert told(answer) == []


@pytest.mark.parametrize("model", [SONNET, FABLE, LATEST, "claude-haiku-5-5"])
async def test_counting_runs_the_same_check(
    simulator: Simulator, client: AsyncAnthropic, model: str
) -> None:
    """count_tokens refuses a mismatch, and does not count what is dropped."""
    messages = await converse(simulator, client, 1, model=model)
    head: dict[str, Any] = {"model": model, "messages": messages, **HEAD}
    whole = await client.messages.count_tokens(**head)
    other = {**head, "system": "Be curt.."}
    with pytest.raises(anthropic.BadRequestError, match=ELSEWHERE):
        await client.messages.count_tokens(**other)
    dropping: dict[str, Any] = {**other, "thinking": drops()}
    betas = {"anthropic-beta": CONTROLS}
    counted = await client.messages.count_tokens(**dropping, extra_headers=betas)
    assert counted.input_tokens < whole.input_tokens - 50


@asynccontextmanager
async def old_account() -> AsyncIterator[tuple[Simulator, AsyncAnthropic]]:
    """A simulator whose account is from before the check."""
    options = SimulatorSettings(account="old")
    async with open_simulator(settings=options) as simulator, client_of(simulator) as client:
        yield simulator, client


@pytest.mark.parametrize("model", [SONNET, OPUS, FABLE, "claude-mythos-5-1", "claude-haiku-5-5"])
async def test_an_old_account_s_mismatch_is_let_through(model: str) -> None:
    """The block reaches the model and is billed; with the beta it is listed."""
    async with old_account() as (simulator, client):
        messages = _edited(await converse(simulator, client, 2, model=model), "question")
        body = {**HEAD, "model": model}
        assert told(await ask(client, messages, **body)) is None
        answer = await ask(client, messages, **body, betas=CONTROLS)
        bare = await ask(client, without(messages, 1, 3), **body)
    paths = ("messages.1.content.0", "messages.3.content.0")
    assert told(answer) == dropped(*paths, kind="thinking_mismatch_allowed")
    assert answer.usage.input_tokens > bare.usage.input_tokens


@pytest.mark.parametrize("behavior", ["error", "drop_block"])
async def test_a_request_of_an_old_account_can_ask_for_the_check(behavior: str) -> None:
    """To set the field is to have it enforced."""
    async with old_account() as (simulator, client):
        messages = _edited(await converse(simulator, client, 1), "question")
        asking = {**HEAD, "thinking": drops(behavior), "betas": CONTROLS}
        if behavior == "drop_block":
            assert told(await ask(client, messages, **asking)) == dropped("messages.1.content.0")
        else:
            with pytest.raises(anthropic.BadRequestError, match=ELSEWHERE):
                await ask(client, messages, **asking)


@pytest.mark.parametrize("model", [LATEST, "claude-mythos-5-2"])
async def test_the_latest_models_refuse_for_every_account(model: str) -> None:
    """Fable and Mythos 5.2 check the old accounts' requests, too."""
    async with old_account() as (simulator, client):
        messages = _edited(await converse(simulator, client, 1, model=model), "question")
        with pytest.raises(anthropic.BadRequestError, match=ELSEWHERE):
            await ask(client, messages, **HEAD, model=model)


@pytest.mark.parametrize("model", [OLDER, "claude-sonnet-5", "claude-opus-4-8", "claude-fable-5"])
async def test_earlier_models_do_not_check(
    simulator: Simulator, client: AsyncAnthropic, model: str
) -> None:
    """They take the field and drop nothing, whatever it says."""
    messages = _edited(await converse(simulator, client, 2, model=model), "question")
    for behavior in ("error", "drop_block"):
        thinking = drops(behavior)
        answer = await ask(client, messages, model=model, thinking=thinking, betas=CONTROLS)
        assert told(answer) == []


@pytest.mark.parametrize(
    ("maker", "reader", "readable"),
    [
        (OLDER, OPUS, True),
        (OLDER, FABLE, True),
        (OPUS, FABLE, True),
        (SONNET, OPUS, True),
        ("claude-sonnet-5", SONNET, True),
        (FABLE, LATEST, True),
        (OLDER, SONNET, False),
        (OPUS, SONNET, False),
        (FABLE, OPUS, False),
        (LATEST, FABLE, False),
        (OPUS, "claude-sonnet-5", False),
        (SONNET, "claude-haiku-5-5", False),
        (SONNET, FABLE, False),
    ],
)
async def test_a_model_reads_its_own_thinking_and_that_of_some_others(
    simulator: Simulator, client: AsyncAnthropic, maker: str, reader: str, *, readable: bool
) -> None:
    """What it cannot read is dropped without an error and is not billed."""
    messages = await converse(simulator, client, 1, model=maker)
    answer = await ask(client, messages, **HEAD, model=reader, betas=CONTROLS)
    bare = await ask(client, without(messages, 1), **HEAD, model=reader)
    assert (answer.usage.input_tokens > bare.usage.input_tokens) is readable
    assert told(answer) == ([] if readable else dropped("messages.1.content.0", reason="model"))


async def test_thinking_survives_a_visit_to_another_model(
    simulator: Simulator, client: AsyncAnthropic
) -> None:
    """Back at the first model its blocks are read again, next to what the other one made."""
    messages = await converse(simulator, client, 1, model=FABLE)
    messages = await converse(simulator, client, 1, history=messages, model=OPUS)
    messages = await converse(simulator, client, 1, history=messages, model=FABLE)
    assert told(await ask(client, messages, **HEAD, model=FABLE, betas=CONTROLS)) == []
    answer = await ask(client, messages, **HEAD, model=OPUS, betas=CONTROLS)
    paths = ("messages.1.content.0", "messages.5.content.0")
    assert told(answer) == dropped(*paths, reason="model")


async def test_a_signature_without_a_binding_is_of_an_unknown_conversation(
    client: AsyncAnthropic,
) -> None:
    """A checking model refuses or drops it, the others take it."""
    block = {"type": "thinking", "thinking": "Hm.", "signature": Signer().sign("Hm.", "Hm.")}
    spoken = {"role": "assistant", "content": [block, {"type": "text", "text": "Yes."}]}
    messages = [says("?"), spoken, says("And?")]
    with pytest.raises(anthropic.BadRequestError, match=ELSEWHERE):
        await ask(client, messages)
    answer = await ask(client, messages, thinking=drops(), betas=CONTROLS)
    assert told(answer) == dropped("messages.1.content.0")
    assert told(await ask(client, messages, model=OLDER, betas=CONTROLS)) == []


async def test_a_forged_signature_is_refused_whatever_the_field_says(
    simulator: Simulator, client: AsyncAnthropic
) -> None:
    """drop_block is for a changed conversation, not for a changed block."""
    messages = await converse(simulator, client, 1)
    block = messages[1]["content"][0]
    block["signature"] = block["signature"][:-8] + "AAAAAAA="
    with pytest.raises(anthropic.BadRequestError, match="Invalid `signature`") as raised:
        await ask(client, messages, **HEAD, thinking=drops(), betas=CONTROLS)
    assert ELSEWHERE not in raised.value.message


@pytest.mark.parametrize(
    ("model", "thinking", "betas", "words"),
    [
        (SONNET, drops(), "", "thinking.adaptive.block_binding: Extra inputs are not permitted"),
        (SONNET, drops(kind="between_tools"), CONTROLS, "between_tools.block_binding: Extra"),
        ("claude-haiku-5-5", drops(kind="disabled"), CONTROLS, "disabled.block_binding: Extra"),
        (SONNET, drops("forgive"), CONTROLS, "Input should be 'error' or 'drop_block'"),
        (SONNET, {"type": "adaptive", "block_binding": 1}, CONTROLS, "valid dictionary"),
        (SONNET, {"type": "adaptive", "block_binding": {"x": 1}}, CONTROLS, "block_binding.x"),
    ],
)
async def test_a_wrong_block_binding_is_refused(
    client: AsyncAnthropic, model: str, thinking: dict[str, Any], betas: str, words: str
) -> None:
    """It needs its beta, a type of thinking that takes it, and a value that exists."""
    with pytest.raises(anthropic.BadRequestError, match=words):
        await ask(client, [says("?")], model=model, thinking=thinking, betas=betas)


@pytest.mark.parametrize("streamed", [True, False])
async def test_what_was_done_is_told_in_the_message_s_beginning(
    simulator: Simulator, client: AsyncAnthropic, *, streamed: bool
) -> None:
    """message_start has the list, and so has a message that is not streamed."""
    messages = _edited(await converse(simulator, client, 1), "question")
    answer = await client.beta.messages.create(
        model=SONNET,
        max_tokens=100,
        messages=messages,
        thinking={"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "drop_block"}},
        betas=[CONTROLS],
        stream=streamed,
        system="Be brief.",
    )
    if isinstance(answer, anthropic.AsyncStream):
        first, *_ = [event async for event in answer]
        assert first.type == "message_start"
        answer = first.message
    assert answer.input_transformations is not None
    assert [one.to_dict() for one in answer.input_transformations] == dropped(
        "messages.1.content.0"
    )


async def test_a_mismatch_can_be_scripted(simulator: Simulator, client: AsyncAnthropic) -> None:
    """A refusal in the same words, and a message that lists what a test wants."""
    simulator.script(Reply(failure=prefix_mismatch("messages.3.content.1")))
    with pytest.raises(anthropic.BadRequestError, match=ELSEWHERE) as raised:
        await ask(client, [says("?")])
    assert raised.value.message.count("messages.3.content.1: Invalid `signature`") == 1
    entries = dropped("messages.3.content.0")
    simulator.script(Reply(blocks=(ReplyText("Hm."),), input_transformations=tuple(entries)))
    assert told(await ask(client, [says("?")])) == entries


@pytest.mark.parametrize("kind", [ReplyThinking("Hm."), RedactedThinking()])
async def test_no_answer_ends_with_thinking(
    simulator: Simulator, client: AsyncAnthropic, kind: Any
) -> None:
    """An answer that broke off there cannot go back as it came, unless it paused."""
    simulator.script(Reply(blocks=(kind,), stop_reason="max_tokens"))
    first = await ask(client, [says("?")])
    spoken = {"role": "assistant", "content": [first.content[0].to_dict()]}
    with pytest.raises(anthropic.BadRequestError, match="final block in an assistant message"):
        await ask(client, [says("?"), spoken, says("Go on")])
    simulator.script(Reply(blocks=(kind,), stop_reason="pause_turn"))
    paused = await ask(client, [says("?")])
    again = {"role": "assistant", "content": [paused.content[0].to_dict()]}
    assert (await ask(client, [says("?"), again])).stop_reason == "end_turn"


async def test_what_follows_a_pause_stays_a_message_of_its_own(
    simulator: Simulator, client: AsyncAnthropic
) -> None:
    """Each answer goes back as it came: joined to the one before, its thinking is a stranger."""
    search = WebSearch("tides", part="call")
    simulator.script(Reply(blocks=(ReplyThinking("One."), search)))
    first = await ask(client, [says("?")])
    paused = [block.to_dict() for block in first.content]
    found = msgspec.structs.replace(search, part="result")
    simulator.script(Reply(blocks=(found, ReplyThinking("Two."), ReplyText("Done."))))
    second = await ask(client, [says("?"), {"role": "assistant", "content": paused}])
    rest = [block.to_dict() for block in second.content]
    apart = [{"role": "assistant", "content": content} for content in (paused, rest)]
    assert told(await ask(client, [says("?"), *apart, says("And?")], betas=CONTROLS)) == []
    joined = {"role": "assistant", "content": [*paused, *rest]}
    with pytest.raises(anthropic.BadRequestError, match=r"messages\.1\.content\.3"):
        await ask(client, [says("?"), joined, says("And?")])
