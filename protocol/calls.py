"""A model's call of a tool, as the session can keep it: judged once, when its block is whole.

The provider checks the calls of a request's messages, too. It takes back no name, id or arguments
that it would not take from a client, and says so again to every later request (the page on tool
definitions and the reference of the Messages API, August 2026; the words are in public reports).
A model, or a provider that only speaks the same language, may write such a call all the same.
So it is kept with a name, an id and arguments that are taken back. If only its id was odd, it is
run. Otherwise the model is told what is wrong with it, and may call again.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from protocol.free_form import is_too_deep
from protocol.provider.content import Block

LONGEST_QUOTE = 1_000
"""Characters of what the model wrote that it is told again."""

NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_NOT_OF_A_NAME = re.compile(r"[^a-zA-Z0-9_-]")
_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""What the provider takes back, and a client can say again."""


class CallIds:
    """The ids of a turn's calls. An odd, missing or doubled one is replaced by one of the turn's.

    A client answers a call, or agrees to it, by its id, so no two calls may have the same. The new
    ids contain `turn_id`, so that no other turn of the session has them.
    """

    def __init__(self, turn_id: str) -> None:
        self._turn_id = turn_id
        self._taken: set[str] = set()

    def take(self, given: object) -> str:
        """The id of a further call that was `given` this one."""
        call_id = given if isinstance(given, str) and _ID.fullmatch(given) else ""
        number = len(self._taken)
        while not call_id or call_id in self._taken:
            number += 1
            call_id = f"{self._turn_id}_{number}"
        self._taken.add(call_id)
        return call_id


class Judged(NamedTuple):
    """A call's block as it is kept, and why it cannot be run, for the model."""

    block: Block
    fault: str | None


def judged(block: Block, ids: CallIds) -> Judged:
    """The call as it is kept. Arguments that are no JSON come as the text that they are."""
    name, arguments = block.get("name"), block.get("input")
    if arguments is None:
        arguments = {}
    kept = {**block, "id": ids.take(block.get("id")), "input": arguments}
    faults = []
    if not isinstance(name, str) or not NAME.fullmatch(name):
        kept["name"] = _NOT_OF_A_NAME.sub("_", str(name or ""))[:128] or "unnamed"
        faults.append(
            f"There is no tool named {_cut(json.dumps(name))}. Use a name that you were given."
        )
    if (fault := _fault_of(arguments)) is not None:
        kept["input"] = {}
        faults.append(fault)
    return Judged(kept, f"{' '.join(faults)} Nothing was run." if faults else None)


def _fault_of(arguments: object) -> str | None:
    """What is wrong with a call's arguments.

    That they are quoted so is the advice of the page on fine-grained tool streaming, August 2026.
    """
    if not isinstance(arguments, dict):
        quoted = arguments if isinstance(arguments, str) else json.dumps(arguments)
        wrapped = json.dumps({"INVALID_JSON": _cut(quoted)})
        return f"The arguments are no JSON object, or not a whole one: {wrapped}."
    return "The arguments are nested too deeply." if is_too_deep(arguments) else None


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}…"
