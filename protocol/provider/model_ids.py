"""Reading a model's id: which line and version it names, and whose spelling it is.

The provider spells `claude-LINE-MAJOR-MINOR`, with a date or `-latest` at the end. Its third
generation is `claude-MAJOR-MINOR-LINE`, and its first two are `claude-2.1` and
`claude-instant-1.2`. Clouds and gateways spell the same names in their own ways. Sources: the
provider's pages "Models overview", "Model deprecations", "Claude in Amazon Bedrock" and "Claude on
Google Cloud", November 2026.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, NamedTuple

Seller = Literal["provider", "aws_global", "aws_regional", "google", "router"]
"""Whose spelling an id has. Amazon sells one model in the world and by region, at two prices."""

LONGEST_ID = 256
"""Characters of a model's id."""

LINES = ("haiku", "sonnet", "opus", "fable", "mythos")
FIRST_LINES = ("", "instant")
"""Those of the first two generations."""
PREVIEW = (4, 6)
"""`claude-mythos-preview` has no version; it is of this generation."""

_ID = re.compile(
    r"""
    (?P<before>(?:.*[^a-z0-9])?)claude
    (?:-(?P<preview>[a-z]+)-preview
    |(?:-(?P<line>[a-z]+))?
      -(?P<major>\d{1,2})(?!\d)(?:(?P<joint>[-.])(?P<minor>\d{1,2})(?!\d))?
      (?:-(?P<last>(?!v\d|latest)[a-z]+))?
    )
    (?P<rest>.*)
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_REST = re.compile(
    r"(?:-v\d|-100k)?(?:[-@](?P<date>\d{8})|[-@]latest|@default)?"
    r"(?P<amazon>-v\d(?::\d+(?::\d+k)?)?)?"
)
_AMAZON = re.compile(r"(?:(?P<region>[a-z]{2,8}(?:-gov)?)\.)?anthropic\.")


class ReadName(NamedTuple):
    """What an id names.

    `line` is empty when the id names none, `version` (0, 0) when it tells none, `date` empty when
    it has none. `seller` is `None` when something in the id is not understood: it may then be
    another model of that line. `more` is what of the name is not understood.
    """

    line: str = ""
    version: tuple[int, int] = (0, 0)
    seller: Seller | None = None
    date: str = ""
    more: str = ""


@lru_cache(maxsize=1_024)  # it is asked of every answer of a session that is loaded
def read_id(model: str) -> ReadName:
    """The name that `model` is an id of."""
    found = _ID.fullmatch(model)
    if found is None:
        return ReadName(more=model.lower())
    if found["preview"]:
        line, version = found["preview"], PREVIEW
    else:
        line = found["line"] or found["last"] or ""
        version = (int(found["major"]), int(found["minor"] or 0))
    rest = _REST.fullmatch(found["rest"])
    odd_last = found["last"] if found["line"] else None
    return ReadName(
        line.lower(),
        version,
        None if rest is None else _seller(found, rest, line),
        "" if rest is None else rest["date"] or "",
        f"{odd_last or ''}{'' if rest else found['rest']}".lower(),
    )


def other_model(asked: str, answered: str | None) -> str | None:
    """The model that `answered`, when it is another one than was `asked`.

    The provider may let another one answer, and then bills that one. The ids alone do not say so:
    an alias is answered by its dated model (`claude-haiku-4-5` by `claude-haiku-4-5-20251001`), and
    clouds and gateways spell the same model in their own ways.
    """
    if answered is None or answered == asked:
        return None
    wanted, got = read_id(asked), read_id(answered)
    same_date = wanted.date == got.date or not (wanted.date and got.date)
    same_name = wanted[:2] == got[:2] and wanted.more == got.more
    return None if same_name and same_date else answered


def _seller(found: re.Match[str], rest: re.Match[str], line: str) -> Seller | None:
    if not _is_spelled(found, line):
        return None
    before = found["before"]
    if before == "anthropic/":
        return None if rest["amazon"] else "router"
    if (amazon := _AMAZON.fullmatch(before)) is not None:
        return "aws_global" if amazon["region"] == "global" else "aws_regional"
    if before or rest["amazon"] or (found["joint"] == "." and line in LINES):
        return None
    return "google" if "@" in found["rest"] else "provider"


def _is_spelled(found: re.Match[str], line: str) -> bool:
    """Whether the line is one of its generation's, and stands where that generation has it."""
    generation = PREVIEW[0] if found["preview"] else int(found["major"])
    if generation < 3:
        return line in FIRST_LINES and not found["last"]
    return line in LINES and bool(found["last"]) == (generation == 3)
