"""Pictures and documents: what each adds to a request, and how many the provider takes."""

from __future__ import annotations

from actors.ports import MediaWeight
from protocol.provider.content import Block
from protocol.records import Attached

MANY_PICTURES = 20
EDGE_AMONG_MANY = 2_000
"""Pixels. Of more than `MANY_PICTURES` each is held to this (the provider's page on vision)."""


def attached_by(block: Block, weight: MediaWeight) -> Attached:
    """What a picture or document adds to a request."""
    is_picture = block["type"] == "image"
    return Attached(pictures=int(is_picture), documents=int(not is_picture), edge=weight.edge)


def too_many(attached: Attached, most_attached: int) -> str | None:
    """Why the provider would refuse so many pictures and documents together."""
    if attached.pictures + attached.documents > most_attached:
        return f"this model takes at most {most_attached} pictures and documents"
    if attached.pictures > MANY_PICTURES and attached.edge > EDGE_AMONG_MANY:
        return (
            f"of more than {MANY_PICTURES} pictures none may have a side of more than "
            f"{EDGE_AMONG_MANY} pixels"
        )
    return None
