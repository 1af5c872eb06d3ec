"""A Messages API on loopback, for the demo, the tests and load runs.

It streams or does not, thinks and signs its thoughts, cites, calls tools, caches prompts, counts
tokens, binds thinking to its conversation, refuses what the real one refuses, and breaks in
whatever way it is told to.

    async with open_simulator() as simulator:
        client = AsyncAnthropic(base_url=simulator.url, api_key="any", max_retries=0)
        simulator.script(Reply(blocks=(ReplyText("Hello."),), rate=50, fault=Fault("reset", at=5)))

Left alone it writes a pleasant answer to the last message: with thinking where the request asks
for it, with citations where the text asks for sources or a document allows them, with a call of a
tool whose name the text mentions. A client that cannot reach `script` puts directives into its
message:

    [[sim: chars=30 rate=50 count=500 thinking=20 fault=reset@10 status=529 delay=0.2]]

`directives.py` has their table, `reply.py` the replies and faults, `scenario.py` conversations
with tools, `settings.py` the numbers.
"""

from gateway.simulator.binding import prefix_mismatch
from gateway.simulator.catalogue import MODELS, find_model
from gateway.simulator.ledger import Bill
from gateway.simulator.models import ModelSpec
from gateway.simulator.prompt import count_tokens
from gateway.simulator.reply import (
    FAULTS,
    CodeExecution,
    ErrorReply,
    Fault,
    Raw,
    RedactedThinking,
    Reply,
    ReplyBlock,
    ReplyText,
    ReplyThinking,
    ToolUse,
    WebFetch,
    WebSearch,
)
from gateway.simulator.request import Received
from gateway.simulator.scenario import ToolReturn, calls, says, tool_results, turn
from gateway.simulator.script import Responder
from gateway.simulator.server import Simulator, open_simulator, run_simulator
from gateway.simulator.settings import SimulatorSettings
from gateway.simulator.sources import cite, cite_page, results_for

__all__ = [
    "FAULTS",
    "MODELS",
    "Bill",
    "CodeExecution",
    "ErrorReply",
    "Fault",
    "ModelSpec",
    "Raw",
    "Received",
    "RedactedThinking",
    "Reply",
    "ReplyBlock",
    "ReplyText",
    "ReplyThinking",
    "Responder",
    "Simulator",
    "SimulatorSettings",
    "ToolReturn",
    "ToolUse",
    "WebFetch",
    "WebSearch",
    "calls",
    "cite",
    "cite_page",
    "count_tokens",
    "find_model",
    "open_simulator",
    "prefix_mismatch",
    "results_for",
    "run_simulator",
    "says",
    "tool_results",
    "turn",
]
