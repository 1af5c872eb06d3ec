"""What is known of a model from its id alone: the table's row, and what its spelling tells."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from protocol.provider.model_ids import Seller, read_id
from protocol.provider.model_info import Binding, ModelInfo
from protocol.provider.model_table import FIRST_TOOLS, ROWS, UNLISTED


def fallback(model: str) -> ModelInfo:
    """What the table knows of `model`; an unknown family gets no thinking.

    Clouds and gateways retire models on days of their own, and have the first versions of the
    provider's own tools (its pages "Model deprecations" and "Web search tool").
    """
    row, seller = _found(model)
    known = msgspec.structs.replace(row, id=model, display_name=model)
    if seller == "provider":
        return known
    return msgspec.structs.replace(
        known, server_tools=FIRST_TOOLS, lifecycle=None, retires_on=None, successor=None
    )


@lru_cache(maxsize=1_024)  # it is asked of every answer of a session that is loaded
def binding(model: str) -> Binding:
    """How the thinking of `model` is bound to what stands before it."""
    return _found(model)[0].binding


def _found(model: str) -> tuple[ModelInfo, Seller | None]:
    """The row of the model, or of the newest one of its line that is not newer; and its seller.

    A model whose row is not exactly its own has no lifecycle.
    """
    name = read_id(model)
    row = ROWS.get((name.line, name.version))
    if row is not None:
        return row, name.seller
    older = [version for line, version in ROWS if line == name.line and version <= name.version]
    if name.line and older:
        return ROWS[name.line, max(older)], None
    return next(row for least, row in UNLISTED if name.version >= least), None
