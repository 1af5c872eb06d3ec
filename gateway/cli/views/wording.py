"""What a gateway says of a failure, for somebody who types commands.

Its messages are for whoever writes a program, and name fields and messages of the protocol. Where
one can be met from the command line, it has other words here.
"""

from __future__ import annotations

import re
from typing import Final

_SENTENCES: Final = {
    "Leave `sessionId` out to begin a new one.": "`agentspace sessions` lists all there are.",
    "Ask for `model.list`.": "`/model` in `agentspace chat` lists all it knows.",
}

_FIELDS: Final = {"sessionId": "session", "turnId": "turn", "requestId": "request"}

_NOT_SPELLED_SO: Final = re.compile(
    r"`(?P<field>[A-Za-z]+)`: Expected `str` matching regex .*", re.DOTALL
)
_OF_A_FIELD: Final = re.compile(r"\A`(?P<field>[A-Za-z]+)`: ")


def in_words(message: str) -> str:
    """The message of an error, in words for the command line."""
    for sentence, words in _SENTENCES.items():
        message = message.replace(sentence, words)
    if found := _NOT_SPELLED_SO.fullmatch(message):
        return f"No {_named(found)} is spelled like that."
    return _OF_A_FIELD.sub(lambda found: f"{_named(found)}: ", message)


def _named(found: re.Match[str]) -> str:
    return _FIELDS.get(found["field"], found["field"])
