"""What was sent before, and what of it comes again."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.context.estimate.sent import Beginning, Billed, SentRequest
from protocol.provider.limits import HOUR_MILLISECONDS

BEGINNING = Beginning(model="m", epoch=2, tools=1, system=2, thinking=3, has_media=False)
SENT = SentRequest(
    beginning=BEGINNING,
    has_tools=True,
    last=7,
    counted=700,
    estimate=710,
    cleared=0,
    sent_at=0,
)
BILLED = Billed(sent=SENT, tokens=700)


@pytest.mark.parametrize(
    ("changes", "reach"),
    [
        ({}, "messages"),
        ({"thinking": None}, "messages"),
        ({"thinking": 4}, "system"),
        ({"has_media": True}, "system"),
        ({"epoch": 3}, "system"),
        ({"system": 4}, "tools"),
        ({"tools": 4}, "nothing"),
        ({"model": "n"}, "nothing"),
    ],
)
def test_a_change_costs_what_comes_behind_it(changes: dict[str, Any], reach: str) -> None:
    """Tools come first, then the system prompt; another model remembers nothing."""
    beginning = msgspec.structs.replace(BEGINNING, **changes)
    assert BILLED.reaches(beginning, now=1, least=512) == reach


@pytest.mark.parametrize(("now", "least"), [(300_000, 512), (1, 701)])
def test_what_is_old_or_short_is_not_remembered(now: int, least: int) -> None:
    """Five minutes after its last use, or below the least length of the model."""
    assert BILLED.reaches(BEGINNING, now=now, least=least) == "nothing"
    assert BILLED.reaches(BEGINNING, now=299_999, least=700) == "messages"


def test_a_prompt_that_is_kept_for_an_hour_is_remembered_so_long() -> None:
    """From when it was sent."""
    kept = msgspec.structs.replace(BILLED.sent, kept=HOUR_MILLISECONDS)
    billed = msgspec.structs.replace(BILLED, sent=kept)
    sent_at = BILLED.sent.sent_at
    assert billed.reaches(BEGINNING, now=sent_at + 3_599_999, least=512) == "messages"
    assert billed.reaches(BEGINNING, now=sent_at + 3_600_000, least=512) == "nothing"
