"""What the provider takes."""

from __future__ import annotations

import pytest

from protocol.provider.limits import too_many
from protocol.records import Attached


@pytest.mark.parametrize(
    ("attached", "reason"),
    [
        (Attached(), None),
        (Attached(pictures=60, documents=40), None),
        (Attached(pictures=61, documents=40), "at most 100 pictures and documents"),
        (Attached(pictures=20, edge=8_000), None),
        (Attached(pictures=21, edge=2_000), None),
        (Attached(pictures=21, edge=2_001), "a side of more than 2000 pixels"),
    ],
)
def test_a_message_with_too_many_pictures_is_told(attached: Attached, reason: str | None) -> None:
    """In words for a person."""
    told = too_many(attached, 100)
    assert told == reason if reason is None else reason in str(told)
