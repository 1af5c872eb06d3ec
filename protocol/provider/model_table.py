"""The table of models, as of 29 November 2026.

One row a model, and a few for models that are not listed. A model that is newer than every row of
its line is taken for the line's newest one. What the provider's models endpoint tells wins over it
(`protocol.provider.told`), and what the settings say wins over both.

Sources, all of November 2026: the ids of the SDK (anthropic 2.11, `types/model.py`), and the
provider's pages "Models overview", "What's new" of each model, "Thinking", "Effort", "Prompt
caching", "Prefix checks on thinking blocks", "Mid-conversation system messages and tool changes",
"Structured outputs", "Tool reference", "Tool search tool", "Fine-grained tool streaming",
"Model deprecations" and "API versions". Where they are silent, the strict reading stands here.

Days of retirement and successors are those of "Model deprecations", and of the SDK where it has
them (`DEPRECATED_MODELS`). It has none of Haiku 3: BerriAI/litellm#26139 saw it go on the page's
day. A row with a day has no lifecycle of its own, for the day decides (`ModelInfo.lifecycle_on`).
"""

from __future__ import annotations

from functools import partial

from protocol.provider.model_info import ModelInfo
from protocol.provider.thinking import Effort

LOW_TO_HIGH: tuple[Effort, ...] = ("low", "medium", "high")
LOW_TO_MAX: tuple[Effort, ...] = ("low", "medium", "high", "max")
ALL_EFFORTS: tuple[Effort, ...] = ("low", "medium", "high", "xhigh", "max")

FIRST_TOOLS = ("web_search_20250305", "web_fetch_20250910", "code_execution_20250825")
"""The versions that every model, cloud and gateway takes that has the tools at all."""

LATEST_TOOLS = (
    "web_search_20260318",
    "web_search_20260209",
    "web_fetch_20260318",
    "web_fetch_20260309",
    "web_fetch_20260209",
    "code_execution_20260521",
    "code_execution_20260120",
    *FIRST_TOOLS,
)
"""What a model takes whose code may call tools: the latest ones filter by code what they find."""


def _row(name: str, **abilities: object) -> ModelInfo:
    if "retires_on" in abilities:
        abilities["lifecycle"] = None
    row: dict[str, object] = {"display_name": name, "quiet_efforts": abilities["efforts"]}
    return ModelInfo(id=name, **{**row, **abilities})  # type: ignore[arg-type]


_modern = partial(
    _row,
    max_input_tokens=1_000_000,
    max_tokens=128_000,
    thinks=True,
    thinking=("adaptive", "disabled"),
    efforts=ALL_EFFORTS,
    binding="rebuilt",
    least_cacheable=1_024,
    forces_tools=True,
    samples=False,
    structures=True,
    finds_tools=True,
    eager_inputs=True,
    server_tools=LATEST_TOOLS,
    lifecycle="active",
)
_always = partial(
    _modern, thinking=("adaptive",), binding="checked", least_cacheable=512, forces_tools=False
)
_either = partial(
    _modern,
    thinking=("enabled", "adaptive", "disabled"),
    efforts=LOW_TO_MAX,
    least_cacheable=4_096,
    samples=True,
)
_budgeted = partial(
    _modern,
    max_input_tokens=200_000,
    max_tokens=64_000,
    thinking=("enabled", "disabled"),
    efforts=(),
    samples=True,
    server_tools=FIRST_TOOLS,
)
_first = partial(
    _budgeted, max_tokens=32_000, structures=False, finds_tools=False, eager_inputs=False
)
_silent = partial(_first, max_tokens=8_192, thinks=False, thinking=("disabled",))
_oldest = partial(_silent, retires_on="2024-11-06", successor="claude-haiku-4-5")

ROWS: dict[tuple[str, tuple[int, int]], ModelInfo] = {
    ("fable", (5, 2)): _always("claude-fable-5-2"),
    ("fable", (5, 1)): _always("claude-fable-5-1"),
    ("fable", (5, 0)): _always("claude-fable-5", binding="appended"),
    ("mythos", (5, 2)): _always("claude-mythos-5-2"),
    ("mythos", (5, 1)): _always("claude-mythos-5-1"),
    ("mythos", (5, 0)): _always("claude-mythos-5", binding="appended"),
    ("mythos", (4, 6)): _either(
        "claude-mythos-preview",
        least_cacheable=2_048,
        retires_on="2026-06-30",
        successor="claude-mythos-5",
    ),
    ("opus", (5, 5)): _always("claude-opus-5-5"),
    ("opus", (5, 0)): _modern(
        "claude-opus-5", binding="appended", least_cacheable=512, quiet_efforts=LOW_TO_HIGH
    ),
    ("opus", (4, 8)): _modern("claude-opus-4-8", binding="appended"),
    ("opus", (4, 7)): _modern("claude-opus-4-7", least_cacheable=2_048),
    ("opus", (4, 6)): _either("claude-opus-4-6"),
    ("opus", (4, 5)): _budgeted(
        "claude-opus-4-5",
        efforts=LOW_TO_HIGH,
        least_cacheable=4_096,
        retires_on="2027-01-22",
        successor="claude-opus-5-5",
    ),
    ("opus", (4, 1)): _first(
        "claude-opus-4-1",
        retires_on="2026-08-05",
        successor="claude-opus-4-8",
    ),
    ("opus", (4, 0)): _first(
        "claude-opus-4-0",
        retires_on="2026-06-15",
        successor="claude-opus-4-8",
    ),
    ("opus", (3, 0)): _silent(
        "claude-3-opus", retires_on="2026-01-05", successor="claude-opus-4-8"
    ),
    ("sonnet", (5, 5)): _always(
        "claude-sonnet-5-5", thinking=("adaptive", "between_tools"), quiet_efforts=LOW_TO_HIGH
    ),
    ("sonnet", (5, 0)): _modern("claude-sonnet-5"),
    ("sonnet", (4, 6)): _either("claude-sonnet-4-6", max_tokens=64_000, least_cacheable=1_024),
    ("sonnet", (4, 5)): _budgeted(
        "claude-sonnet-4-5",
        retires_on="2026-11-30",
        successor="claude-sonnet-5-5",
    ),
    ("sonnet", (4, 0)): _first(
        "claude-sonnet-4-0",
        max_tokens=64_000,
        retires_on="2026-06-15",
        successor="claude-sonnet-4-6",
    ),
    ("sonnet", (3, 7)): _first(
        "claude-3-7-sonnet",
        max_tokens=64_000,
        retires_on="2026-02-19",
        successor="claude-sonnet-4-6",
    ),
    ("sonnet", (3, 5)): _silent(
        "claude-3-5-sonnet", retires_on="2025-10-28", successor="claude-sonnet-4-6"
    ),
    ("sonnet", (3, 0)): _silent(
        "claude-3-sonnet", retires_on="2025-07-21", successor="claude-sonnet-4-6"
    ),
    ("haiku", (5, 5)): _modern(
        "claude-haiku-5-5", binding="checked", least_cacheable=512, quiet_efforts=LOW_TO_HIGH
    ),
    ("haiku", (4, 5)): _budgeted("claude-haiku-4-5", least_cacheable=4_096),
    ("haiku", (3, 5)): _silent(
        "claude-3-5-haiku",
        least_cacheable=2_048,
        retires_on="2026-02-19",
        successor="claude-haiku-4-5",
    ),
    ("haiku", (3, 0)): _silent(
        "claude-3-haiku",
        least_cacheable=2_048,
        retires_on="2026-04-20",
        successor="claude-haiku-4-5",
    ),
    ("", (2, 1)): _silent("claude-2.1", retires_on="2025-07-21", successor="claude-opus-4-8"),
    ("", (2, 0)): _silent("claude-2.0", retires_on="2025-07-21", successor="claude-opus-4-8"),
    ("", (1, 3)): _oldest("claude-1.3"),
    ("", (1, 2)): _oldest("claude-1.2"),
    ("", (1, 1)): _oldest("claude-1.1"),
    ("", (1, 0)): _oldest("claude-1.0"),
    ("instant", (1, 2)): _oldest("claude-instant-1.2"),
    ("instant", (1, 1)): _oldest("claude-instant-1.1"),
    ("instant", (1, 0)): _oldest("claude-instant-1.0"),
}
"""By line and version; the first models have no line."""

# Models of no line that is known. What a client asks for is passed on: nobody knows better.
UNLISTED: tuple[tuple[tuple[int, int], ModelInfo], ...] = (
    ((4, 7), _modern("", server_tools=FIRST_TOOLS, lifecycle=None)),
    ((0, 1), _silent("", lifecycle=None)),
    (
        (0, 0),  # an id without a version counts as the newest in what it is told
        _silent("", binding="checked", structures=True, finds_tools=True, lifecycle=None),
    ),
)
"""By the least version, the newest first."""
