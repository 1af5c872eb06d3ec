"""What goes in and out of a process, whatever the encoding and whatever the text holds.

A stream whose encoding lacks a character raises in the middle of an answer, and the rest of the
answer is lost (Textualize/rich#826, python/mypy#12692). So such a character is spelled with those
that there are. What is not valid text in the first place, a stray byte or half a character, is
replaced where it comes in.
"""

from __future__ import annotations

import codecs
from typing import Final

SPELLED: Final = "agentspace.spelled"
"""The name of the error handler."""

_SPELLINGS: Final = str.maketrans(
    {
        "\N{NO-BREAK SPACE}": " ",
        "\N{MIDDLE DOT}": "-",
        "\N{BULLET}": "*",
        "\N{MULTIPLICATION SIGN}": "x",
        "\N{HYPHEN}": "-",
        "\N{NON-BREAKING HYPHEN}": "-",
        "\N{EN DASH}": "-",
        "\N{EM DASH}": "--",
        "\N{LEFT SINGLE QUOTATION MARK}": "'",
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
        "\N{LEFT DOUBLE QUOTATION MARK}": '"',
        "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
        "\N{HORIZONTAL ELLIPSIS}": "...",
        "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}": ">",
        "\N{RIGHTWARDS ARROW}": "->",
        "\N{UPWARDS ARROW}": "Up",
        "\N{DOWNWARDS ARROW}": "Down",
        "\N{REPLACEMENT CHARACTER}": "?",
    }
)


def spelled(text: str) -> str:
    """Text with what ASCII has for it; anything else becomes an escape, `\\u65e5`."""
    return text.translate(_SPELLINGS).encode("ascii", "backslashreplace").decode("ascii")


def _spell(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return spelled(error.object[error.start : error.end]), error.end


codecs.register_error(SPELLED, _spell)


def has_unicode(encoding: str | None) -> bool:
    """Whether an encoding has every character."""
    return (encoding or "").lower().replace("_", "-").startswith("utf")


def sound(text: str) -> str:
    """Text as UTF-8 has it: what the interpreter kept of bytes that it could not read is read as
    UTF-8, and what is not valid there either is replaced.
    """
    try:
        read = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a character of UTF-16: two halves are joined
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return read.decode("utf-8", "replace")
