"""Free-form JSON: schemas, arguments and unknown blocks, and how much of it anything may hold."""

from __future__ import annotations

import math
from typing import Any

from protocol.bounds import MOST_SCHEMA_NODES

DEEPEST = 64
"""Levels that free-form JSON may nest: every codec on its further way recurses."""

HEAVIEST = 400_000
"""What the JSON of a block may weigh: a comma weighs one, an opening bracket four.

Decoding costs about 0.2 us a list, and every walk over it more. Megabytes of a text weigh far less.
"""


def is_json(value: Any) -> bool:
    """Whether free-form data is JSON that every codec takes: MessagePack can carry more.

    Keys are texts, numbers are finite, integers have 64 bits.
    """
    match value:
        case None | bool() | str():
            return True
        case int():
            return -(2**63) <= value < 2**64
        case float():
            return math.isfinite(value)
        case list():
            return all(is_json(item) for item in value)
        case dict():
            return all(isinstance(key, str) and is_json(item) for key, item in value.items())
    return False


def weight(text: bytes) -> int:
    """About how many parts the JSON in this text has; see `HEAVIEST`."""
    return text.count(b",") + 4 * (text.count(b"[") + text.count(b"{"))


_OWNERS = (dict, list)


def is_too_deep(value: Any, levels: int = DEEPEST) -> bool:
    """Whether decoded data nests lists and objects deeper than `levels`; walked by level."""
    level = [value] if type(value) in _OWNERS else []
    for _ in range(levels):
        if not level:
            return False
        level = [
            item
            for owner in level
            for item in (owner.values() if type(owner) is dict else owner)
            if type(item) in _OWNERS
        ]
    return bool(level)


def is_larger(data: Any, most: int) -> bool:
    """Whether there are more than so many values in JSON; it looks at no more."""
    nodes, waiting = 1, [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict | list):
            nodes += len(value)
            if nodes > most:
                return True
            waiting += value.values() if isinstance(value, dict) else value
    return False


def size_fault(schema: Any) -> str | None:
    """Why a schema or an example cannot be sent on, as a clause without its subject.

    `None` if it can. The work is bounded, whatever it holds: it is walked level by level, and a
    level is counted before it is entered. It has been decoded, so its types are exactly these.
    """
    level, nodes, is_plain = [schema], 0, True
    for _ in range(DEEPEST):
        below: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is dict:
                is_plain = is_plain and all(type(key) is str for key in item)
                below += item.values()
            elif kind is list:
                below += item
            elif kind is not str:
                is_plain = is_plain and is_json(item)
        nodes += len(below)
        if nodes > MOST_SCHEMA_NODES:
            return f"has more than {MOST_SCHEMA_NODES:,} values"
        if not below:
            break
        level = below
    else:
        if any(isinstance(item, dict | list) for item in level):
            return f"nests deeper than {DEEPEST} levels"
        is_plain = is_plain and all(map(is_json, level))
    if not is_plain:
        return "is no JSON: its keys must be texts, its numbers finite, its integers of 64 bits"
    return None
