"""What the provider takes and keeps: figures from its pages, November 2026."""

from __future__ import annotations

from protocol.records import Attached

MOST_BYTES = 30 * 1024 * 1024
"""Of all messages; a request may have 32 MB (its page on errors)."""

MANY_PICTURES = 20
EDGE_AMONG_MANY = 2_000
"""Longest side in pixels, if a request has more than `MANY_PICTURES` (its page on vision)."""

LOOKBACK = 20
"""Blocks before a breakpoint in which its cache looks for what it remembers (its page on prompt
caching)."""

CACHE_MILLISECONDS = 300_000
"""How long its cache keeps what is not used (the same page)."""

HOUR_MILLISECONDS = 3_600_000
"""How long it does if a request asks for an hour (the same page)."""

TOOLS_PROMPT = 346.0
"""Tokens of the prompt that it adds to a request with tools (its page on tool use)."""


def too_many(attached: Attached, most_attached: int) -> str | None:
    """Why the provider would refuse so many pictures and documents together, for a person."""
    if attached.pictures + attached.documents > most_attached:
        return f"this model takes at most {most_attached} pictures and documents"
    if attached.pictures > MANY_PICTURES and attached.edge > EDGE_AMONG_MANY:
        return (
            f"of more than {MANY_PICTURES} pictures none may have a side of more than "
            f"{EDGE_AMONG_MANY} pixels"
        )
    return None
