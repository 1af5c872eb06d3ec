"""From counted tokens to estimated ones, for one request."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from actors.context.estimate.calibration import LEAST_RATIO, MOST_RATIO, Line
from actors.context.estimate.sent import Billed
from protocol.records import MessageRecord


class Scale(msgspec.Struct, frozen=True):
    """From counted tokens to estimated ones.

    `extra` is what a token weighs beside the line, if the former request had it too: that was
    billed as it was, and its kinds of text may differ from those of other requests.
    """

    line: Line
    former: Billed | None = None

    @property
    def extra(self) -> float:
        """Estimated tokens for each counted one that the former request had."""
        if self.former is None or not self.former.sent.counted:
            return 0.0
        known = (self.former.tokens - self.line.overhead) / self.former.sent.counted
        return max(LEAST_RATIO, min(known, MOST_RATIO)) - self.line.ratio

    def fixed(self, counted: float) -> float:
        """A text that comes with every request."""
        return (self.line.ratio + self.extra) * counted

    def messages(self, records: Sequence[MessageRecord], shared: int = 0) -> float:
        """Messages, the first `shared` of which the former request had."""
        counted = sum(record.token_count for record in records)
        known = sum(record.token_count for record in records[:shared])
        media = sum(record.media_tokens for record in records)
        return self.line.ratio * counted + self.extra * known + media

    def turns(self, turns: Sequence[list[MessageRecord]]) -> list[float]:
        """Each of the session's turns, or of the last of them."""
        if self.former is None:
            return [self.messages(turn) for turn in turns]
        shared = self.former.sent.shared(turns)
        return [self.messages(turn, len(known)) for turn, known in zip(turns, shared, strict=True)]
