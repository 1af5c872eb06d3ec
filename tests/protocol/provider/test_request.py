"""Requests as the provider takes them."""

from __future__ import annotations

import json

import msgspec

from protocol.provider.request import (
    CACHE_BREAKPOINT,
    RequestHead,
    SystemBlock,
    Tool,
)


def test_a_request_leaves_out_what_it_does_not_say() -> None:
    """The head of a plain question."""
    request = RequestHead(model="m", max_tokens=5, stream=True)
    assert json.loads(msgspec.json.encode(request)) == {
        "model": "m",
        "max_tokens": 5,
        "stream": True,
    }


def test_a_request_says_everything_it_has() -> None:
    """System prompt, tools, thinking, effort and breakpoints, in the provider's shapes."""
    tool = Tool("clock", "Tells the time.", {"type": "object"})
    request = RequestHead(
        model="m",
        max_tokens=5,
        system=[SystemBlock("Be kind."), SystemBlock("Be brief.", CACHE_BREAKPOINT)],
        tools=msgspec.Raw(msgspec.json.encode([tool])),
        thinking={"type": "adaptive"},
        output_config={"effort": "low"},
        context_management={"edits": []},
        cache_control=CACHE_BREAKPOINT,
        stream=True,
    )
    assert json.loads(msgspec.json.encode(request)) == {
        "model": "m",
        "max_tokens": 5,
        "system": [
            {"type": "text", "text": "Be kind."},
            {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}},
        ],
        "tools": [
            {
                "name": "clock",
                "description": "Tells the time.",
                "input_schema": {"type": "object"},
            }
        ],
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "low"},
        "context_management": {"edits": []},
        "cache_control": {"type": "ephemeral"},
        "stream": True,
    }
