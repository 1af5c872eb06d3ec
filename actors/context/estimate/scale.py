"""From counted tokens to estimated ones, for one request."""

from __future__ import annotations

import msgspec

from actors.context.estimate.calibration import LEAST_RATIO, MOST_RATIO, Line
from actors.context.estimate.sent import Billed
from protocol.transcript import Transcript


class Scale(msgspec.Struct, frozen=True):
    """What counted tokens are estimated at: by the `line`, and by what the `former` request cost.

    `extra` is added to the line's ratio for a token that the former request had too. The bill says
    what those tokens weigh; other requests may have other kinds of text.
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

    def old(self, counted: float) -> float:
        """A text that the former request had too."""
        return (self.line.ratio + self.extra) * counted

    def messages(self, transcript: Transcript, begin: int = 0, end: int | None = None) -> float:
        """The messages from `begin` up to `end`."""
        first, last = transcript.sums(begin), transcript.sums(end)
        estimate = self.line.ratio * (last.counted - first.counted) + (last.media - first.media)
        if self.former is None:
            return estimate
        end = len(transcript) if end is None else end
        known = max(begin, min(end, self.shared(transcript)))
        return estimate + self.extra * (transcript.sums(known).counted - first.counted)

    def shared(self, transcript: Transcript) -> int:
        """How many messages the former request had too."""
        return 0 if self.former is None else transcript.before(self.former.sent.last + 1)
