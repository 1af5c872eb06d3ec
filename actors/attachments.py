"""What pictures and documents add to a request."""

from __future__ import annotations

from actors.ports import MediaWeight
from protocol.provider.content import Block
from protocol.records import Attached


def attached_by(block: Block, weight: MediaWeight) -> Attached:
    """What a picture or document adds to a request."""
    is_picture = block["type"] == "image"
    return Attached(pictures=int(is_picture), documents=int(not is_picture), edge=weight.edge)
