"""How much a client's message may hold, told in the hello.

What a message costs is mostly the number of its values, not of its bytes: 15 MB of one text are
decoded in 15 ms, 15 MB of `[[],[],…]` in 10 s. So values are counted before anything is made of
them, and a text that is long is looked at without being decoded.
"""

from __future__ import annotations

from typing import Final

MOST_VALUES: Final = 50_000
"""Values of one message: every element of a list and every member of an object."""

MOST_SCHEMA_NODES: Final = 10_000
"""Values of one JSON Schema, keywords and names not counted."""

MOST_BLOCKS: Final = 1_000
"""Blocks of one content."""

MOST_STRUCTURE: Final = 1024 * 1024
"""Bytes of JSON outside of its texts, blanks apart: numbers are read in quadratic time."""

LARGE: Final = 64 * 1024
"""Bytes of a frame. A smaller one cannot hold enough to be a burden, and is simply decoded."""

LONG: Final = 4 * 1024
"""Bytes of a text. A longer one is no name of anything: it is looked at last."""

PLACEHOLDER: Final = b"(a long text)"
"""What stands for a long text until everything else is known to be right. It fits no name."""


class TooMuch(Exception):
    """A frame holds more than a message may; the text says what, for a person."""
