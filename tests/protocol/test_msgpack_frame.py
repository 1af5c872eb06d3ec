"""MessagePack that is looked at without being decoded."""

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from msgspec.msgpack import Ext, decode, encode

from protocol.bounds import LONG, MOST_VALUES, PLACEHOLDER, TooMuch
from protocol.msgpack_frame import STEP, find_id, skeleton
from tests.protocol.strategies import JSON_VALUES


def whole(frame: bytes) -> bytes:
    """The skeleton, however many steps it takes."""
    steps = skeleton(frame)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return bytes(done.value)


LONG_TEXT = PLACEHOLDER.decode()


@given(value=JSON_VALUES)
def test_a_frame_without_long_texts_is_its_own_skeleton(value: object) -> None:
    """To the byte."""
    frame = encode(value)
    assert whole(frame) == frame


@pytest.mark.parametrize("long", ["a" * LONG, "é" * 70_000, b"b" * LONG, b"b" * 70_000])
def test_a_skeleton_has_a_word_for_each_long_text(long: object) -> None:
    """And every other item as it was, whatever its form."""
    numbers = [0, -1, 200, -200, 2**15, 2**31, 2**63, -(2**15), -(2**31), -(2**63), 1.5, math.inf]
    texts = ["", "a" * 31, "a" * 200, "a" * 300, b"", b"a" * 200, b"a" * 300]
    others = [None, True, False, *(Ext(5, b"e" * size) for size in (1, 2, 3, 4, 8, 16, 300))]
    value = {"a": numbers, "b": texts, "c": others, "d": datetime(2026, 11, 1, tzinfo=UTC)}
    more: dict[str, Any] = {
        "long": long,
        "list": [0] * 70_00,
        "map": {str(n): n for n in range(99)},
    }
    kept = {"long": LONG_TEXT, "list": more["list"], "map": more["map"]}
    assert decode(whole(encode([value, more, long, value]))) == [value, kept, LONG_TEXT, value]


def test_long_lists_and_maps_are_counted() -> None:
    """With 16 and with 32 bits of length."""
    value = [[0] * 40_000, {str(number): 0 for number in range(9_000)}]
    assert whole(encode(value)) == encode(value)
    assert len([*skeleton(encode(value))]) == (40_000 + 18_000) // STEP


@pytest.mark.parametrize(
    "frame",
    [
        encode([[]] * (MOST_VALUES + 1)),
        encode({"x": dict.fromkeys(map(str, range(MOST_VALUES + 1)))}),
        encode([[0] * 300] * 300),
        b"\x81\xa1x\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
    ],
    ids=["lists", "keys", "lists of lists", "a list that lies", "a map that lies"],
)
def test_more_values_than_a_message_may_have_are_too_much(frame: bytes) -> None:
    """As soon as a list or a map says so."""
    with pytest.raises(TooMuch, match=f"more than {MOST_VALUES} values"):
        whole(frame)


@pytest.mark.parametrize("fault", [b"\xc1", b"\xda\xff\xffabc", b"\xda\xff", b"\xcf\x00", b""])
def test_from_its_first_fault_on_a_frame_is_kept(fault: bytes) -> None:
    """The decoder says what is wrong with it."""
    frame = b"\x92" + encode("a" * LONG) + fault
    assert whole(frame) == b"\x92" + encode(LONG_TEXT) + fault


# --- whose it is -------------------------------------------------------------------------------

SEVEN = b"\xa2id\xa17"


@pytest.mark.parametrize(
    "frame",
    [
        encode({"id": "7"}),
        encode({"x": {"id": "8"}, "y": ["id", "8"], "id": "7", "z": {"id": "9"}}),
        b"\x82" + SEVEN + b"\xa1x",
        b"\x82" + SEVEN + b"\xa1x\xda\xff\xffabc",
        b"\x82" + SEVEN + b"\xc1",
        b"\x83\xa1x\xa2\xff\xfe" + SEVEN + b"\xa1",
        b"\x82\xa2\xff\xfe\xc0" + SEVEN,
        b"\x82\xa2id\xa18" + SEVEN,
        b"\x81\xd9\x02id\xd9\x017",
        b"\x82" + SEVEN + b"\xa1x" + b"\x91" * 5_000,
        b"\x82\xa1x" + encode("a" * 1_000_000) + SEVEN,
        b"\xdf\xff\xff\xff\xff" + SEVEN + b"\xa1x\xc0" * 50_000,
    ],
    ids=lambda frame: repr(frame[:20]),
)
def test_an_id_is_found_in_what_is_broken(frame: bytes) -> None:
    """As long as all before it can be told apart."""
    assert find_id(frame) == "7"


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xc0",
        encode(["id", "7"]),
        encode([{"id": "7"}]),
        encode({"x": {"id": "7"}}),
        encode({"id": 7}),
        encode({"id": ["7"]}),
        b"\x81\xa2id\xa27",
        b"\x81\xa2id",
        b"\x82" + SEVEN + b"\xa2id\xc0",
        b"\x82\xa1x\xc1" + SEVEN,
        b"\x82\xa1x\xdc\xff\xff" + b"\x00" * 65_535 + SEVEN,
    ],
    ids=lambda frame: repr(frame[:20]),
)
def test_no_wrong_id_is_found(frame: bytes) -> None:
    """Not one of another level or type, nor after a fault, nor too far away."""
    assert find_id(frame) is None
