"""Any value of a message type, made from the type itself."""

from functools import cache
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from msgspec import inspect

FEW = settings(max_examples=25)
"""Enough where one test runs for many types."""

JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
SENDABLE = st.characters(exclude_characters="\0", exclude_categories=["Cs"])


@cache
def values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of `kind`, a type or a union of types; texts hold no NUL."""
    return _of(inspect.type_info(kind))


def _of(info: inspect.Type) -> st.SearchStrategy[Any]:
    match info:
        case inspect.Metadata(type=inner):
            return _of(inner)
        case inspect.UnionType(types=types):
            return st.one_of(*map(_of, types))
        case inspect.LiteralType(values=literals):
            return st.sampled_from(literals)
        case inspect.ListType(item_type=item, min_length=least):
            return st.lists(_of(item), min_size=least or 0, max_size=3)
        case inspect.VarTupleType(item_type=item):
            return st.lists(_of(item), max_size=3).map(tuple)
        case inspect.DictType(key_type=key, value_type=value):
            return st.dictionaries(_of(key), _of(value), max_size=3)
        case inspect.StructType(cls=struct, fields=fields):
            return _structs(struct, fields)
    return _scalars(info)


def _scalars(info: inspect.Type) -> st.SearchStrategy[Any]:
    match info:
        case inspect.StrType():
            return _texts(info)
        case inspect.IntType() | inspect.FloatType():
            return _numbers(info)
        case inspect.AnyType():
            return JSON_VALUES.filter(lambda value: b"\\u0000" not in msgspec.json.encode(value))
    return {
        inspect.NoneType: st.none(),
        inspect.BoolType: st.booleans(),
        inspect.BytesType: st.binary(max_size=5),
        inspect.DecimalType: st.decimals(0, 10**6, places=9),
        inspect.RawType: st.just(msgspec.Raw(b"[]")),
    }[type(info)]


def _texts(info: inspect.StrType) -> st.SearchStrategy[str]:
    if info.pattern is not None:
        return st.text("abcXYZ019_", min_size=1, max_size=10)
    longest = min(10, info.max_length or 10)
    return st.text(SENDABLE, min_size=info.min_length or 0, max_size=longest)


def _numbers(info: inspect.IntType | inspect.FloatType) -> st.SearchStrategy[Any]:
    least = info.ge if info.ge is not None else info.gt
    if isinstance(info, inspect.IntType):
        return st.integers(-(2**31) if least is None else int(least), int(info.le or 2**53))
    return st.floats(least, info.le, exclude_min=info.gt is not None, allow_nan=False).filter(
        lambda number: abs(number) != float("inf")
    )


def _structs(struct: type, fields: tuple[inspect.Field, ...]) -> st.SearchStrategy[msgspec.Struct]:
    required = {field.name: _of(field.type) for field in fields if field.required}
    optional = {field.name: _of(field.type) for field in fields if not field.required}
    return st.fixed_dictionaries(required, optional=optional).map(lambda given: struct(**given))
