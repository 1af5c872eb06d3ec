"""Whether a refusal of the provider is about the new question, or about what was said before.

A 400 is final: the provider refuses the same request again, and every later message of the session
with it. If the refusal is about something before the turn, a request in which the conversation
begins anew may help. No code tells the two apart, only the explanation: mostly the path of what is
refused, and then some words.

The words are from the pages on prefix checks, on tool changes and system messages in a
conversation, and on beta headers, November 2026. A word too many costs one more request; a word too
few costs the session. So the words of other refusals of thinking blocks are here, too.
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


_OF_CONTAINERS = re.compile(r"\bcontainer(?!_upload)s?(_\w+)?\b", re.IGNORECASE)
"""Also by the id alone (`container_011C…`); a `container_upload` is a block of a message."""


def blames_container(explanation: str) -> bool:
    """Whether a refusal is about the container that the request names: expired, or not there.

    The page on code execution says that there is an error, and not which (August 2026).
    """
    return bool(_OF_CONTAINERS.search(explanation))


def blames_thinking(explanation: str) -> bool:
    """Whether a refusal is about thinking that does not fit, or about an announcement."""
    return bool(_OF_THE_PAST.search(explanation))


def blamed_message(explanation: str, own_from: int) -> int | None:
    """The earlier message that a refusal is about, by its number in the request.

    The turn's own messages begin with number `own_from`; they are not earlier ones.
    """
    paths = (int(number) for number in _PATH.findall(explanation))
    return next((number for number in paths if number < own_from), None)


def names_a_message(explanation: str) -> bool:
    """Whether a refusal says which message it is of."""
    return _PATH.search(explanation) is not None


def blames_attachment(explanation: str) -> bool:
    """Whether a refusal is of a picture or a document."""
    return _OF_ATTACHMENTS.search(explanation) is not None
