"""JSON that is looked at without being decoded."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.bounds import LARGE, LONG, MOST_STRUCTURE, MOST_VALUES, PLACEHOLDER, TooMuch
from protocol.json_frame import SLICE, find_id, skeleton
from tests.protocol.strategies import JSON_VALUES


def whole(frame: bytes) -> bytes:
    """The skeleton, however many steps it takes."""
    steps = skeleton(frame)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return bytes(done.value)


TEXTS = st.builds(
    lambda piece, times: piece * times,
    st.sampled_from(["a", '"', "\\", '\\"', "é", "😀", "\n", ",["]),
    st.sampled_from([0, 1, 3, 300, LONG, SLICE // 2, SLICE]),
)


@given(value=JSON_VALUES)
def test_a_frame_without_long_texts_is_its_own_skeleton(value: object) -> None:
    """To the byte."""
    frame = msgspec.json.encode(value)
    assert whole(frame) == frame


@given(texts=st.lists(TEXTS, max_size=6), escaped=st.booleans())
def test_a_skeleton_has_a_word_for_each_long_text(texts: list[str], escaped: bool) -> None:
    """And every other value as it was, wherever the slices of the frame end."""
    value = {"a": texts, "b": {"id": "1", "n": [1, None, "short"]}, "texts": dict.fromkeys(texts)}
    small = json.loads(whole(json.dumps(value, ensure_ascii=escaped).encode()))
    for text, left in zip(texts, small["a"], strict=True):
        assert left == (text if len(text) <= 600 else PLACEHOLDER.decode())
    assert small["b"] == value["b"]


def test_a_slice_that_ends_in_a_short_text_leaves_it_to_the_next() -> None:
    """No name is cut in two, wherever it stands."""
    for shift in range(12):
        frame = b'["' + b"a" * (SLICE - 20 + shift) + b'","7\\"7","seven"]'
        assert json.loads(whole(frame)) == [PLACEHOLDER.decode(), '7"7', "seven"]


@pytest.mark.parametrize("item", ["[]", "0", '"a"', '{"a":0}', "{}", '"]["'], ids=repr)
def test_more_values_than_a_message_may_have_are_too_much(item: str) -> None:
    """However they are spelt, and wherever they stand."""
    with pytest.raises(TooMuch, match=f"more than {MOST_VALUES} values"):
        whole(f'{{"x":[{",".join([item] * (MOST_VALUES + 1))}]}}'.encode())
    few = f"[{','.join([item] * (MOST_VALUES // 3))}]".encode()
    assert whole(few) == few


def test_brackets_and_commas_in_a_text_are_no_values() -> None:
    """However many there are."""
    text = '[{,"\\' * LARGE
    assert json.loads(whole(json.dumps([text, "b"]).encode())) == [PLACEHOLDER.decode(), "b"]


def test_numbers_of_a_million_digits_are_too_much() -> None:
    """Reading them takes quadratic time; blanks take none."""
    with pytest.raises(TooMuch, match="numbers"):
        whole(b"[" + b"9" * (MOST_STRUCTURE + 1) + b"]")
    blank = b"[" + b" \n" * MOST_STRUCTURE + b"]"
    assert whole(blank) == blank


# --- whose it is -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        b'{"id":"7"}',
        b' { "id" : "7" , "x" : [ 1, -2.5e3, true, false, null, {}, [] ] } ',
        b'{"\\u0069d":"\\u0037","x":"\\ud83d"}',
        b'{"x":{"id":"8"},"id":"7"}',
        b'{"x":[{"id":"8"}],"id":"7","y":{"id":"9"}}',
        b'{"x":"\\",\\"id\\":\\"8\\"","id":"7"}',
        b'{"x":"\\\\","id":"7"',
        b'{"id":"7","x":',
        b'{"id":"7","x":"unfinished',
        b'{"id":"7","x":[1}',
        b'{"id":"7","x":nul}',
        b'{"id":"7"}}}',
        b'{"id":"8","id":"7","x"',
        b'{"id":"7","x":' + b"[" * 5_000,
        b'{"x":"\xff\xfe\xed\xa0\x80","id":"7"}',
        b'{"x":"' + b"a" * 1_000_000 + b'","id":"7","x"}',
        b'{"id":"7",' + b'"x":0,' * 50_000,
    ],
    ids=lambda frame: frame[:40].decode("latin-1"),
)
def test_an_id_is_found_in_what_is_broken(frame: bytes) -> None:
    """As long as all before it is JSON."""
    assert find_id(frame) == "7"


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"   ",
        b"5",
        b'"id"',
        b'["id","7"]',
        b'[{"id":"7"}]',
        b'{"x":{"id":"7"}}',
        b'{"x":["id","7"]}',
        b'{"id":7}',
        b'{"id":["7"]}',
        b'{"id":{"id":"7"}}',
        b'{"id":"7","id":null}',
        b'{"id":"7',
        b'{"id":"7"8"}',
        b'{"id" "7"}',
        b'{"id":"\\ud800","x":',
        b'{"id":"' + b"7" * 500 + b'"}',
        b'{"x":"he said "hi","id":"7"',
        b'{"x":[1 2],"id":"7"}',
        b'{"x":[1},"id":"7"}',
        b'{"x":+1,"id":"7"}',
        b'{"x":' + b"9" * 500 + b',"id":"7"}',
        b'{id:"7"}',
        b"{'id':'7'}",
        b'{"x":1,,"id":"7"}',
        b"{" + b" " * 70_000 + b'"id":"7"}',
        b'{"x":[' + b"0," * 50_000 + b'0],"id":"7"}',
        b'{"x":"' + b'\\"' * 50_000 + b'","id":"7"}',
    ],
    ids=lambda frame: frame[:40].decode("latin-1"),
)
def test_no_wrong_id_is_found(frame: bytes) -> None:
    """Not one of another level, of a text, of another type, after a fault or too far away."""
    assert find_id(frame) is None
