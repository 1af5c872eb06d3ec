"""What the models endpoint tells: it wins over the table, and cannot break anything."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.simulator import MODELS
from protocol.provider.features import CLEAR_TOOL_USES
from protocol.provider.model_info import ModelInfo
from protocol.provider.model_table import FIRST_TOOLS, LATEST_TOOLS
from protocol.provider.models import fallback
from protocol.provider.told import described, listed

SONNET = "claude-sonnet-5-5"

Strange = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def told(model: str = SONNET, **fields: Any) -> ModelInfo:
    found = described({"id": model, **fields})
    assert found is not None
    return found


def capable(**capabilities: Any) -> ModelInfo:
    return told(capabilities=capabilities)


@pytest.mark.parametrize("model", MODELS)
def test_what_the_simulated_provider_tells_is_what_the_table_knows(model: str) -> None:
    """But for its lifecycle, of which the simulator keeps models alive."""
    found, known = described(MODELS[model].info()), fallback(model)
    assert found is not None
    assert set(found.thinking) == set(known.thinking)
    assert (found.efforts, found.quiet_efforts) == (known.efforts, known.quiet_efforts)
    assert (found.max_input_tokens, found.max_tokens) == (known.max_input_tokens, known.max_tokens)
    assert (found.structures, found.server_tools) == (known.structures, known.server_tools)
    assert found.edits in ((), (CLEAR_TOOL_USES,))


def test_what_is_told_wins() -> None:
    """Limits, names, thinking, efforts, tools, life."""
    found = told(
        display_name="Sonnet",
        max_input_tokens=1_234,
        max_tokens=56,
        lifecycle="deprecated",
        retires_at="2027-09-28T00:00:00Z",
        capabilities={
            "thinking": {
                "supported": True,
                "types": {"disabled": {"supported": True}, "between_tools": {"supported": False}},
            },
            "effort": {"supported": True, "max": {"supported": False}},
            "structured_outputs": {"supported": False},
            "context_management": {CLEAR_TOOL_USES: {"supported": True}},
        },
    )
    assert (found.display_name, found.max_input_tokens, found.max_tokens) == ("Sonnet", 1_234, 56)
    assert set(found.thinking) == {"adaptive", "disabled"}
    assert found.efforts == ("low", "medium", "high", "xhigh")
    assert found.quiet_efforts == ("low", "medium", "high")
    assert not found.structures
    assert found.edits == (CLEAR_TOOL_USES,)
    assert (found.lifecycle, found.retires_on) == ("deprecated", "2027-09-28")


def test_a_model_without_efforts_has_none() -> None:
    """Whatever is said of each of them."""
    levels = {"supported": False, "low": {"supported": True}}
    assert capable(effort=levels).efforts == ()


def test_an_active_model_has_no_day() -> None:
    """What the table says of it counts no more."""
    found = told("claude-sonnet-4-5", lifecycle="active", retires_at=None)
    assert (found.lifecycle, found.retires_on) == ("active", None)
    assert told("claude-sonnet-4-5").retires_on == "2026-11-30"


def test_a_day_that_is_told_alone_decides() -> None:
    """Not the table's; a day that is none is not told."""
    found = told("claude-sonnet-4-5", retires_at="2027-05-01T00:00:00Z")
    assert (found.retires_on, found.lifecycle_on("2027-04-30")) == ("2027-05-01", "deprecated")
    assert found.lifecycle_on("2027-05-01") == "retired"
    assert told("claude-sonnet-4-5", retires_at="soon").retires_on == "2026-11-30"
    assert told(lifecycle="deprecated", retires_at="soon").retires_on is None


def test_the_later_versions_of_tools_need_code_that_calls_tools() -> None:
    """And a tool that the model lacks is not there in any version."""
    no = {"supported": False}
    assert capable().server_tools == LATEST_TOOLS
    assert capable(code_execution=no).server_tools == FIRST_TOOLS
    left = capable(server_tools={"web_search": no, "code_execution": no}).server_tools
    assert {tool.rpartition("_")[0] for tool in left} == {"web_fetch"}


@pytest.mark.parametrize(
    "odd", [None, True, -1, 0, 10**12, 1.5, "many", [], {}, {"supported": "yes"}]
)
@pytest.mark.parametrize(
    "field", ["display_name", "max_input_tokens", "max_tokens", "lifecycle", "capabilities"]
)
def test_what_is_odd_is_not_told(field: str, odd: object) -> None:
    """The table stands in."""
    fields: dict[str, Any] = {field: odd}
    found = told(**fields)
    if isinstance(odd, str):
        assert found.max_tokens == 128_000
    else:
        assert found == fallback(SONNET)


@pytest.mark.parametrize(
    "answer", [None, [], "<html>", {}, {"id": None}, {"id": ""}, {"id": "x" * 129}]
)
def test_an_answer_may_name_no_model(answer: object) -> None:
    """A page, a number, a model without an id."""
    assert described(answer) is None
    assert listed(answer) == ([], None)


def test_a_page_of_the_list_says_where_the_next_begins() -> None:
    """Models without an id are left out; a list that does not go on ends."""
    page = {"data": [{"id": SONNET}, {"id": 5}, None], "has_more": True, "last_id": "b"}
    models, after = listed(page)
    assert [model.id for model in models] == [SONNET]
    assert after == "b"
    for odd in ({"has_more": False}, {"last_id": None}, {"last_id": ""}, {"data": "x"}):
        assert listed(page | odd)[1] is None


@given(st.dictionaries(st.sampled_from(["capabilities", "lifecycle", "retires_at"]), Strange))
def test_nothing_that_is_told_can_break_it(fields: dict[str, Any]) -> None:
    """Whatever a proxy makes up."""
    assert told(**fields).id == SONNET
