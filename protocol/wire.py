"""How a struct of the wire is written."""

from __future__ import annotations

from typing import Final

import msgspec

NAME_OF_A_FOLDER: Final = r"^[A-Za-z0-9_][A-Za-z0-9_.:-]*(?!\n)$"
"""An id that leads to no other folder: it begins with no dot and has no slash."""


class Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How every struct of the wire is written: camelCase; what is UNSET is left out."""
