"""What of a session the model did not see."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from protocol.context import SentContext, with_cleared, with_dropped, with_epoch

LEFT_OUT = SentContext(left_out_turns=2, left_out_messages=5)


@pytest.mark.parametrize("known", [None, LEFT_OUT])
def test_what_did_not_happen_is_not_told(known: SentContext | None) -> None:
    """Nothing was cleared, no thinking was dropped, no epoch began."""
    assert with_cleared(known, 0, 0.0) is known
    assert with_dropped(known, 0) is known
    assert with_epoch(known, UNSET) is known


@pytest.mark.parametrize(("known", "turns", "messages"), [(None, 0, 0), (LEFT_OUT, 2, 5)])
def test_what_happened_is_told_beside_what_was_left_out(
    known: SentContext | None, turns: int, messages: int
) -> None:
    """One after the other."""
    told = with_epoch(with_dropped(with_cleared(known, 3, 700.4), 1), 4)
    assert told == SentContext(
        left_out_turns=turns,
        left_out_messages=messages,
        cleared_tool_uses=3,
        cleared_tokens=700,
        dropped_thinking=1,
        epoch=4,
    )
