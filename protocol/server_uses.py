"""Uses of the provider's own tools, and their results: which of them it takes back.

The provider checks these blocks of a request's messages as any others. A use has an id of its own
kind, which no other use has, and a name; a result comes after its use, once, and its content has
blocks (the reference of the Messages API, August 2026; the words are in public reports). A model,
or a gateway that only speaks the same language, may send others. They are left out of what the
session keeps: nobody knows what was meant.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from protocol.blocks import goes_back
from protocol.calls import NAME
from protocol.provider.content import Block

_ID = re.compile(r"srvtoolu_[a-zA-Z0-9_]{1,128}")


class ServerUses:
    """The uses of a turn. A result may come in a later answer than its use."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._waiting: set[str] = set()

    def takes(self, block: Block) -> bool:
        """Whether the provider takes this further block back, as far as it is a use or a result."""
        if block["type"] == "server_tool_use":
            return self._begins(block)
        return not _is_result(block) or self._ends(block)

    def _begins(self, block: Block) -> bool:
        use, name = block["id"], block.get("name")
        is_named = isinstance(name, str) and NAME.fullmatch(name) is not None
        if not is_named or not _ID.fullmatch(use) or use in self._known:
            return False
        self._known.add(use)
        self._waiting.add(use)
        return True

    def _ends(self, block: Block) -> bool:
        use = block.get("tool_use_id")
        if use not in self._waiting or not _is_content(block.get("content")):
            return False
        self._waiting.remove(use)
        return True


def without_result(blocks: Sequence[Block], gone: Collection[int]) -> set[int]:
    """The places of uses whose result came, and is `gone`, as the blocks at those places are."""
    results = [(at, one.get("tool_use_id")) for at, one in enumerate(blocks) if _is_result(one)]
    kept = {use for at, use in results if at not in gone}
    lost = {use for at, use in results if at in gone} - kept
    uses = ((at, one["id"]) for at, one in enumerate(blocks) if one["type"] == "server_tool_use")
    return {at for at, use in uses if use in lost}


def _is_result(block: Block) -> bool:
    kind = block["type"]
    return bool(kind.endswith("_tool_result")) and kind != "mcp_tool_result"


def _is_content(content: object) -> bool:
    """One block, or a list of them."""
    return all(map(goes_back, content if isinstance(content, list) else [content]))
