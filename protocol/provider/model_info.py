"""What a model can do, and what becomes of it."""

from __future__ import annotations

from typing import Literal

import msgspec

from protocol.provider.thinking import Effort, ThinkingType

Binding = Literal["checked", "appended", "rebuilt"]
"""How a model's thinking is bound to the conversation before it, and how changes are told to it.

- `checked`: the provider checks that nothing before a thinking block has changed. A change is told
  in a message of the role `system` after it.
- `appended`: the provider takes such messages, and checks nothing.
- `rebuilt`: the provider takes no such messages, so the head of the request is made anew.
"""

Lifecycle = Literal["active", "deprecated", "retired"]


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One model: limits in tokens, the `thinking.type` values and efforts that it accepts.

    - `thinks`: whether it has thinking at all; a model without it accepts `disabled` too
    - `quiet_efforts`: the efforts that it accepts with thinking off
    - `binding`, `least_cacheable`: see `Binding`; tokens of the shortest prompt that is cached
    - `forces_tools`: whether `tool_choice` may force a tool while it does not think
    - `samples`: whether it takes `temperature`, `top_p` and `top_k`
    - `structures`: whether it takes an output format and strict tools
    - `finds_tools`: whether it can look for deferred tools
    - `eager_inputs`: whether it streams a tool's arguments as it writes them, if asked to
    - `server_tools`: the types of the provider's own tools that it takes, the newest first
    - `edits`: the ways in which the provider can shorten its prompt by itself
    - `lifecycle`: as it was told; `None` when nothing was (see `lifecycle_on`)
    - `retires_on`, `successor`: a date as `2026-11-30`, and a model's id
    """

    id: str
    display_name: str
    max_input_tokens: int
    max_tokens: int
    thinks: bool
    thinking: tuple[ThinkingType, ...]
    efforts: tuple[Effort, ...]
    quiet_efforts: tuple[Effort, ...]
    binding: Binding
    least_cacheable: int
    forces_tools: bool
    samples: bool
    structures: bool
    finds_tools: bool
    eager_inputs: bool
    server_tools: tuple[str, ...]
    edits: tuple[str, ...] = ()
    lifecycle: Lifecycle | None = None
    retires_on: str | None = None
    successor: str | None = None

    def lifecycle_on(self, day: str) -> Lifecycle | None:
        """What has become of it by a `day`, a date in UTC; `None` when it is not known.

        What was told counts. Where only the date of its retirement is known, that decides: requests
        fail from that day on (the provider's page "Model deprecations", November 2026).
        """
        if self.lifecycle is not None or self.retires_on is None:
            return self.lifecycle
        return "retired" if day >= self.retires_on else "deprecated"

    @property
    def most_attached(self) -> int:
        """Pictures and documents of one request, and pages of a document.

        Fewer for a small window (the provider's pages on vision and on PDFs).
        """
        return 100 if self.max_input_tokens <= 200_000 else 600
