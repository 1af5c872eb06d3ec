"""What a server's tools are called: `SERVER__tool`, made of what the provider takes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator

LONGEST_NAME = 128
"""Characters that the provider takes in a tool's name."""

LONGEST_SHOWN = 100
"""Characters of a server's own name of a tool in a log line."""

_STRANGE = re.compile(r"[^A-Za-z0-9_-]")
_DIGEST = 8


def prefix(server: str) -> str:
    """What the names of a server's tools begin with; no two servers' can be confused."""
    return f"{server}__"


def offered_name(server: str, tool: str) -> str:
    """`SERVER__tool`; a name that had to be changed ends with a digest of what it was.

    It depends on these two alone: what else is offered, or was earlier, never changes it.
    """
    plain = prefix(server) + _STRANGE.sub("_", tool)
    if tool and plain == prefix(server) + tool and len(plain) <= LONGEST_NAME:
        return plain
    digest = hashlib.sha256(tool.encode(errors="replace")).hexdigest()[:_DIGEST]
    return f"{plain[: LONGEST_NAME - _DIGEST - 1]}_{digest}"


def shown(tool: object) -> str:
    """A server's own name of a tool, for a log line."""
    return plain(str(tool), LONGEST_SHOWN)


def plain(text: str, longest: int) -> str:
    """The beginning of a server's own text, in plain characters, for a log line."""
    return text[:longest].encode("unicode_escape").decode()


def name_all(server: str, tools: Iterable[str]) -> Iterator[tuple[str, str | None]]:
    """Each tool and what it is offered as; `None` for one that would take another's name."""
    taken = set()
    for tool in sorted(tools):
        name = offered_name(server, tool)
        yield tool, None if name in taken else name
        taken.add(name)
