"""Which thinking a model is asked for."""

from itertools import product
from typing import Any, get_args

import msgspec
import pytest
from anthropic.types import model as provider_models

from gateway.simulator import MODELS, find_model
from protocol.errors import GatewayError
from protocol.provider.choosing import (
    MIN_THINKING_BUDGET,
    Thinking,
    choose_thinking,
    forgiving,
    gone_on,
    guarded,
)
from protocol.provider.model_info import Binding, ModelInfo
from protocol.provider.models import fallback
from protocol.provider.thinking import Effort, ThinkingBudget

NAMED: tuple[str, ...] = get_args(get_args(provider_models.Model)[0])
OLDER = (
    "claude-3-7-sonnet-20250219",
    "claude-opus-4-20250514",
    "claude-opus-4-1-20250805",
    "claude-sonnet-4-20250514",
)
EVERY = pytest.mark.parametrize("model", dict.fromkeys((*NAMED, *OLDER, *MODELS)))
EFFORTS: tuple[Effort, ...] = get_args(Effort)
SUMMARIZED = {"type": "adaptive", "display": "summarized"}


def chosen(
    model: str | ModelInfo,
    wanted: str | ThinkingBudget = "auto",
    effort: Effort | None = None,
    max_tokens: int = 32_000,
) -> Thinking:
    info = fallback(model) if isinstance(model, str) else model
    return choose_thinking(info, wanted, effort, max_tokens=max_tokens, budget=8_000)


def refused(model: str | ModelInfo, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(GatewayError) as caught:
        chosen(model, *args, **kwargs)
    assert caught.value.failure.code == "INVALID_MESSAGE"
    assert not caught.value.failure.retryable
    return caught.value.failure.message


@pytest.mark.parametrize(
    ("binding", "config", "is_guarded"),
    [
        ("checked", SUMMARIZED, True),
        ("checked", {"type": "enabled", "budget_tokens": 2_000}, True),
        ("checked", {"type": "between_tools"}, False),
        ("checked", {"type": "disabled"}, False),
        ("checked", None, False),
        ("appended", SUMMARIZED, False),
        ("rebuilt", SUMMARIZED, False),
    ],
)
def test_a_model_that_checks_is_asked_to_drop_what_does_not_fit(
    binding: Binding, config: dict[str, Any] | None, is_guarded: bool
) -> None:
    """Where its kind of thinking takes the wish."""
    dropping = {"block_binding": {"prefix_mismatch_behavior": "drop_block"}}
    assert guarded(binding, config) == ({**(config or {}), **dropping} if is_guarded else config)


@pytest.mark.parametrize("kind", ["disabled", "between_tools"])
def test_thinking_that_cannot_be_dropped_gives_way_to_one_that_can(kind: str) -> None:
    """Where it is known not to fit, and none of it may be left out."""
    adaptive = guarded("checked", {"type": "adaptive"})
    assert forgiving("checked", {"type": kind}) == adaptive
    assert forgiving("checked", guarded("checked", SUMMARIZED)) == guarded("checked", SUMMARIZED)
    assert forgiving("checked", None) is None
    assert forgiving("appended", {"type": kind}) == {"type": kind}


@pytest.mark.parametrize("begins_with", ["thinking", "redacted_thinking", "text", "tool_use"])
def test_who_did_not_begin_with_a_thought_goes_on_without_a_budget(begins_with: str) -> None:
    """The provider refuses it; all other ways to think go on as they are."""
    budget = {"type": "enabled", "budget_tokens": 2_000}
    is_thought = begins_with.endswith("thinking")
    assert gone_on(budget, begins_with) == (budget if is_thought else {"type": "disabled"})
    for config in (None, SUMMARIZED, {"type": "between_tools"}, {"type": "disabled"}):
        assert gone_on(config, begins_with) == config


def test_an_effort_that_needs_thinking_names_what_is_without_it() -> None:
    """The client's own word, or the field for whose sake the model does not think."""
    info = fallback("claude-opus-5")
    asked: dict[str, Any] = {"max_tokens": 9_000, "budget": 8_000}
    for field, words in ((None, '`thinking: "off"`'), ("toolChoice", "`toolChoice`, which goes")):
        with pytest.raises(GatewayError) as caught:
            choose_thinking(info, "off", "max", field=field, **asked)
        assert caught.value.failure.message.startswith(f"`effort`: with {words}")


# --- thinking ----------------------------------------------------------------------------------


@EVERY
def test_what_is_chosen_is_never_refused_upstream(model: str) -> None:
    """Either it is refused here, in words, or the provider takes it."""
    wishes: tuple[str | ThinkingBudget, ...] = ("auto", "off", ThinkingBudget(budget_tokens=2_000))
    rooms = (1, 1_024, 1_025, 2_001, 9_000)
    for wanted, effort, room in product(wishes, (None, *EFFORTS), rooms):
        try:
            thinking = chosen(model, wanted, effort, room)
        except GatewayError as error:
            refusal = error.failure
        else:
            assert_taken(thinking, effort, room, model)
            continue
        assert refusal.code == "INVALID_MESSAGE"
        assert model in refusal.message or str(room) in refusal.message


def assert_taken(thinking: Thinking, effort: Effort | None, room: int, model: str) -> None:
    spec = find_model(model)
    assert spec is not None
    assert thinking.effort is None or thinking.effort in spec.efforts
    assert effort is None or thinking.effort == effort
    if thinking.config is None:
        return
    kind, tokens = thinking.config["type"], thinking.config.get("budget_tokens")
    assert kind in spec.thinking
    assert set(thinking.config) <= {"type", "display", "budget_tokens"}
    assert (tokens is not None) == (kind == "enabled")
    assert tokens is None or MIN_THINKING_BUDGET <= tokens < room


@EVERY
def test_auto_is_the_best_that_a_model_takes(model: str) -> None:
    """Adaptive with its reasoning shown; the default budget where there is no adaptive."""
    if "adaptive" in fallback(model).thinking:
        assert chosen(model) == Thinking(config=SUMMARIZED, effort=None)
        assert chosen(model, effort="low") == Thinking(config=SUMMARIZED, effort="low")
    else:
        assert chosen(model).config == {"type": "enabled", "budget_tokens": 8_000}


@EVERY
def test_off_is_the_least_that_a_model_takes(model: str) -> None:
    """None, else between tools, else as little as can be."""
    thinking = fallback(model).thinking
    if "disabled" in thinking:
        assert chosen(model, "off") == Thinking(config={"type": "disabled"}, effort=None)
    elif "between_tools" in thinking:
        assert chosen(model, "off") == Thinking(config={"type": "between_tools"}, effort=None)
    else:
        assert chosen(model, "off") == Thinking(config={"type": "adaptive"}, effort="low")
        assert chosen(model, "off", "max").effort == "max"


@EVERY
def test_a_budget_is_for_models_that_take_one(model: str) -> None:
    """The others are refused with a hint."""
    wanted = ThinkingBudget(budget_tokens=5_000)
    if "enabled" in fallback(model).thinking:
        assert chosen(model, wanted).config == {"type": "enabled", "budget_tokens": 5_000}
    else:
        assert refused(model, wanted) == (
            f'`thinking.budgetTokens`: {model} takes no budget; use `thinking: "auto"` with '
            "`effort`."
        )


def test_a_budget_without_thinking_is_to_be_left_out() -> None:
    """The hint is another for a model that does not think."""
    message = refused("claude-2.1", ThinkingBudget(budget_tokens=5_000))
    assert message.endswith("leave it out.")


def test_a_budget_leaves_room_for_the_answer() -> None:
    """It is below `maxTokens`."""
    wanted = ThinkingBudget(budget_tokens=4_000)
    assert "4000 must be below `maxTokens`, here 4000" in refused(
        "claude-sonnet-4-5", wanted, max_tokens=4_000
    )
    assert chosen("claude-sonnet-4-5", wanted, max_tokens=4_001).config == {
        "type": "enabled",
        "budget_tokens": 4_000,
    }


def test_the_default_budget_shrinks_with_the_room_there_is() -> None:
    """It leaves room for an answer; below the provider's least there is no thinking."""
    assert chosen("claude-sonnet-4-5", max_tokens=2_048).config == {
        "type": "enabled",
        "budget_tokens": 1_024,
    }
    assert chosen("claude-sonnet-4-5", max_tokens=2_047).config is None


@EVERY
def test_an_effort_that_a_model_lacks_is_refused(model: str) -> None:
    """The explanation says which ones it has."""
    efforts = fallback(model).efforts
    able = f"It takes: {', '.join(efforts)}." if efforts else "It takes none."
    for effort in EFFORTS:
        if effort in efforts:
            assert chosen(model, effort=effort).effort == effort
        else:
            assert refused(model, "auto", effort) == f"`effort`: {model} has no `{effort}`. {able}"


@pytest.mark.parametrize("model", ["claude-haiku-5-5", "claude-opus-5", "claude-sonnet-5-5"])
@pytest.mark.parametrize("effort", ["xhigh", "max"])
def test_no_thinking_at_a_high_effort_is_refused_where_the_provider_does(
    model: str, effort: Effort
) -> None:
    """Both fields and the efforts that it takes are named."""
    assert refused(model, "off", effort) == (
        f'`effort`: with `thinking: "off"`, {model} takes low, medium, high; `{effort}` needs '
        "thinking."
    )
    assert chosen(model, "auto", effort).effort == effort


@pytest.mark.parametrize("model", ["claude-sonnet-5", "claude-opus-4-8", "claude-opus-5-5"])
def test_no_thinking_at_a_high_effort_is_no_matter_elsewhere(model: str) -> None:
    """The newest always think, and that is no refusal."""
    assert chosen(model, "off", "max").effort == "max"


def test_a_model_of_another_kind_is_asked_for_nothing() -> None:
    """It thinks in a way that is not known here, or has no efforts."""
    known = fallback("claude-opus-5-5")
    strange = msgspec.structs.replace(known, thinking=(), efforts=())
    assert chosen(strange) == chosen(strange, "off") == Thinking(config=None, effort=None)
    always = msgspec.structs.replace(known, efforts=())
    assert chosen(always, "off") == Thinking(config={"type": "adaptive"}, effort=None)
