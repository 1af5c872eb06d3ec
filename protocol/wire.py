"""How a struct of the wire is written."""

from __future__ import annotations

import msgspec


class Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How every struct of the wire is written: camelCase; what is UNSET is left out."""
