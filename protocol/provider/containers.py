"""Containers, in which the provider executes code: when a request names one, and for how long.

The sources are the pages on code execution, programmatic tool calling and web search, August 2026.
A container's files are there for later requests that name it. It is kept for 30 days. After some
minutes without a request it is put away, and the next request that names it brings it back. What
`expires_at` tells is that shorter time, so it does not end the container; each answer moves it on.
A request must name the container while code in it waits for a result.

Newer versions of the web's tools execute code by themselves, in a container as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from protocol.records import Container

LIFE = 30 * 24 * 3600 * 1000
"""Milliseconds from its creation."""
MARGIN = 3600 * 1000
"""Milliseconds before its end in which it is not used any more: a turn may take a while."""

_ID = re.compile(r"[!-~]{1,256}")
_WEB_TOOLS = ("web_search_", "web_fetch_")
_WEB_RUNS_CODE_SINCE = "20260209"


def lives(container: Container, now: int) -> bool:
    """Whether a request may name it."""
    return now < container.since + LIFE - MARGIN


def container_id(told: object) -> str | None:
    """The id in what an answer tells of its container, if it is one."""
    match told:
        case {"id": str(name)} if _ID.fullmatch(name):
            return name
    return None


def told_container(told: object, known: Container | None, now: int) -> Container | None:
    """The container after an answer that `told` so of one; `known` is the one before."""
    name = container_id(told)
    if name is None:
        return known
    since = known.since if known is not None and known.id == name else now
    expires = told.get("expires_at") if isinstance(told, dict) else None
    return Container(id=name, since=since, idle_until=_milliseconds(expires, now))


def _milliseconds(moment: object, now: int) -> int:
    """A moment in ISO 8601; `now` where it is none."""
    if not isinstance(moment, str):
        return now
    try:
        parsed = datetime.fromisoformat(moment)
        return int((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return now


def executes_code(tools: Iterable[dict[str, Any]]) -> bool:
    """Whether code may be executed for a request that has these tools."""
    return any(_executes_code(str(tool.get("type", ""))) for tool in tools)


def _executes_code(kind: str) -> bool:
    if kind.startswith("code_execution_"):
        return True
    return kind.startswith(_WEB_TOOLS) and kind[-8:] >= _WEB_RUNS_CODE_SINCE
