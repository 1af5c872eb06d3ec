"""Gathering what a turn's requests are made from: settings, files, tools, and the question.

What the model is to know is read as it is now, once a turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import trio

from actors.context.assembly import system_texts
from actors.context.estimate.clearing import clears_at
from actors.context.estimate.counting import Counter
from actors.context.refused import RefusedTools
from actors.context.sessions import Held
from actors.context.toolset import Toolset, assemble_tools, eager
from actors.ports import AgentFiles, Library, Media, Tools
from protocol.announcing import Briefing, Definition
from protocol.bounds import LARGE
from protocol.client import CacheTtl, OutputFormat, ServerTool, ServerToolOptions
from protocol.closing import closing
from protocol.context import SectionName
from protocol.errors import GatewayError
from protocol.mail import NewMessage
from protocol.prompt import Allowance
from protocol.provider.content import UserContent, is_blank, user_blocks
from protocol.provider.features import CLEAR_TOOL_USES
from protocol.provider.limits import too_many
from protocol.provider.model_info import Binding, ModelInfo
from protocol.records import Entry, SessionRecord, Withheld
from protocol.tools import OfferedTool
from protocol.wishes import check_deferred, check_schemas

_encode = msgspec.json.Encoder().encode


class ContextSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the context actor is told at its start; tokens, bytes, requests, rows and seconds.

    `server_tools` are those of the provider that a new session has. A list has `page_size` rows
    unless its reader says how many, and `longest_page` at the most.
    """

    default_model: str
    system_prompt: str
    response_format: bool
    max_tokens: int
    thinking_budget: int
    history_cache_bytes: int
    at_once: int
    ask_seconds: float
    page_size: int
    longest_page: int
    prompt_caching: bool = True
    server_tools: tuple[ServerTool | ServerToolOptions, ...] = ()


class Agent(NamedTuple):
    """What a session's agent has: its files, and the tools that the gateway runs for it.

    Those that are `down` the session was told of, and their server may come back.
    """

    files: AgentFiles
    tools: list[OfferedTool]
    down: list[Definition]

    @property
    def names(self) -> set[str]:
        """The names of the tools."""
        return {tool.name for tool in self.tools} | {str(tool["name"]) for tool in self.down}


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """What a turn's requests are made from; it stays the same for all of them.

    `session` is as the turn leaves it. `wanted` is what the model is to know. `tells_refused` when
    it was told a tool that the provider refuses by now. `output_format` is the schema, as JSON,
    that the answer must follow. With `for_an_hour` the provider is to remember the prompts for so
    long.
    """

    session: SessionRecord
    binding: Binding
    wanted: Briefing
    toolset: Toolset
    allowance: Allowance
    tells_refused: bool = False
    output_format: bytes = b""
    for_an_hour: bool = False


class Said(NamedTuple):
    """What a request says that its session has not said yet.

    `entries` follow those of the session, without the `withheld` ones. The turn's own messages
    begin at the place `own`.
    """

    entries: list[Entry]
    own: int
    withheld: Withheld | None = None


class Gatherer:
    """Knows what there is to say. It stores nothing."""

    def __init__(
        self,
        settings: ContextSettings,
        *,
        counter: Counter,
        library: Library,
        tools: Tools,
        refused: RefusedTools,
        media: Media,
    ) -> None:
        self._settings = settings
        self._counter = counter
        self._library = library
        self._tools = tools
        self._refused = refused
        self._media = media

    async def agent(self, held: Held, session: SessionRecord) -> Agent:
        """The session's agent, as it is now."""
        files = await self._library.read(session.agent_id)
        tools = self._tools.offered(files)
        offered = {tool.name for tool in tools}
        down = [
            tool
            for name, tool in held.told.tools.items()
            if name not in offered and self._tools.may_return(name)
        ]
        return Agent(files, tools, down)

    def output_limit(self, info: ModelInfo, wanted: int | None) -> int:
        """The output tokens to ask for. Raises GatewayError(INVALID_MESSAGE)."""
        if wanted is not None and wanted > info.max_tokens:
            raise GatewayError(
                "INVALID_MESSAGE",
                f"`maxTokens`: {info.id} writes at most {info.max_tokens:,}.",
            )
        return wanted or min(self._settings.max_tokens, info.max_tokens)

    async def measured(
        self, model: str, turn_id: str, messages: Sequence[NewMessage], place: int, now: int
    ) -> list[Entry]:
        """The messages as entries from `place` on."""
        measures = await self._counter.measure(model, [message.content for message in messages])
        return [
            Entry(
                place=place + number,
                turn_id=turn_id,
                role=message.role,
                content=message.content,
                status=message.status,
                created_at=now,
                byte_count=len(message.content),
                token_count=measure.counted,
                thinking_tokens=measure.thinking,
                media_tokens=measure.media,
                attached=measure.attached,
                model=model if message.role == "assistant" else "",
            )
            for number, (message, measure) in enumerate(zip(messages, measures, strict=True))
        ]

    async def said(
        self,
        held: Held,
        model: str,
        *,
        turn_id: str,
        content: UserContent,
        info: ModelInfo,
        now: int,
    ) -> Said:
        """A question, and what must be mended before it. Raises GatewayError(INVALID_MESSAGE)."""
        await self._check(content, info.most_attached)
        first, mends = closing(held.last_turn())
        messages = [
            NewMessage(
                role="assistant" if mend.entry.role == "assistant" else "user",
                content=mend.content,
                status=mend.entry.status,
            )
            for mend in mends
        ]
        mended: list[Entry] = []
        if mends:
            last = mends[0].entry
            mended = await self.measured(
                last.model or model, last.turn_id, messages, held.next_place, now
            )
        place = held.next_place + len(mended)
        blocks = _encode(user_blocks(content))  # a list: a breakpoint in it then changes nothing
        message = NewMessage(role="user", content=blocks)
        if len(blocks) > LARGE:
            await trio.lowlevel.checkpoint()  # it may have megabytes, and is read again
        (question,) = await self.measured(model, turn_id, [message], place, now)
        if (refusal := too_many(question.attached, info.most_attached)) is not None:
            raise GatewayError("INVALID_MESSAGE", f"`content`: {refusal}.")
        withheld = None if first is None else Withheld(first=first, status="replaced")
        return Said([*mended, question], own=place, withheld=withheld)

    def ground(
        self,
        held: Held,
        session: SessionRecord,
        agent: Agent,
        info: ModelInfo,
        max_tokens: int,
        *,
        output_format: OutputFormat | None = None,
        cache_ttl: CacheTtl | None = None,
    ) -> Ground:
        """What the session's next turn is made from, with an answer of `max_tokens`.

        Raises GatewayError(INVALID_MESSAGE) for what the model cannot take.
        """
        assembled = assemble_tools(agent.tools, agent.down, session.tools, info.server_tools)
        toolset = self._refused.without(assembled)
        check_schemas(info, toolset.definitions, output_format)
        check_deferred(info, toolset.definitions)
        if cache_ttl is not None and not self._settings.prompt_caching:
            raise GatewayError("INVALID_MESSAGE", "`cacheTtl`: this gateway caches no prompts.")
        if info.eager_inputs:
            toolset = eager(toolset)
        room = info.max_input_tokens - max_tokens
        clears = CLEAR_TOOL_USES in info.edits and (toolset.definitions or held.told.tools)
        return Ground(
            session=session,
            binding=info.binding,
            wanted=Briefing(self._texts(session, agent.files), toolset.definitions),
            toolset=toolset,
            tells_refused=self._refused.any_of(held.told.tools.values()),
            allowance=Allowance(
                limit=info.max_input_tokens,
                room=room,
                most_attached=info.most_attached,
                least_cacheable=info.least_cacheable,
                clears_at=clears_at(room) if clears else None,
            ),
            output_format=b"" if output_format is None else _encode(output_format.schema),
            for_an_hour=cache_ttl == "1h",
        )

    def _texts(self, session: SessionRecord, files: AgentFiles) -> dict[SectionName, str]:
        prompt = self._settings.system_prompt if session.system is None else session.system
        return system_texts(
            system_prompt=prompt, response_format=self._settings.response_format, files=files
        )

    async def _check(self, content: UserContent, most_attached: int) -> None:
        if is_blank(content):
            raise GatewayError("INVALID_MESSAGE", "`content`: there is nothing in it to answer.")
        if isinstance(content, str):
            return
        refusals = await self._media.refusals(user_blocks(content), most_attached)
        for number, refusal in enumerate(refusals):
            if refusal is not None:
                raise GatewayError("INVALID_MESSAGE", f"`content[{number}]`: {refusal}.")
