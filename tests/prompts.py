"""Requests for tests: a short way to write them."""

from __future__ import annotations

from typing import Any

from protocol.prompt import Prompt


def prompt_of(body: bytes = b"{}", **fields: Any) -> Prompt:
    """A request with this JSON, of no weight unless it is said otherwise."""
    weight = {
        "max_tokens": 1_000,
        "has_tools": False,
        "counted_tokens": 0,
        "media_tokens": 0,
        "is_opaque": False,
        "own_from": 0,
        "token_estimate": 0,
        "likely_cost": None,
        "context": None,
    }
    return Prompt(body=body, betas=(), **{**weight, **fields})
