"""What can be asked of an actor: a message that is typed by its answer.

Some requests are mail between actors, some are a client's own messages. All of them, and what is
told, are told apart by one field, so that one actor may understand both kinds.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar, get_args, get_origin

import msgspec

R_co = TypeVar("R_co", covariant=True)

TAG_FIELD = "type"


class Request(
    msgspec.Struct, Generic[R_co], frozen=True, kw_only=True, tag=True, tag_field=TAG_FIELD
):
    """Something asked: answered with an `R_co`, or with a `Failure`."""


def answer_type(request: type[Request[Any]]) -> Any:
    """The R of a `Request[R]`."""
    bases = request.__orig_bases__  # type: ignore[attr-defined]  # every generic class has them
    (base,) = (base for base in bases if get_origin(base) is Request)
    (answer,) = get_args(base)
    return answer
