"""The requests of a session that were sent before, in as few words as the next one needs.

Two things follow from what was billed for them. The bill is the best estimate of the part that the
next request has in common with them. And that part is most likely in the provider's prompt cache,
for five minutes after its last use.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from protocol.provider.limits import CACHE_MILLISECONDS

Reach = Literal["nothing", "tools", "system", "messages"]
"""How far two prompts are the same: tools come first, then the system prompt, then messages."""


class Beginning(msgspec.Struct, frozen=True, kw_only=True):
    """What a prompt begins with, as hashes, and how its messages are read.

    Within one `epoch` the messages of a session are the same from the first one on. `thinking` is
    the hash of how the model is to think, `None` whatever it is; `has_media` whether there are
    pictures or documents. A change of either costs the messages their place in the provider's
    cache (its page on prompt caching).
    """

    model: str
    epoch: int
    tools: int
    system: int
    thinking: int | None
    has_media: bool


class SentRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request: it had the session's entries up to the place `last`.

    Tokens are of its text: `counted` by the tokenizer, `estimate` with what the provider adds. The
    provider was to clear the `cleared` oldest answers of tools. `sent_at` is in milliseconds since
    the epoch, and for `kept` milliseconds the provider most likely remembers it.
    """

    beginning: Beginning
    has_tools: bool
    last: int
    counted: int
    estimate: int
    cleared: int
    sent_at: int
    kept: int = CACHE_MILLISECONDS


class Billed(msgspec.Struct, frozen=True, kw_only=True):
    """A request, and the tokens that its text was billed."""

    sent: SentRequest
    tokens: int

    def reaches(self, beginning: Beginning, *, now: int, least: int) -> Reach:
        """How far the provider most likely remembers it, from `least` tokens on."""
        known = self.sent.beginning
        stale = now - self.sent.sent_at >= self.sent.kept or self.tokens < least
        if stale or (known.model, known.tools) != (beginning.model, beginning.tools):
            return "nothing"
        if known.system != beginning.system:
            return "tools"
        alike = beginning.thinking in (None, known.thinking) and known.epoch == beginning.epoch
        return "messages" if alike and beginning.has_media == known.has_media else "system"
