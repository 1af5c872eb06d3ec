"""What is known of a model from its id: the table, held against the SDK's and the simulator's."""

import re
from datetime import datetime
from typing import get_args

import msgspec
import pytest
from anthropic.resources.messages.messages import DEPRECATED_MODELS
from anthropic.types import model_param
from hypothesis import given
from hypothesis import strategies as st

from gateway.simulator import MODELS, find_model
from gateway.simulator.generations import checks_prefix, takes_system_messages
from protocol.provider.choosing import Thinking
from protocol.provider.model_ids import read_id
from protocol.provider.model_table import FIRST_TOOLS, LATEST_TOOLS, ROWS
from protocol.provider.models import binding, fallback
from tests.protocol.provider.test_choosing import EVERY, NAMED, chosen

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
    assert known.samples == spec.takes_sampling
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


@pytest.mark.parametrize("model", NAMED)
def test_each_id_of_the_sdk_has_a_row_of_its_own(model: str) -> None:
    """Nothing that can be asked for today is guessed."""
    assert get_args(get_args(model_param.ModelParam)[0]) == NAMED
    name = read_id(model)
    assert (name.line, name.version) in ROWS
    assert name.seller == "provider"
    assert not name.more


def test_the_days_of_retirement_are_those_that_the_sdk_warns_of() -> None:
    """Two copies of the provider's page; each id is read as the model that it names."""
    for model, day in DEPRECATED_MODELS.items():
        told = datetime.strptime(re.sub(r"(\d)[a-z]+,", r"\1,", f"{day} +0000"), "%B %d, %Y %z")
        row = fallback(model)
        assert row.retires_on == f"{told:%Y-%m-%d}", model
        assert row.lifecycle_on(row.retires_on) == "retired", model
        assert row.successor is not None, model


@pytest.mark.parametrize(
    ("model", "successor"),
    [
        ("claude-3-haiku-20240307", "claude-haiku-4-5"),
        ("claude-3-5-sonnet-20240620", "claude-sonnet-4-6"),
        ("claude-2.1", "claude-opus-4-8"),
        ("claude-1.0", "claude-haiku-4-5"),
        ("claude-instant-1.0", "claude-haiku-4-5"),
        ("claude-instant-1.1-100k", "claude-haiku-4-5"),
    ],
)
def test_what_the_provider_has_long_retired_has_its_successor(model: str, successor: str) -> None:
    """Those too of which the SDK no longer warns."""
    row = fallback(model)
    assert (row.lifecycle_on("2026-11-30"), row.successor) == ("retired", successor)


def test_a_model_retires_on_its_day() -> None:
    """Before it the model is deprecated; what was told of it counts more than the day."""
    row = fallback("claude-sonnet-4-5")
    days = ("2026-11-29", "2026-11-30", "2027-01-01")
    assert [row.lifecycle_on(day) for day in days] == ["deprecated", "retired", "retired"]
    told = msgspec.structs.replace(row, lifecycle="deprecated")
    assert told.lifecycle_on("2027-01-01") == "deprecated"
    assert fallback("claude-sonnet-5-5").lifecycle_on("2027-01-01") == "active"
    assert fallback("another-model").lifecycle_on("2027-01-01") is None


def test_a_model_that_goes_has_a_day_and_a_successor_that_stays() -> None:
    """Whoever is sent away is told where to."""
    own = {row.id: row for row in ROWS.values()}
    for row in ROWS.values():
        goes = row.lifecycle != "active"
        assert (row.retires_on is not None) == (row.successor is not None) == goes, row.id
        assert row.successor is None or own[row.successor].lifecycle == "active", row.id


@pytest.mark.parametrize(
    "model",
    [
        "us.anthropic.claude-opus-4-20250514-v1:0",
        "claude-opus-4@20250514",
        "anthropic/claude-opus-4",
        "claude-opus-4-mini",
        "claude-opus-4-3",
    ],
)
def test_only_the_providers_own_models_retire_on_its_days(model: str) -> None:
    """Clouds and gateways have days of their own; a model that is not listed has none."""
    known = fallback(model)
    assert (known.lifecycle, known.retires_on, known.successor) == (None, None, None)
    assert fallback("claude-opus-4-20250514").retires_on == "2026-06-15"


def test_the_newest_server_tools_are_for_models_whose_code_can_call_tools() -> None:
    """By the provider's own name: clouds and gateways have the first versions."""
    assert fallback("claude-sonnet-5-5").server_tools == LATEST_TOOLS
    assert fallback("claude-sonnet-4-6").server_tools == LATEST_TOOLS
    for model in ("claude-haiku-4-5", "claude-sonnet-5-5@20260928", "another-model"):
        assert fallback(model).server_tools == FIRST_TOOLS


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
    assert fallback(model).least_cacheable == tokens


def test_the_simulated_models_cache_from_the_same_length_on() -> None:
    """Two tables of the same pages."""
    for name, spec in MODELS.items():
        assert fallback(name).least_cacheable == spec.cacheable, name
