"""The models, and what each of them can do."""

import re
from typing import Literal

import msgspec

from gateway.simulator.reply import Json
from protocol.provider.model_info import Lifecycle

ThinkingMode = Literal["enabled", "adaptive", "disabled", "between_tools"]

LOW_TO_HIGH = ("low", "medium", "high")
LOW_TO_MAX = ("low", "medium", "high", "max")
ALL_EFFORTS = ("low", "medium", "high", "xhigh", "max")

_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d+)(?:-(\d{1,2})(?!\d))?")


class ModelSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A model. Windows and limits are in tokens.

    - `thinks_unasked`: it thinks when the request says nothing about thinking
    - `quiet_efforts`: the efforts that it takes with thinking off, if it has them
    - `display`: how thinking is shown when the request does not say
    - `cacheable`: the shortest prompt that is cached
    - `snapshot`: the dated id that this one is an alias of
    """

    id: str
    name: str
    line: str
    released: str
    thinking: tuple[ThinkingMode, ...]
    window: int = 1_000_000
    max_tokens: int = 128_000
    efforts: tuple[str, ...] = ALL_EFFORTS
    quiet_efforts: tuple[str, ...] = ALL_EFFORTS
    display: Literal["summarized", "omitted"] = "omitted"
    cacheable: int = 512
    thinks_unasked: bool = True
    takes_sampling: bool = False
    takes_prefill: bool = False
    snapshot: str | None = None
    lifecycle: Lifecycle = "active"
    deprecated: str | None = None
    retires: str | None = None

    @property
    def version(self) -> tuple[int, int]:
        """Its generation, (5, 5) for example; (0, 0) when the id tells none."""
        told = _VERSION.match(self.id)
        return (int(told[1]), int(told[2] or 0)) if told else (0, 0)

    @property
    def structures(self) -> bool:
        """Whether it takes an output format and strict tools."""
        return self.released >= "2025-09"

    @property
    def always_thinks(self) -> bool:
        """Whether thinking cannot be turned off, nor down to between tools."""
        return self.thinking == ("adaptive",) and self.thinks_unasked

    def info(self) -> Json:
        """The model in the shape of `GET /v1/models/{id}`."""
        return {
            "type": "model",
            "id": self.id,
            "display_name": self.name,
            "created_at": _instant(self.released),
            "line": self.line,
            "lifecycle": self.lifecycle,
            "deprecated_at": _instant(self.deprecated),
            "retires_at": _instant(self.retires),
            "max_input_tokens": self.window,
            "max_tokens": self.max_tokens,
            "capabilities": self._capabilities(),
        }

    def _capabilities(self) -> Json:
        modern = self.released >= "2025-05"
        latest = self.released >= "2026"
        return {
            "batch": _support(supported=True),
            "citations": _support(supported=True),
            "code_execution": _support(supported=latest),
            "context_management": {
                "supported": modern,
                "clear_thinking_20251015": _support(supported=modern),
                "clear_tool_uses_20250919": _support(supported=modern),
                "compact_20260112": _support(supported=latest),
            },
            "effort": {
                "supported": bool(self.efforts),
                **{level: _support(supported=level in self.efforts) for level in ALL_EFFORTS},
            },
            "image_input": _support(supported=True),
            "pdf_input": _support(supported=True),
            "server_tools": {
                "supported": True,
                "code_execution": _support(supported=True),
                "web_search": _support(supported=True),
            },
            "structured_outputs": _support(supported=self.structures),
            "thinking": {
                "supported": "enabled" in self.thinking or "adaptive" in self.thinking,
                "types": {
                    kind: _support(supported=kind in self.thinking)
                    for kind in ("enabled", "adaptive", "disabled", "between_tools")
                },
            },
        }


def _support(*, supported: bool) -> dict[str, bool]:
    return {"supported": supported}


def _instant(day: str | None) -> str | None:
    return f"{day}T00:00:00Z" if day else None
