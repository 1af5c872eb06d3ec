"""MessagePack, looked at without decoding it: how much a frame holds, and whose it is.

Every item says how long it is, or how many items it has, in its first bytes (the specification
of MessagePack, section "Formats"). So a long text is one step, and a list of millions is known at
its first byte.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Final, NamedTuple

from protocol.bounds import LONG, MOST_VALUES, PLACEHOLDER, TooMuch

STEP: Final = 5_000
"""Items that are looked at in one step."""

_MOST_ITEMS = 20_000
"""Items in which an id is looked for."""

_SHORT_TEXT = bytes([0xA0 | len(PLACEHOLDER)]) + PLACEHOLDER


class _Form(NamedTuple):
    """What the first byte of an item says.

    A figure of `width` bytes follows, or else it is `figure`; then `rest` bytes and so many bytes
    or items as the figure says, times `bytes_each` and `items_each`.
    """

    width: int = 0
    figure: int = 0
    rest: int = 0
    bytes_each: int = 0
    items_each: int = 0


def _forms() -> list[_Form | None]:
    forms: list[_Form | None] = [_Form()] * 256  # small integers, nil, false, true
    for count in range(16):
        forms[0x80 + count] = _Form(figure=count, items_each=2)
        forms[0x90 + count] = _Form(figure=count, items_each=1)
    for length in range(32):
        forms[0xA0 + length] = _Form(figure=length, bytes_each=1)
    forms[0xC1] = None  # never used
    for power in range(3):
        width = 2**power
        forms[0xC4 + power] = _Form(width=width, bytes_each=1)  # bin
        forms[0xC7 + power] = _Form(width=width, rest=1, bytes_each=1)  # ext
        forms[0xD9 + power] = _Form(width=width, bytes_each=1)  # str
    for power in range(4):
        forms[0xCC + power] = forms[0xD0 + power] = _Form(rest=2**power)  # integers
    for power in range(2):
        forms[0xCA + power] = _Form(rest=4 * 2**power)  # floats
        forms[0xDC + power] = _Form(width=2 + 2 * power, items_each=1)  # array
        forms[0xDE + power] = _Form(width=2 + 2 * power, items_each=2)  # map
    for power in range(5):
        forms[0xD4 + power] = _Form(rest=1 + 2**power)  # fixext
    return forms


_FORMS = _forms()


class _Item(NamedTuple):
    """An item of a frame: where it ends (a list or a map: its head), and what it has in it."""

    end: int
    size: int
    items: int
    is_map: bool


def _item(frame: bytes, at: int) -> _Item | None:
    """The item that begins at `at`; `None` when it is broken or cut off."""
    if at >= len(frame) or (form := _FORMS[frame[at]]) is None:
        return None
    width, figure, rest, bytes_each, items_each = form
    at += 1 + width
    if width:
        figure = int.from_bytes(frame[at - width : at], "big")
    size = rest + figure * bytes_each
    if at + size > len(frame):
        return None
    return _Item(at + size, size, figure * items_each, items_each == 2)


def skeleton(frame: bytes) -> Generator[None, None, bytes]:
    """The frame with its long texts replaced, found in small steps. Raises TooMuch.

    From its first fault on it is kept as it is: there the decoder stops.
    """
    kept: list[bytes] = []
    start = at = values = seen = 0
    left = 1
    while left and (item := _item(frame, at)):
        values += item.items >> item.is_map
        if values > MOST_VALUES:
            raise TooMuch(f"This message has more than {MOST_VALUES} values.")
        if item.size >= LONG:
            kept += (frame[start:at], _SHORT_TEXT)
            start = item.end
        left += item.items - 1
        at = item.end
        seen += 1
        if not seen % STEP:
            yield
    return b"".join((*kept, frame[start:]))


def find_id(frame: bytes) -> str | None:
    """The `id` of a frame, of its top level alone, and the last of several."""
    found: str | None = None
    top = _item(frame, 0)
    if top is None or not top.is_map:
        return None
    at = top.end
    budget = iter(range(_MOST_ITEMS))
    for _ in range(top.items // 2):
        value = _after(frame, at, budget)
        end = _after(frame, value, budget)
        if end < 0:
            break
        if _text(frame[at:value]) == "id":
            found = _text(frame[value:end])
        at = end
    return found


def _after(frame: bytes, at: int, budget: Iterator[int]) -> int:
    """Where the item that begins at `at` ends, with all that is in it; -1 when it does not."""
    left = 1
    for _ in budget:
        item = _item(frame, at) if at >= 0 else None
        if item is None:
            return -1
        at = item.end
        left += item.items - 1
        if not left:
            return at
    return -1


def _text(item: bytes) -> str | None:
    """A short text: a key or an id has at most 64 characters."""
    kind = item[0]
    if 0xA0 <= kind <= 0xBF:
        return item[1:].decode("ascii", "replace")
    return item[2:].decode("ascii", "replace") if kind == 0xD9 else None
