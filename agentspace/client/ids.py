"""Ids of requests."""

from __future__ import annotations

import secrets


def new_id() -> str:
    """A fresh id of a request."""
    return f"req_{secrets.token_urlsafe(9)}"
