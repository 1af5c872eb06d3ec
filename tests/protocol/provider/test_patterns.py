r"""Patterns: what the provider refuses in them, what is read, and what fits.

Reported of other programs: a schema with a pattern such as `(a+)+$` holds a process for as long as
it likes (Aiven-Open/karapace 1362, hapijs/joi 3119).
"""

from __future__ import annotations

import re
import time
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.provider.automaton import MOST_PLACES, Automaton
from protocol.provider.following import answer_fault
from protocol.provider.patterns import DEEPEST, LONGEST, Unread, read, refusal
from protocol.provider.structured import Unfitting, measure
from tests.protocol.provider.test_structured import of


class Purse:
    """Counts what is spent."""

    def __init__(self) -> None:
        self.spent = 0

    def spend(self, steps: int) -> None:
        self.spent += steps


def fits(pattern: str, text: str) -> bool:
    return Automaton(read(pattern), Purse().spend).fits(text)


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "word"),
    [
        (r"a\b", "a word boundary"),
        (r"\Ba", "a word boundary"),
        (r"(a)\1", "refers back"),
        (r"(?<n>a)\k<n>", "refers back"),
        ("(?=a)", "looks ahead or behind"),
        ("x(?!a)", "looks ahead or behind"),
        ("(?<=a)x", "looks ahead or behind"),
        (r"[^\]](?<!a)", "looks ahead or behind"),
    ],
)
def test_what_the_providers_page_refuses_is_refused(pattern: str, word: str) -> None:
    """Before anything is sent, with its place in the schema."""
    assert word in str(refusal(pattern))
    with pytest.raises(Unfitting, match=r"`/properties/a` has a `pattern` that .*not supported"):
        measure(of({"a": {"type": "string", "pattern": pattern}}))


@pytest.mark.parametrize(
    "pattern", [r"[\b]", r"\\b", r"\\1", "[(?=]", "[(?=", "(?:a)", "(?<n>a)", "a?=b", r"\d\w", ""]
)
def test_what_only_looks_like_it_is_not(pattern: str) -> None:
    """In a class, or after an escaped backslash."""
    assert refusal(pattern) is None
    assert measure(of({"a": {"pattern": pattern}})).optional == 0


def test_a_pattern_is_a_text() -> None:
    """As JSON Schema has it."""
    with pytest.raises(Unfitting, match="has a `pattern` that is no text"):
        measure(of({"a": {"pattern": 5}}))


# --- what fits ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "fitting", "others"),
    [
        (r"^\d{4}-\d{2}$", ["2026-11"], ["2026-1", "2026-111", "x2026-11", ""]),
        ("b", ["abc", "b"], ["", "ac"]),
        ("^(?:a|bc)+$", ["a", "bc", "abca"], ["", "ab", "abcx"]),
        ("^a{2,}$", ["aa", "aaaaa"], ["a", ""]),
        ("^a{0,2}b?$", ["", "a", "aab"], ["aaa", "abb"]),
        ("^a{0}b*?$", ["", "bb"], ["ab"]),
        ("a|^$", ["", "xa"], ["x"]),
        ("$^", [""], ["x"]),
        ("^(a*)*$", ["", "aa"], ["b"]),
        (r"^[\w.-]+@[a-z]+\.com$", ["ann-x.y@example.com"], ["@a.com", "a@b-com", "a b@c.com"]),
        (r"^[\w-x]$", ["-", "x", "5"], [".", ""]),
        (r"^[a\-z]$", ["a", "-", "z"], ["b"]),
        (r"^[^\d\s]$", ["x", "-"], ["5", " "]),
        (r"^[-a]$|^[b-]$", ["-", "a", "b"], ["c"]),
        (r"^\u00e9\x41\t\/\.$", ["éA\t/."], ["eA\t/."]),
        (r"^(?<year>\d+)(?P<rest>x)$", ["5x"], ["5"]),
        ("^]}$", ["]}"], ["]"]),
        (r"^\D\W\S$", ["a-b"], ["1-b", "aab", "a- "]),
    ],
)
def test_a_text_fits_or_does_not(pattern: str, fitting: list[str], others: list[str]) -> None:
    """A pattern without anchors may be anywhere in it."""
    assert [fits(pattern, text) for text in fitting] == [True] * len(fitting)
    assert [fits(pattern, text) for text in others] == [False] * len(others)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"^\w+$", "Zoë"),
        (r"^\W$", "ë"),
        (r"^\d$", "٣"),
        (r"^[^\d]$", "٣"),
        (r"^a\sb$", "a\xa0b"),
        ("^a.b$", "a\nb"),
    ],
)
def test_what_fits_in_one_reading_fits(pattern: str, text: str) -> None:
    """The page does not say which characters are meant: a good answer is not told as bad."""
    assert fits(pattern, text)


@pytest.mark.parametrize(
    "pattern",
    [
        *(
            "(",
            ")",
            "(a",
            "a)",
            "[a",
            "[",
            "[]a]",
            "[^]",
            "*",
            "a**",
            "a{2}{3}",
            "{",
            "a{x",
            "a{3,2}",
        ),
        *(
            "\\",
            "[\\",
            "[a-",
            "[b-a]",
            "[[:alpha:]]",
            r"[\b]",
            r"\p{L}",
            r"\Z",
            r"\cA",
            r"\0",
            r"\é",
        ),
        *(r"\ud83d", "(?i)a", "(?>a)", "(?", "a{10000}", "a" * (LONGEST + 1), "a{1000}{2}"),
        *("(" * (DEEPEST + 1) + ")" * (DEEPEST + 1), "(?:a{50}){50}", "((){1000}){1000}"),
    ],
)
def test_what_is_not_read_is_not_judged(pattern: str) -> None:
    """Flags, properties, sets within sets, what is too large: the answer may be right."""
    with pytest.raises(Unread):
        Automaton(read(pattern), Purse().spend)
    schema = of({"a": {"type": "string", "pattern": pattern}})
    assert answer_fault('{"a": "anything"}', schema) is None


_PIECES = st.sampled_from(
    ["a", "b", ".", "[ab]", "[^a]", r"\d", "^", "$", "a*", "b+", "(a|b)", "(?:ab)?", "a{1,2}", "|"]
)


@given(st.lists(_PIECES, max_size=6).map("".join), st.text("ab1", max_size=8))
def test_it_finds_what_pythons_own_finds(pattern: str, text: str) -> None:
    """In texts where the two have one reading."""
    assert fits(pattern, text) == (re.search(pattern, text) is not None)


# --- its cost ----------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(a*)*c", "a?" * 30 + "a" * 30 + "$"])
def test_no_pattern_takes_more_than_linear_time(pattern: str) -> None:
    """Backtracking would take years."""
    costs = []
    for length in (1_000, 2_000):
        purse = Purse()
        Automaton(read(pattern), purse.spend).fits("a" * length + "!")
        costs.append(purse.spent)
    assert costs[1] < 2.1 * costs[0]
    assert costs[1] < 2_000 * MOST_PLACES / 10


def test_an_answer_is_judged_no_longer_than_it_is_worth() -> None:
    """Then it counts as right."""
    schema: dict[str, Any] = of({"a": {"pattern": "^[01]*1[01]{250}x"}})
    text = f"{Random(1).getrandbits(300_000):b}"
    began = time.process_time()
    assert answer_fault(f'{{"a": "{text}"}}', schema) is None
    assert time.process_time() - began < 10


def test_each_text_of_a_list_is_held_against_the_pattern() -> None:
    """Which is read once."""
    schema = of({"a": {"type": "array", "items": {"pattern": "^x"}}})
    assert answer_fault('{"a": ["x", "xy", "xz"]}', schema) is None
    assert answer_fault('{"a": ["x", "y"]}', schema) == "a part of `a` does not fit its `pattern`"


def test_an_answer_that_does_not_fit_says_where() -> None:
    """Only texts have a pattern."""
    schema = of({"day": {"pattern": "^[0-9-]+$"}, "more": {"pattern": "^x"}})
    assert answer_fault('{"day": "2026-11-30", "more": 5}', schema) is None
    assert (
        answer_fault('{"day": "Monday", "more": "x"}', schema) == "`day` does not fit its `pattern`"
    )
