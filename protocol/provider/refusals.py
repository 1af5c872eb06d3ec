"""What a refusal of the provider complains of: of the new, or of what was said before.

The provider answers 400 for good: the same request is refused again, and with it every later
message of the session. Where it complains of what stands before the turn, another request may
help, in which the conversation begins anew. It has no code that tells the two apart, only its
explanation: mostly the path of what it does not take, and then some words.

The words are those of its pages on prefix checks, on tool changes and system messages in a
conversation, and on beta headers, November 2026. A word too many costs one request more, one too
few costs the session: so those of other refusals of thinking blocks are here, too.
"""

from __future__ import annotations

import re

_PATH = re.compile(r"\bmessages\.([0-9]{1,9})\b")

_OF_THE_PAST = re.compile(
    r"""
      different\ conversation | block_binding | signature   # thinking that does not fit
    | thinking\W*\ blocks? | redacted_thinking
    | \brole\W+system\b | \bmessages\.[0-9]{1,9}\.role\b    # announcements in the conversation
    | \bsystem\ message
    | tool_addition | tool_removal | tool_definition | tool_reference | tool_name_conflict
    | inline[\ -]tool
    | anthropic-beta                                         # a feature that is not known there
    """,
    re.VERBOSE | re.IGNORECASE,
)


_OF_ATTACHMENTS = re.compile(
    r"\b(image|picture|document|pdf|file|url|media|download)s?\b", re.IGNORECASE
)


def blames_thinking(explanation: str) -> bool:
    """Whether a refusal is of thinking that does not fit, or of what was announced."""
    return bool(_OF_THE_PAST.search(explanation))


def blamed_message(explanation: str, own_from: int) -> int | None:
    """The earlier message that a refusal complains of, by its number in the request.

    The turn's own messages begin with number `own_from`: they are nothing of the past.
    """
    paths = (int(number) for number in _PATH.findall(explanation))
    return next((number for number in paths if number < own_from), None)


def names_a_message(explanation: str) -> bool:
    """Whether a refusal says which message it is of."""
    return _PATH.search(explanation) is not None


def blames_attachment(explanation: str) -> bool:
    """Whether a refusal is of a picture or a document."""
    return _OF_ATTACHMENTS.search(explanation) is not None
