"""What was sent of a session before, and what of it the next request sends again.

Two things follow from that. The provider's bill for the former request is the best estimate of the
part that they share. And that part is most likely in the provider's prompt cache, for five minutes
after its last use.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal

import msgspec

from protocol.context import SectionWeight
from protocol.prompt import Prompt
from protocol.records import CalibrationRecord, MessageRecord

CACHE_MILLISECONDS = 300_000
"""How long the provider's cache keeps what is not used (its page on prompt caching)."""

UNDERWAY = 4_096
"""Turns whose requests are remembered until they are completed; a turn may also never begin."""

Reach = Literal["nothing", "tools", "system", "messages"]
"""How far two prompts are the same: tools come first, then the system prompt, then messages."""


class Beginning(msgspec.Struct, frozen=True, kw_only=True):
    """What a prompt begins with, as hashes, and how its messages are read.

    `thinking` is the hash of how the model is to think, `None` whatever it is; `has_media` whether
    there are pictures or documents. A change of either costs the messages their place in the
    provider's cache (its page on prompt caching).
    """

    model: str
    tools: int
    system: int
    thinking: int | None
    has_media: bool


class SentRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request, in as few words as are needed to compare another one with it.

    It had the turns from `first_turn` to `last_turn` (`None`: no history), and `own_messages` of
    its own turn. Tokens are of its text, with what the provider adds; the provider was to clear
    the `cleared` oldest answers of tools. `sent_at` in milliseconds since the epoch.
    """

    beginning: Beginning
    has_tools: bool
    turn_id: str
    first_turn: str
    last_turn: str | None
    own_messages: int
    counted: int
    estimate: int
    cleared: int
    sent_at: int

    @classmethod
    def of(
        cls,
        prompt: Prompt,
        beginning: Beginning,
        turn_id: str,
        *,
        estimate: int,
        cleared: int,
        now: int,
    ) -> SentRequest:
        """What is to be known of `prompt`; `estimate` is of all of it, cleared or not."""
        return cls(
            beginning=msgspec.structs.replace(beginning, has_media=prompt.media_tokens > 0),
            has_tools=prompt.has_tools,
            turn_id=turn_id,
            first_turn=prompt.turns[0][0].turn_id if prompt.turns else turn_id,
            last_turn=prompt.turns[-1][0].turn_id if prompt.turns else None,
            own_messages=len(prompt.current),
            counted=prompt.counted_tokens,
            estimate=estimate - prompt.media_tokens,
            cleared=cleared,
            sent_at=now,
        )

    def shared(self, turns: Sequence[list[MessageRecord]]) -> list[list[MessageRecord]]:
        """Of each of the session's turns, or of the last of them, the messages that it had too."""
        at = {turn[0].turn_id: number for number, turn in enumerate(turns)}
        first = at.get(self.first_turn, 0)
        own = at.get(self.turn_id)
        end = own if own is not None else at.get(self.last_turn or "", -1) + 1
        shared = [turn if first <= n < end else [] for n, turn in enumerate(turns)]
        if own is not None:
            shared[own] = turns[own][: self.own_messages]
        return shared


class Billed(msgspec.Struct, frozen=True, kw_only=True):
    """A request, and the tokens that its text was billed."""

    sent: SentRequest
    tokens: int

    def reaches(self, beginning: Beginning, *, now: int, least: int) -> Reach:
        """How far the provider most likely remembers it, from `least` tokens on."""
        known = self.sent.beginning
        stale = now - self.sent.sent_at >= CACHE_MILLISECONDS or self.tokens < least
        if stale or (known.model, known.tools) != (beginning.model, beginning.tools):
            return "nothing"
        if known.system != beginning.system:
            return "tools"
        alike = beginning.thinking in (None, known.thinking)
        return "messages" if alike and beginning.has_media == known.has_media else "system"


class Flight:
    """A turn's requests so far, and what was known when the first was made."""

    def __init__(self, former: Billed | None, weights: tuple[SectionWeight, ...]) -> None:
        self.former = former
        self.weights = weights
        self.keeps_in_doubt = False
        """Whether a part of the answer may be stored, or may not."""
        self._requests: dict[int, SentRequest] = {}

    def add(self, request: SentRequest) -> None:
        """One more request; no two of a turn have the same count."""
        self._requests[request.counted] = request

    @property
    def latest(self) -> SentRequest:
        """The request that was made last."""
        return next(reversed(self._requests.values()))

    def find(self, sample: CalibrationRecord) -> SentRequest | None:
        """The request that was billed so."""
        return self._requests.get(sample.counted)


class Underway:
    """The turns that are not completed, bounded."""

    def __init__(self) -> None:
        self._flights: OrderedDict[str, Flight] = OrderedDict()

    def begin(self, flight: Flight) -> None:
        """A turn's first request has been made."""
        self._flights[flight.latest.turn_id] = flight
        if len(self._flights) > UNDERWAY:
            self._flights.popitem(last=False)

    def find(self, turn_id: str) -> Flight | None:
        """The turn, if it is still remembered."""
        return self._flights.get(turn_id)

    def end(self, turn_id: str) -> Flight | None:
        """The turn, which is completed."""
        return self._flights.pop(turn_id, None)
