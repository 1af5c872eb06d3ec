"""What the simulator remembers of its answers, to know them when they come back.

A call of a tool comes back together with the thinking it followed; an answer that paused may be the
last message of a request, since it is taken up there.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from gateway.simulator.errors import invalid
from gateway.simulator.reply import Json
from gateway.simulator.transcript import THOUGHTS, is_server_result, last_turn

LIMIT = 20_000
"""Calls, and paused answers, that are remembered; the oldest go first."""

_encode = msgspec.json.Encoder(order="deterministic").encode


class AnswerMemory:
    """Remembers the thinking before each call, and the last block of each answer that paused."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._thoughts: OrderedDict[str, list[list[str]]] = OrderedDict()
        self._pauses: OrderedDict[bytes, None] = OrderedDict()

    def remember(self, content: Sequence[Json], stop_reason: str) -> None:
        """An answer was given."""
        thoughts = _thoughts(content)
        for block in content:
            if block["type"] == "tool_use":
                known = self._thoughts.setdefault(block["id"], [])
                if thoughts not in known:
                    known.append(thoughts)
        if stop_reason == "pause_turn" and content:
            self._pauses[_key(content[-1])] = None
        for memory in (self._thoughts, self._pauses):
            while len(memory) > self._limit:
                memory.popitem(last=False)

    def paused(self, message: Json) -> bool:
        """Whether this (merged) assistant message ends where an answer paused."""
        if not message["content"]:
            return False
        last = message["content"][-1]
        if last["type"] == "server_tool_use" or is_server_result(last):
            return True
        return _key(last) in self._pauses

    def check_thoughts(self, messages: Sequence[Json]) -> None:
        """In a turn that waits for tools, calls come back with the thinking they followed."""
        first = len(messages) - len(turn := last_turn(messages))
        for at, message in enumerate(turn, start=first):
            if message["role"] != "assistant":
                continue
            present = _thoughts(message["content"])
            for place, block in enumerate(message["content"]):
                known = self._thoughts.get(str(block.get("id")))
                if known and not any(_in_order(thoughts, present) for thoughts in known):
                    raise invalid(
                        f"messages.{at}.content.{place}: `thinking` or `redacted_thinking` blocks "
                        "in the latest assistant message cannot be modified. These blocks must "
                        "remain as they were in the original response."
                    )


def _thoughts(content: Sequence[Json]) -> list[str]:
    """The signatures of an answer's thinking; each of them vouches for its text."""
    return [
        str(block.get("signature") or block.get("data"))
        for block in content
        if block["type"] in THOUGHTS
    ]


def _in_order(wanted: Sequence[str], present: Sequence[str]) -> bool:
    """Whether all of `wanted` are in `present`, in that order."""
    rest = iter(present)
    return all(thought in rest for thought in wanted)


def _key(block: Json) -> bytes:
    plain = {k: v for k, v in block.items() if k != "cache_control" and v is not None}
    return hashlib.blake2b(_encode(plain), digest_size=16).digest()
