"""What the settings say of models: the tables `[models."NAME"]` of config.toml.

For proxies and gateways whose models have names of their own, or that have no models endpoint. A
model with a table is not asked about. What the table leaves out is that of the model that it is
`like`, else what its own name tells.
"""

from __future__ import annotations

import difflib
import re
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from protocol.provider.model_info import ModelInfo
from protocol.provider.models import fallback
from protocol.provider.thinking import Effort, ThinkingType

_NAME = re.compile(r"[!-~]{1,128}")
_Tokens = Annotated[int, Meta(ge=1, le=1_000_000_000)]


class BadModel(Exception):
    """A table that cannot be used; the text is a clause."""


class _ModelTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model's table as it is written."""

    like: Annotated[str, Meta(min_length=1, max_length=128)] | UnsetType = UNSET
    display_name: Annotated[str, Meta(min_length=1, max_length=200)] | UnsetType = UNSET
    max_input_tokens: _Tokens | UnsetType = UNSET
    max_tokens: _Tokens | UnsetType = UNSET
    thinking: tuple[ThinkingType, ...] | UnsetType = UNSET
    efforts: tuple[Effort, ...] | UnsetType = UNSET
    forces_tools: bool | UnsetType = UNSET
    samples: bool | UnsetType = UNSET
    structures: bool | UnsetType = UNSET
    finds_tools: bool | UnsetType = UNSET
    eager_inputs: bool | UnsetType = UNSET


_EXPECTED: Final = {
    "like": "a model's id",
    "display_name": "a text",
    "max_input_tokens": "a whole number from 1 up",
    "max_tokens": "a whole number from 1 up",
    "thinking": "a list of enabled, adaptive, disabled and between_tools",
    "efforts": "a list of low, medium, high, xhigh and max",
    **dict.fromkeys(
        ("forces_tools", "samples", "structures", "finds_tools", "eager_inputs"), "true or false"
    ),
}


def read_models(tables: object) -> tuple[ModelInfo, ...]:
    """The models, by name. Raises BadModel."""
    if not isinstance(tables, dict):
        raise BadModel('models is no table: write [models."NAME"].')
    return tuple(_read(name, tables[name]) for name in sorted(tables))


def _read(name: str, table: object) -> ModelInfo:
    where = f'models."{name}"'
    if not _NAME.fullmatch(name):
        raise BadModel(f"models has the name {name[:60]!r}: give a model's id.")
    if not isinstance(table, dict):
        raise BadModel(f"{where} is no table: write [{where}].")
    given = _convert(where, table)
    like = name if given.like is UNSET else given.like
    said = {
        field: value
        for field, value in msgspec.structs.asdict(given).items()
        if value is not UNSET and field != "like"
    }
    if given.thinking is not UNSET:
        said["thinks"] = bool({"enabled", "adaptive"} & set(given.thinking))
    if given.efforts is not UNSET:
        said["quiet_efforts"] = given.efforts
    known = msgspec.structs.replace(fallback(like), id=name, display_name=name)
    return msgspec.structs.replace(
        known, **{"lifecycle": None, "retires_on": None, "successor": None, **said}
    )


def _convert(where: str, table: dict[str, Any]) -> _ModelTable:
    for field, value in table.items():
        if field not in _EXPECTED:
            near = difflib.get_close_matches(field, _EXPECTED, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"give {', '.join(_EXPECTED)}."
            raise BadModel(f"{where}.{field[:60]} is no setting: {hint}")
        try:
            msgspec.convert({field: value}, _ModelTable)
        except msgspec.ValidationError:
            raise BadModel(
                f"{where}.{field} has a value that cannot be used: give {_EXPECTED[field]}."
            ) from None
    return msgspec.convert(table, _ModelTable)
