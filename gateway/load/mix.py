"""Which kinds of turns a load is made of."""

from __future__ import annotations

from random import Random
from typing import Final, Literal, get_args

import msgspec

TurnKind = Literal["plain", "tools", "cancel", "drop", "slow", "played"]
"""`plain`: asked and answered. `tools`: the client answers a tool. `cancel`: cancelled while it is
answered. `drop`: the connection is lost, and another takes the turn up. `slow`: the client reads
slowly. `played`: from a recording.
"""

KINDS: Final[tuple[TurnKind, ...]] = get_args(TurnKind)[:-1]
"""Those that a mix may name."""


class BadMix(ValueError):
    """What was given is no mix; one line, for a person."""


class Mix(msgspec.Struct, frozen=True):
    """Kinds of turns by weight."""

    weights: dict[TurnKind, float]

    def choose(self, random: Random) -> TurnKind:
        """The kind of the next turn."""
        return random.choices(list(self.weights), list(self.weights.values()))[0]


PLAIN: Final = Mix({"plain": 1.0})


def read_mix(text: str) -> Mix:
    """`plain=8,cancel=1`; a kind without a weight has 1. Raises BadMix."""
    weights: dict[TurnKind, float] = {}
    for part in text.split(","):
        name, _, weight = part.strip().partition("=")
        kind = next((known for known in KINDS if known == name), None)
        if kind is None:
            raise BadMix(f"{name!r} is no kind of turn: take {', '.join(KINDS)}.")
        try:
            weights[kind] = float(weight or 1)
        except ValueError:
            raise BadMix(f"{weight!r} is no weight: give a number, as in plain=8.") from None
    if min(weights.values()) < 0 or not 0 < sum(weights.values()) < float("inf"):
        raise BadMix("weights are not negative, and one of them is more than 0.")
    return Mix(weights)
