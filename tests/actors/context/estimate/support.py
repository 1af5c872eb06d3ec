"""What the tests of estimates have in common: transcripts of so many tokens, bills, scales."""

from __future__ import annotations

from actors.context.estimate.calibration import PRIOR, Line
from actors.context.estimate.scale import Scale
from actors.context.estimate.sent import Beginning, Billed, SentRequest
from protocol.provider.model_info import Binding
from protocol.records import Entry
from protocol.transcript import Transcript

PLAIN = Scale(PRIOR)
"""What is counted is billed."""


def transcript(*entries: Entry, binding: Binding = "checked", began: int = 0) -> Transcript:
    """What models of a kind get of the entries."""
    made = Transcript(binding, began)
    for one in entries:
        made.add(one)
    return made


def scale(line: Line, *, counted: int, tokens: int, last: int) -> Scale:
    """By the line, and by a former request that had the entries up to the place `last`."""
    beginning = Beginning(model="m", epoch=0, tools=0, system=0, thinking=None, has_media=False)
    sent = SentRequest(
        beginning=beginning,
        has_tools=False,
        last=last,
        counted=counted,
        estimate=0,
        cleared=0,
        sent_at=0,
    )
    return Scale(line, Billed(sent=sent, tokens=tokens))
