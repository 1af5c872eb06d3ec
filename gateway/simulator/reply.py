"""What a test or a directive may ask of the simulator: a reply, its blocks and its faults."""

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
import trio

Json: TypeAlias = dict[str, Any]


class ReplyThinking(msgspec.Struct, frozen=True, tag="thinking"):
    """Reasoning. Signed by the simulator; its text is left out when the display is `omitted`."""

    text: str


class RedactedThinking(msgspec.Struct, frozen=True, tag="redacted_thinking"):
    """Reasoning as opaque data; `text` decides only what it costs."""

    text: str = "withheld"


class ReplyText(msgspec.Struct, frozen=True, tag="text"):
    """Prose, and the citations (in the API's shapes) that follow it as `citations_delta`."""

    text: str
    citations: tuple[Json, ...] = ()


class ToolUse(msgspec.Struct, frozen=True, tag="tool_use"):
    """A call of a client's tool. Without an `id` the simulator makes one.

    `text` are arguments that are no JSON object, or none any more: they come in place of `input`.
    """

    name: str
    input: Json = {}
    id: str | None = None
    text: str | None = None


Part: TypeAlias = Literal["whole", "call", "result"]
"""Of what one of the provider's own tools does: all of it, or where an answer pauses in between."""


class WebSearch(msgspec.Struct, frozen=True, tag="web_search"):
    """A search by the provider: a `server_tool_use` block and its `web_search_tool_result`.

    `results` are (url, title) pairs; `error` is a code (`max_uses_exceeded`) instead of them. Of
    the `part` "result", an unset `id` is that of the request's oldest call without a result.
    """

    query: str
    results: tuple[tuple[str, str], ...] = ()
    error: str | None = None
    part: Part = "whole"
    id: str | None = None


class WebFetch(msgspec.Struct, frozen=True, tag="web_fetch"):
    """A page fetched by the provider: a `server_tool_use` and its `web_fetch_tool_result`.

    `cited`: the page comes as a document that may be cited.
    """

    url: str
    text: str = "A page about nothing in particular."
    title: str | None = None
    cited: bool = True
    error: str | None = None
    part: Part = "whole"
    id: str | None = None


class CodeExecution(msgspec.Struct, frozen=True, tag="code_execution"):
    """Code run by the provider: a `server_tool_use` and its `*_tool_result`.

    `files` are the ids of what it leaves in its output folder.

    `tool`: `bash_code_execution`, where `code` is a command, or `code_execution`, where it is
    Python, as it was in the tool's first version.
    """

    code: str
    stdout: str = ""
    stderr: str = ""
    return_code: int = 0
    tool: Literal["bash_code_execution", "code_execution"] = "bash_code_execution"
    error: str | None = None
    part: Part = "whole"
    id: str | None = None
    files: tuple[str, ...] = ()


CODE_TOOLS = ("code_execution", "bash_code_execution", "text_editor_code_execution")
"""The names under which code is executed."""

ContainerFault: TypeAlias = Literal["lost", "expired", "broken"]
"""What may be wrong with a container: not found, expired, or an error of 500 that says nothing."""

ServerCall: TypeAlias = WebSearch | WebFetch | CodeExecution


class Raw(msgspec.Struct, frozen=True, tag="raw"):
    """Any content block; of a kind that streams in deltas, it does."""

    block: Json


ReplyBlock: TypeAlias = ReplyThinking | RedactedThinking | ReplyText | ToolUse | ServerCall | Raw

FaultKind = Literal[
    "hang_up",
    "error",
    "reset",
    "truncate",
    "end",
    "bad_json",
    "bad_utf8",
    "unknown_event",
    "out_of_order",
    "stall",
    "pings",
    "double_stop",
    "split",
    "half",
    "unknown_delta",
    "stray_delta",
    "noise",
    "empties",
    "endless",
    "packed",
    "returns",
    "both_ends",
    "mark",
    "bare_pings",
    "unterminated",
    "torn",
    "whole_input",
    "odd_fields",
    "unstreamed",
    "unstreamed_error",
]
SPELLINGS: dict[FaultKind, str] = {
    "returns": "every line ends with a carriage return",
    "both_ends": "every line ends with a carriage return and a line feed",
    "mark": "the body begins with a byte order mark",
    "bare_pings": "a ping is `event: ping` with `data: {}`",
    "unterminated": "no blank line follows the last event",
    "torn": "all surrogate pairs are torn apart, one half in each of two deltas",
    "whole_input": "a call's input stands whole in its `content_block_start`",
    "odd_fields": "fields without which an answer is whole have other types, such as `id`",
}
"""Faults with which a stream says the same as without, from its beginning to its end."""

FAULTS: dict[FaultKind, str] = {
    "hang_up": "the connection is reset instead of an answer, and nothing is billed (without AT)",
    "error": "an `error` event of that type, then a tidy end",
    "reset": "the connection is reset (RST)",
    "truncate": "the connection ends in the middle of a chunk",
    "end": "the body ends tidily, without `message_stop`",
    "bad_json": "event AT carries broken JSON, and the stream goes on",
    "bad_utf8": "event AT carries broken UTF-8, and the stream goes on",
    "unknown_event": "an event of a type nobody knows comes in between",
    "out_of_order": "event AT changes places with the one after it",
    "stall": "nothing for so many seconds, then on it goes",
    "pings": "nothing but pings for so many seconds, then on it goes",
    "double_stop": "`message_stop` is sent twice (without AT)",
    "split": "from event AT on, bytes arrive a few at a time, characters torn apart",
    "half": "the text of event AT ends with half a surrogate pair, whose other half never comes",
    "unknown_delta": "a delta of a type nobody knows comes in between",
    "stray_delta": "a piece of text, or of thinking within text, comes where the block takes none",
    "noise": "nothing but events of a type nobody knows for so many seconds, then on it goes",
    "empties": "nothing but empty pieces of text for so many seconds, then on it goes",
    "endless": "from event AT on, text without end",
    "packed": "the stream is packed with gzip, whether it was asked for or not",
    **SPELLINGS,
    "unstreamed": "the whole message as JSON, though it was to be streamed",
    "unstreamed_error": "an error of that type as JSON, with status 200",
}
"""Each kind of fault, and what goes wrong."""


class Fault(msgspec.Struct, frozen=True):
    """One thing that goes wrong in a stream, after its first `at` events have gone out whole.

    `at` counts every event of the stream (`message_start` is the first, the `ping` counts) and,
    when negative, from the end: -1 is just before `message_stop`. Instead, it goes wrong after so
    many `results` of the provider's own tools.

    `FAULTS` says what each kind is.
    """

    kind: FaultKind
    at: int = 0
    error_type: str = "overloaded_error"
    message: str | None = None
    seconds: Annotated[float, msgspec.Meta(ge=0)] = float("inf")
    results: Annotated[int, msgspec.Meta(ge=1)] | None = None


class ErrorReply(msgspec.Struct, frozen=True):
    """An error status instead of an answer.

    - `retry_after`: in seconds; `headers` are further ones
    - `code`: the `error_code` that names the cause for programs
    - `page`: a proxy's page instead of the JSON, and no request id
    """

    status: int
    type: str | None = None
    message: str | None = None
    retry_after: float | None = None
    code: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    page: bool = False


class Reply(msgspec.Struct, frozen=True):
    """What the simulator answers to one request.

    - `stop_reason`: unset, `tool_use` when a tool is called, `pause_turn` when one of the
      provider's own tools is called and its result is left for the next answer, else `end_turn`
    - `stop_details`: for a refusal `{"type": "refusal", "category": …, "explanation": …}`
    - `model`: the one that answers, when it is another than was asked; `model_after_tools`: the
      one that answers to what the tools have answered
    - `input_transformations`: what `message_start` lists, in the place of what was done
    - `usage`: figures that replace the measured ones, in `message_start` and `message_delta`;
      `usage_at_end`: in `message_delta` alone
    - `rate`: events a second; 0 is as fast as it goes, unset is the simulator's own rate
    - `chars`: characters in a delta
    - `delay`: seconds before the first byte; `tool_delay`: before each result of the provider's own
      tools
    - `flush`: an unpaced stream is sent in pieces of at least this many bytes; 1 is event by event
    - `gate`: what goes wrong (`failure`, `fault`) waits until it is set
    - `refused_tool`: the request is refused for this tool, if it defines it
    - `container`: what is wrong with the container that the request names, if it names one
    - `limits`: obey the request's `max_tokens` and `stop_sequences`; off, it is sent as written
    """

    blocks: tuple[ReplyBlock, ...] = ()
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: Json | None = None
    model: str | None = None
    model_after_tools: str | None = None
    input_transformations: tuple[Json, ...] | None = None
    usage: Json | None = None
    usage_at_end: Json | None = None
    rate: float | None = None
    chars: int = 16
    delay: float = 0.0
    tool_delay: float = 0.0
    flush: int = 65_536
    limits: bool = False
    gate: trio.Event | None = None
    failure: ErrorReply | None = None
    container: ContainerFault | None = None
    refused_tool: str | None = None
    fault: Fault | None = None
