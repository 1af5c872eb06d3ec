"""Reading a model's id: which line and version it names, and whose spelling it is.

The provider spells `claude-LINE-MAJOR-MINOR` (its first models `claude-MAJOR-MINOR-LINE`), with a
date or `-latest` at the end. Clouds and gateways spell the same names in their own ways. Sources:
the provider's pages "Models overview", "Claude in Amazon Bedrock" and "Claude on Google Cloud",
November 2026.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, NamedTuple

Seller = Literal["provider", "aws_global", "aws_regional", "google", "router"]
"""Whose spelling an id has. Amazon sells one model in the world and by region, at two prices."""

LINES = ("haiku", "sonnet", "opus", "fable", "mythos", "instant")
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
    r"(?:-v\d)?(?P<date>[-@]\d{8}|[-@]latest|@default)?(?P<amazon>-v\d(?::\d+(?::\d+k)?)?)?"
)
_AMAZON = re.compile(r"(?:(?P<region>[a-z]{2,8}(?:-gov)?)\.)?anthropic\.")


class ReadName(NamedTuple):
    """What an id names.

    `line` is empty when the id names none, `version` (0, 0) when it tells none. `seller` is `None`
    when something in the id is not understood: it may then be another model of that line.
    """

    line: str = ""
    version: tuple[int, int] = (0, 0)
    seller: Seller | None = None


@lru_cache(maxsize=1_024)  # it is asked of every answer of a session that is loaded
def read_id(model: str) -> ReadName:
    """The name that `model` is an id of."""
    found = _ID.fullmatch(model)
    if found is None:
        return ReadName()
    if found["preview"]:
        line, version = found["preview"], PREVIEW
    else:
        line = found["line"] or found["last"] or ""
        version = (int(found["major"]), int(found["minor"] or 0))
    return ReadName(line.lower(), version, _seller(found) if line in LINES else None)


def _seller(found: re.Match[str]) -> Seller | None:
    rest = _REST.fullmatch(found["rest"])
    is_old = found["preview"] is None and int(found["major"]) < 4  # then the line comes last
    if rest is None or bool(found["last"]) != is_old or (found["line"] and is_old):
        return None
    before = found["before"]
    if before == "anthropic/":
        return None if rest["amazon"] else "router"
    if (amazon := _AMAZON.fullmatch(before)) is not None:
        return "aws_global" if amazon["region"] == "global" else "aws_regional"
    if before or found["joint"] == "." or rest["amazon"]:
        return None
    return "google" if (rest["date"] or "").startswith("@") else "provider"
