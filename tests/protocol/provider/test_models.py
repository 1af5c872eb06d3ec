"""What each model can do, and which thinking it is asked for."""

from itertools import product
from typing import Any, get_args

import pytest
from anthropic.types import model as provider_models
from hypothesis import given
from hypothesis import strategies as st

from gateway.simulator import MODELS, find_model
from gateway.simulator.generations import checks_prefix, takes_system_messages
from protocol.errors import GatewayError
from protocol.provider.models import (
    MIN_THINKING_BUDGET,
    ModelInfo,
    Thinking,
    binding,
    choose_thinking,
    fallback,
    forgiving,
    guarded,
    least_cacheable,
)
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


# --- the table ---------------------------------------------------------------------------------


@EVERY
def test_the_table_agrees_with_the_simulated_provider(model: str) -> None:
    """For every model that the SDK or the simulator names."""
    spec = find_model(model)
    assert spec is not None
    known = fallback(model)
    assert known.id == model
    assert set(known.thinking) == set(spec.thinking)
    assert known.efforts == spec.efforts
    assert known.max_input_tokens == spec.window
    assert known.max_tokens == spec.max_tokens
    assert known.thinks


@pytest.mark.parametrize(
    ("models", "thinking"),
    [
        (
            "claude-3-7-sonnet claude-opus-4-1 claude-opus-4-5 claude-sonnet-4-5 claude-haiku-4-5",
            {"enabled", "disabled"},
        ),
        (
            "claude-opus-4-6 claude-sonnet-4-6 claude-mythos-preview",
            {"enabled", "adaptive", "disabled"},
        ),
        (
            "claude-opus-4-7 claude-opus-4-8 claude-opus-5 claude-sonnet-5 claude-haiku-5-5",
            {"adaptive", "disabled"},
        ),
        ("claude-sonnet-5-5", {"adaptive", "between_tools"}),
        ("claude-opus-5-5 claude-fable-5 claude-fable-5-1 claude-mythos-5-2", {"adaptive"}),
    ],
)
def test_each_generation_thinks_in_its_own_way(models: str, thinking: set[str]) -> None:
    """A budget up to 4.5, either on 4.6, adaptive alone since; the newest always think."""
    for model in models.split():
        assert set(fallback(model).thinking) == thinking


@pytest.mark.parametrize(
    ("model", "alias"),
    [
        ("claude-sonnet-5-5", "claude-sonnet-5-5-20260928"),
        ("claude-sonnet-5-5", "claude-sonnet-5-5-latest"),
        ("claude-opus-4-20250514", "claude-opus-4-0"),
        ("claude-opus-4-1", "claude-opus-4-1@20250805"),
        ("claude-opus-5", "anthropic/claude-opus-5"),
        ("claude-sonnet-5-5", "eu.anthropic.claude-sonnet-5-5"),
        ("claude-3-7-sonnet-20250219", "claude-3-7-sonnet-latest"),
    ],
)
def test_a_version_of_a_model_is_that_model(model: str, alias: str) -> None:
    """Dated, `-latest`, or as other clouds and gateways spell it."""
    known, other = fallback(model), fallback(alias)
    assert (known.thinking, known.efforts, known.max_tokens) == (
        other.thinking,
        other.efforts,
        other.max_tokens,
    )


@pytest.mark.parametrize(
    "model", ["claude-opus-6", "claude-sonnet-7-1", "claude-haiku-12-20300101"]
)
def test_a_model_yet_to_come_is_like_the_newest_of_its_line(model: str) -> None:
    """Until the provider's own table is asked."""
    line = model.split("-")[1]
    assert fallback(model).thinking == fallback(f"claude-{line}-5-5").thinking


@pytest.mark.parametrize(
    "model",
    [
        "claude-3-5-sonnet-20241022",
        "claude-3-opus-20240229",
        "claude-2.1",
        "claude-instant-1.2",
        "claude",
        "gpt-5-5",
        "-",
        "---",
        "5-5",
    ],
)
def test_a_model_of_an_unknown_family_is_asked_for_no_thinking(model: str) -> None:
    """Nothing that could be refused is sent."""
    known = fallback(model)
    assert (known.thinks, known.thinking, known.efforts) == (False, ("disabled",), ())
    assert chosen(model) == chosen(model, "off") == Thinking(config=None, effort=None)


@given(st.from_regex(r"[A-Za-z0-9_.:@/-]{1,40}", fullmatch=True) | st.text())
def test_every_id_has_an_answer(model: str) -> None:
    """Whatever a client names."""
    assert fallback(model).id == model


# --- what thinking is bound to -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("models", "kind"),
    [
        ("claude-fable-5-1 claude-mythos-5-2 claude-opus-5-5 claude-sonnet-5-5", "checked"),
        ("claude-haiku-5-5-20261012 anthropic/claude-opus-5-5 claude-sonnet-7", "checked"),
        ("claude-fable-5 claude-mythos-5-0 claude-opus-5 claude-opus-4-8", "appended"),
        ("claude-sonnet-5 claude-opus-4-7 claude-haiku-4-5 claude-mythos-preview", "rebuilt"),
        ("claude-3-opus-20240229 claude-2.1", "rebuilt"),
        ("claude claude-next another-model", "checked"),
    ],
)
def test_each_model_is_of_one_of_three_kinds(models: str, kind: str) -> None:
    """An id that tells no version is taken for one of the newest."""
    assert {binding(model) for model in models.split()} == {kind}


def test_the_kinds_agree_with_the_simulated_provider() -> None:
    """Two tables of the same pages."""
    for name, spec in MODELS.items():
        assert (binding(name) == "checked") == checks_prefix(spec), name
        assert (binding(name) != "rebuilt") == takes_system_messages(spec), name


@pytest.mark.parametrize(
    ("model", "config", "is_guarded"),
    [
        ("claude-sonnet-5-5", SUMMARIZED, True),
        ("claude-next", {"type": "enabled", "budget_tokens": 2_000}, True),
        ("claude-sonnet-5-5", {"type": "between_tools"}, False),
        ("claude-haiku-5-5", {"type": "disabled"}, False),
        ("claude-sonnet-5-5", None, False),
        ("claude-opus-5", SUMMARIZED, False),
        ("claude-sonnet-5", SUMMARIZED, False),
    ],
)
def test_a_model_that_checks_is_asked_to_drop_what_does_not_fit(
    model: str, config: dict[str, Any] | None, is_guarded: bool
) -> None:
    """Where its kind of thinking takes the wish."""
    dropping = {"block_binding": {"prefix_mismatch_behavior": "drop_block"}}
    assert guarded(model, config) == ({**(config or {}), **dropping} if is_guarded else config)


@pytest.mark.parametrize("kind", ["disabled", "between_tools"])
def test_thinking_that_cannot_be_dropped_gives_way_to_one_that_can(kind: str) -> None:
    """Where it is known not to fit, and none of it may be left out."""
    sonnet = "claude-sonnet-5-5"
    adaptive = guarded(sonnet, {"type": "adaptive"})
    assert forgiving(sonnet, {"type": kind}) == adaptive
    assert forgiving(sonnet, guarded(sonnet, SUMMARIZED)) == guarded(sonnet, SUMMARIZED)
    for model, config in ((sonnet, None), ("claude-opus-5", {"type": kind})):
        assert forgiving(model, config) == config


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


def test_a_model_of_another_kind_is_asked_for_nothing() -> None:
    """It thinks in a way that is not known here, or has no efforts."""
    strange = ModelInfo(
        id="x",
        display_name="x",
        max_input_tokens=1,
        max_tokens=1,
        thinks=True,
        thinking=(),
        efforts=(),
    )
    assert chosen(strange) == chosen(strange, "off") == Thinking(config=None, effort=None)
    always = ModelInfo(
        id="x",
        display_name="x",
        max_input_tokens=1,
        max_tokens=1,
        thinks=True,
        thinking=("adaptive",),
        efforts=(),
    )
    assert chosen(always, "off") == Thinking(config={"type": "adaptive"}, effort=None)


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("claude-sonnet-5-5", 512),
        ("claude-opus-5-20261101", 512),
        ("claude-fable-5-1", 512),
        ("claude-haiku-5-5", 512),
        ("claude-sonnet-5", 1_024),
        ("claude-opus-4-8", 1_024),
        ("claude-opus-4-7", 2_048),
        ("claude-opus-4-6", 4_096),
        ("claude-sonnet-4-6", 1_024),
        ("claude-mythos-preview", 2_048),
        ("claude-haiku-4-5-20251001", 4_096),
        ("claude-opus-4-5", 4_096),
        ("claude-sonnet-4-5", 1_024),
        ("claude-3-5-haiku-20241022", 2_048),
        ("another-model", 1_024),
    ],
)
def test_each_model_has_its_least_cacheable_prompt(model: str, tokens: int) -> None:
    """Shorter ones are billed as if nothing were cached."""
    assert least_cacheable(model) == tokens


def test_the_simulated_models_cache_from_the_same_length_on() -> None:
    """Two tables of the same pages."""
    for name, spec in MODELS.items():
        assert least_cacheable(name) == spec.cacheable, name
