"""What pictures and documents add to a request."""

from __future__ import annotations

from actors.attachments import attached_by
from actors.ports import MediaWeight
from protocol.records import Attached


def test_a_picture_counts_with_its_longer_side() -> None:
    """A document has none."""
    assert attached_by({"type": "image"}, MediaWeight(900, 300)) == Attached(pictures=1, edge=300)
    assert attached_by({"type": "document"}, MediaWeight(900)) == Attached(documents=1)
