"""Whether a text fits a pattern, in time that is linear in the text.

Backtracking, as Python's own `re` does it, may take hours for `(a+)+$` and 40 characters. So the
pattern becomes an automaton: places, each with what must come there and where it goes on. A text is
read once, with the set of all places where the pattern may be (Thompson, "Regular expression search
algorithm", 1968). For `a*b` and "aab" that is {a, b}, {a, b}, {a, b}, {the end}. What a set becomes
by a character is kept, so most characters of a long text cost one look-up. What is kept is bounded
by what may be spent.

A repetition of at most so many times is so many copies, hence the bound on places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from protocol.provider.patterns import Chars, Edge, PatternPart, Repeat, Unread, Ways

MOST_PLACES = 2_000
"""Steps of building an automaton; a pattern that needs more is not read."""

_END = 0
"""The place at which the pattern has been found."""

Places = frozenset[int]


class Automaton:
    """A pattern, ready to be looked for anywhere in texts. Raises Unread for one too large.

    `spend` is told of the cost of each step, and may raise to end the work.
    """

    def __init__(self, pattern: Ways, spend: Callable[[int], None]) -> None:
        self._spend = spend
        self._wanted: list[Chars | Edge | None] = [None]
        self._further: list[list[int]] = [[]]
        self._built = 0
        self._kept: dict[tuple[Places, str], Places] = {}
        self._entry = self._build(pattern, _END)

    def fits(self, text: str) -> bool:
        """Whether the pattern is somewhere in the text."""
        here = self._open([self._entry], at_start=True)
        for one in text:
            if _END in here:
                return True
            self._spend(1)
            after = self._kept.get((here, one))
            if after is None:
                after = self._kept[here, one] = self._after(here, one)
            here = after
        return _END in self._open(here, at_start=not text, at_end=True)

    def _after(self, here: Places, one: str) -> Places:
        self._spend(len(here))
        moved = [self._entry]  # it may begin at any character
        for place in here:
            wanted = self._wanted[place]
            if isinstance(wanted, Chars) and wanted.may_be(one):
                moved += self._further[place]
        return self._open(moved)

    def _open(
        self, places: Iterable[int], *, at_start: bool = False, at_end: bool = False
    ) -> Places:
        """The places that wait for something, and that can be reached without a character."""
        waiting, seen, found = [*places], set[int](), set[int]()
        while waiting:
            place = waiting.pop()
            if place in seen:
                continue
            seen.add(place)
            wanted = self._wanted[place]
            is_open = wanted is None or (wanted == "begin" and at_start)
            if (is_open and place != _END) or (wanted == "end" and at_end):
                waiting += self._further[place]
            elif wanted != "begin":
                found.add(place)
        self._spend(len(seen))
        return frozenset(found)

    # --- building it, from its end -------------------------------------------------------------

    def _build(self, part: PatternPart, follow: int) -> int:
        """The place at which a part begins that goes on to the place `follow`."""
        self._spend(1)
        self._built += 1
        if self._built > MOST_PLACES:
            raise Unread
        match part:
            case Ways(ways):
                return self._place(None, [self._sequence(way, follow) for way in ways])
            case Repeat(inner, least, most):
                return self._repeat(inner, least, most, follow)
        return self._place(part, [follow])

    def _sequence(self, parts: tuple[PatternPart, ...], follow: int) -> int:
        for part in reversed(parts):
            follow = self._build(part, follow)
        return follow

    def _repeat(self, part: PatternPart, least: int, most: int | None, follow: int) -> int:
        begin = follow
        if most is None:
            begin = self._place(None, [follow])
            self._further[begin].append(self._build(part, begin))
        for _ in range((most or least) - least):
            begin = self._place(None, [self._build(part, begin), follow])
        for _ in range(least):
            begin = self._build(part, begin)
        return begin

    def _place(self, wanted: Chars | Edge | None, further: list[int]) -> int:
        self._wanted.append(wanted)
        self._further.append(further)
        return len(self._wanted) - 1
