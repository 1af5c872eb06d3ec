"""Whether the model that answered is the one that was asked.

The provider may let another model answer, and then bills that one. The ids alone do not say so: an
alias is answered by its dated model (`claude-haiku-4-5` by `claude-haiku-4-5-20251001`), and clouds
and other gateways spell the same model in their own ways (the provider's page on models, November
2026).
"""

from __future__ import annotations

import re
from typing import NamedTuple

LONGEST_ID = 256
"""Characters of a model's id."""

_WORD = re.compile(r"[^-@.:/]+")
_DATE = re.compile(r"20[0-9]{6}")
_REVISION = re.compile(r"v[0-9]+|latest")


class _Spelling(NamedTuple):
    """What an id names: the words of a model, and the date of one of its versions."""

    words: tuple[str, ...]
    date: str


def other_model(asked: str, answered: str | None) -> str | None:
    """The model that `answered`, when it is another one than was `asked`."""
    if answered is None or answered == asked:
        return None
    wanted, got = _spelling(asked), _spelling(answered)
    same_date = wanted.date == got.date or not (wanted.date and got.date)
    return None if wanted.words == got.words and same_date else answered


def _spelling(model: str) -> _Spelling:
    words = _WORD.findall(model.lower())
    words = words[words.index("claude") :] if "claude" in words else words
    date = next((word for word in words if _DATE.fullmatch(word)), "")
    named: list[str] = []
    for word in words:
        if _DATE.fullmatch(word) or _REVISION.fullmatch(word):
            break
        named.append(word)
    if named[-1:] == ["0"]:  # `claude-opus-4-0` is an alias of `claude-opus-4-20250514`
        named.pop()
    return _Spelling(tuple(named), date)
