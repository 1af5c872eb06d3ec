"""A model's call of a tool is judged once: kept as it is taken back, and run if it can be."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.calls import LONGEST_QUOTE, CallIds, judged
from protocol.free_form import DEEPEST
from protocol.provider.content import Block

CALL: Block = {"type": "tool_use", "id": "toolu_1", "name": "clock", "input": {"zone": "UTC"}}


def test_a_call_as_it_should_be_is_kept_to_the_letter() -> None:
    """With what it has besides."""
    call = {**CALL, "caller": {"type": "direct"}}
    assert judged(call, CallIds("turn_1")) == (call, None)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("mail.send", "mail_send"),
        ("", "unnamed"),
        (None, "unnamed"),
        ("x" * 129, "x" * 128),
        ("clock\n", "clock_"),
        ("\ud800", "_"),
        (7, "7"),
    ],
)
def test_a_name_that_is_not_taken_back_is_replaced(name: object, kept: str) -> None:
    """And the model reads which name it was."""
    block, fault = judged({**CALL, "name": name}, CallIds("turn_1"))
    assert block == {**CALL, "name": kept}
    assert fault is not None
    assert fault.startswith("There is no tool named ")


@pytest.mark.parametrize("arguments", [[], 7, "{", True, '{"a":' * 100_000])
def test_arguments_that_are_no_object_are_none_and_are_quoted(arguments: object) -> None:
    """As the provider's page advises, and not longer than a model needs."""
    block, fault = judged({**CALL, "input": arguments}, CallIds("turn_1"))
    assert block == {**CALL, "input": {}}
    assert fault is not None
    assert '{"INVALID_JSON":' in fault
    assert len(fault) < 3 * LONGEST_QUOTE


def test_arguments_that_nest_too_deeply_are_not_kept() -> None:
    """Every codec on their further way recurses."""
    arguments: Block = {}
    for _ in range(DEEPEST + 1):
        arguments = {"a": arguments}
    block, fault = judged({**CALL, "input": arguments}, CallIds("turn_1"))
    assert (block["input"], fault) == (
        {},
        "The arguments are nested too deeply. Nothing was run.",
    )


@pytest.mark.parametrize("more", [{}, {"input": None}])
def test_a_call_may_have_no_arguments(more: Block) -> None:
    """However that is said."""
    bare = {"type": "tool_use", "id": "toolu_1", "name": "clock", **more}
    assert judged(bare, CallIds("turn_1")) == ({**CALL, "input": {}}, None)


@pytest.mark.parametrize("call_id", ["", "functions.clock:0", "x" * 65, 7, None])
def test_an_odd_id_is_replaced_and_the_call_can_be_run(call_id: object) -> None:
    """Nobody is to be harmed by a number."""
    block, fault = judged({**CALL, "id": call_id}, CallIds("turn_1"))
    assert (block, fault) == ({**CALL, "id": "turn_1_1"}, None)


@given(st.lists(st.sampled_from(["a", "a.b", "turn_1_2", "", None])))
def test_no_two_calls_of_a_turn_have_one_id(wanted: list[str | None]) -> None:
    """Whatever they were given, each has one that a client can say again."""
    ids = CallIds("turn_1")
    taken = [ids.take(one) for one in wanted]
    assert len(set(taken)) == len(taken)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", one) for one in taken)
