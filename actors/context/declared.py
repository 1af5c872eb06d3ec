"""The tools that a client declares, with schemas as the provider takes them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import trio

from protocol.client import ToolDeclaration
from protocol.errors import GatewayError
from protocol.free_form import is_larger
from protocol.provider.examples import example_fault
from protocol.provider.json_schema import Unfit
from protocol.provider.tool_schema import fit

FEW_NODES = 2_000
"""Values in schemas that are looked through at once; it takes 10 ms. More are for a thread, and so
are examples."""


async def fitted(declared: Sequence[ToolDeclaration]) -> list[ToolDeclaration]:
    """The tools, each schema rewritten where the arguments stay as the client wants them.

    Raises GatewayError(INVALID_MESSAGE), which names the tool. A client can mend its schema: it is
    not given arguments of another shape.
    """
    has_examples = any(tool.input_examples for tool in declared)
    if has_examples or is_larger([tool.input_schema for tool in declared], FEW_NODES):
        return await trio.to_thread.run_sync(_fitted, declared)
    return _fitted(declared)


def _fitted(declared: Sequence[ToolDeclaration]) -> list[ToolDeclaration]:
    return [_fitted_one(tool, number) for number, tool in enumerate(declared)]


def _fitted_one(tool: ToolDeclaration, number: int) -> ToolDeclaration:
    try:
        found = fit(tool.input_schema)
    except Unfit as unfit:
        raise _refused(tool, number, str(unfit)) from unfit
    if (difference := found.difference) is not None:
        raise _refused(tool, number, difference)
    for at, example in enumerate(tool.input_examples):
        if (fault := example_fault(example, found.schema)) is not None:
            raise GatewayError(
                "INVALID_MESSAGE",
                f"`tools[{number}].inputExamples[{at}]`: it does not follow the `inputSchema` of "
                f"the tool `{tool.name}`: {fault}. Change that, and send again.",
            )
    return msgspec.structs.replace(tool, input_schema=found.schema)


def _refused(tool: ToolDeclaration, number: int, problem: str) -> GatewayError:
    return GatewayError(
        "INVALID_MESSAGE",
        f"`tools[{number}].inputSchema`: the provider would refuse the tool `{tool.name}`: "
        f"{problem}. Change that, and send again.",
    )
