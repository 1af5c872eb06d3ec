"""Every model the simulator serves, newest first, and how an id finds one.

The generations differ in what they take: a thinking budget alone up to 4.5, either kind on 4.6,
adaptive thinking alone from 4.7 on; a prefilled answer up to 4.5; sampling parameters up to 4.6.
"""

import re
from functools import partial

import msgspec

from gateway.simulator.models import LOW_TO_HIGH, LOW_TO_MAX, ModelSpec

_adaptive = partial(ModelSpec, thinking=("adaptive", "disabled"))
_always = partial(ModelSpec, thinking=("adaptive",))
_either = partial(
    ModelSpec,
    thinking=("enabled", "adaptive", "disabled"),
    efforts=LOW_TO_MAX,
    display="summarized",
    thinks_unasked=False,
    takes_sampling=True,
)
_budgeted = partial(
    ModelSpec,
    thinking=("enabled", "disabled"),
    window=200_000,
    max_tokens=64_000,
    efforts=(),
    display="summarized",
    cacheable=1024,
    thinks_unasked=False,
    takes_sampling=True,
    takes_prefill=True,
)

_SPECS = (
    _always(id="claude-fable-5-2", name="Claude Fable 5.2", line="fable", released="2026-11-05"),
    _always(id="claude-mythos-5-2", name="Claude Mythos 5.2", line="mythos", released="2026-11-05"),
    _adaptive(
        id="claude-haiku-5-5",
        name="Claude Haiku 5.5",
        line="haiku",
        released="2026-10-12",
        quiet_efforts=LOW_TO_HIGH,
    ),
    _adaptive(
        id="claude-sonnet-5-5",
        name="Claude Sonnet 5.5",
        line="sonnet",
        released="2026-09-28",
        thinking=("adaptive", "between_tools"),
        quiet_efforts=LOW_TO_HIGH,
    ),
    _always(id="claude-fable-5-1", name="Claude Fable 5.1", line="fable", released="2026-09-22"),
    _always(id="claude-opus-5-5", name="Claude Opus 5.5", line="opus", released="2026-09-22"),
    _always(id="claude-mythos-5-1", name="Claude Mythos 5.1", line="mythos", released="2026-09-22"),
    _adaptive(
        id="claude-sonnet-5",
        name="Claude Sonnet 5",
        line="sonnet",
        released="2026-06-30",
        cacheable=1024,
    ),
    _always(id="claude-fable-5", name="Claude Fable 5", line="fable", released="2026-06-09"),
    _always(id="claude-mythos-5", name="Claude Mythos 5", line="mythos", released="2026-06-09"),
    _adaptive(
        id="claude-opus-5",
        name="Claude Opus 5",
        line="opus",
        released="2026-07-24",
        quiet_efforts=LOW_TO_HIGH,
    ),
    _adaptive(
        id="claude-opus-4-8",
        name="Claude Opus 4.8",
        line="opus",
        released="2026-05-20",
        cacheable=1024,
        thinks_unasked=False,
    ),
    _adaptive(
        id="claude-opus-4-7",
        name="Claude Opus 4.7",
        line="opus",
        released="2026-04-16",
        cacheable=2048,
        thinks_unasked=False,
    ),
    _either(
        id="claude-mythos-preview",
        name="Claude Mythos Preview",
        line="mythos",
        released="2026-04-07",
        cacheable=2048,
        lifecycle="deprecated",
        deprecated="2026-06-09",
        retires="2026-06-30",
    ),
    _either(
        id="claude-opus-4-6",
        name="Claude Opus 4.6",
        line="opus",
        released="2026-02-05",
        cacheable=4096,
    ),
    _either(
        id="claude-sonnet-4-6",
        name="Claude Sonnet 4.6",
        line="sonnet",
        released="2026-02-17",
        max_tokens=64_000,
        cacheable=1024,
    ),
    _budgeted(
        id="claude-haiku-4-5",
        snapshot="claude-haiku-4-5-20251001",
        name="Claude Haiku 4.5",
        line="haiku",
        released="2025-10-01",
        cacheable=4096,
    ),
    _budgeted(
        id="claude-opus-4-5",
        snapshot="claude-opus-4-5-20251101",
        name="Claude Opus 4.5",
        line="opus",
        released="2025-11-01",
        efforts=LOW_TO_HIGH,
        cacheable=4096,
    ),
    _budgeted(
        id="claude-sonnet-4-5",
        snapshot="claude-sonnet-4-5-20250929",
        name="Claude Sonnet 4.5",
        line="sonnet",
        released="2025-09-29",
        lifecycle="deprecated",
        deprecated="2026-05-30",
        retires="2026-11-30",
    ),
    _budgeted(
        id="claude-opus-4-1",
        snapshot="claude-opus-4-1-20250805",
        name="Claude Opus 4.1",
        line="opus",
        released="2025-08-05",
        max_tokens=32_000,
        lifecycle="deprecated",
        deprecated="2026-06-05",
    ),
    _budgeted(
        id="claude-opus-4-20250514",
        name="Claude Opus 4",
        line="opus",
        released="2025-05-14",
        max_tokens=32_000,
        lifecycle="deprecated",
        deprecated="2026-04-14",
        retires="2026-06-15",
    ),
    _budgeted(
        id="claude-sonnet-4-20250514",
        name="Claude Sonnet 4",
        line="sonnet",
        released="2025-05-14",
        lifecycle="deprecated",
        deprecated="2026-04-14",
        retires="2026-06-15",
    ),
    _budgeted(
        id="claude-3-7-sonnet-20250219",
        name="Claude Sonnet 3.7",
        line="sonnet",
        released="2025-02-19",
        lifecycle="deprecated",
        deprecated="2025-10-28",
        retires="2026-02-19",
    ),
)

_VERSION = re.compile(r"([-@]\d{8}|[-@]latest|-0)?(-v\d:\d)?$")
_CLOUD = re.compile(r"^([a-z-]+\.)?anthropic[./]")
_DOT = re.compile(r"(?<=\d)\.(?=\d)")


def _family(name: str) -> str:
    return _VERSION.sub("", _DOT.sub("-", _CLOUD.sub("", name)))


_BY_FAMILY = {_family(spec.id): spec for spec in _SPECS}

MODELS: dict[str, ModelSpec] = {}
for _spec in _SPECS:
    MODELS[_spec.id] = _spec
    if _spec.snapshot is not None:
        MODELS[_spec.snapshot] = msgspec.structs.replace(_spec, id=_spec.snapshot)


def find_model(name: str) -> ModelSpec | None:
    """The model with this id; an unlisted version (`-20260928`, `-latest`) finds its family.

    So does the name that a cloud or a gateway has for it.
    """
    return MODELS.get(name) or _BY_FAMILY.get(_family(name))
