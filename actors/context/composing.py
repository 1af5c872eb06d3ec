"""Composing a session's next request: what there is to send, and what it weighs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from actors.attachments import too_many
from actors.context.assembly import Parts, system_texts
from actors.context.estimate.clearing import clearing, clears_at
from actors.context.estimate.counting import Counter
from actors.context.estimate.weighed import Weighed
from actors.context.estimate.weighing import Weigher
from actors.context.history import Held
from actors.context.toolset import assemble_tools
from actors.ports import AgentFiles, Library, Media, Tools
from protocol.client import ServerTool
from protocol.errors import GatewayError
from protocol.mail import NewMessage
from protocol.prompt import Allowance, Prompt
from protocol.provider.content import UserContent, is_blank, user_blocks
from protocol.provider.features import BINDING_CONTROLS, CLEAR_TOOL_USES, CONTEXT_EDITING
from protocol.provider.models import ModelInfo, Thinking, guarded
from protocol.records import MessageRecord, SessionRecord
from protocol.tools import OfferedTool


class ContextSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the context actor is told at its start; tokens, bytes, requests, seconds and rows.

    `server_tools` are those of the provider that a new session has.
    """

    default_model: str
    system_prompt: str
    response_format: bool
    max_tokens: int
    thinking_budget: int
    history_cache_bytes: int
    at_once: int
    keep_seconds: float
    page_size: int
    longest_page: int
    prompt_caching: bool = True
    server_tools: tuple[ServerTool, ...] = ()


class Agent(NamedTuple):
    """What a session's agent has: its files, and the tools that the gateway runs for it."""

    files: AgentFiles
    tools: list[OfferedTool]


class Composer:
    """Makes requests of sessions. It stores nothing."""

    def __init__(
        self,
        settings: ContextSettings,
        *,
        counter: Counter,
        weigher: Weigher,
        library: Library,
        tools: Tools,
        media: Media,
    ) -> None:
        self._settings = settings
        self._counter = counter
        self._weigher = weigher
        self._library = library
        self._tools = tools
        self._media = media

    async def agent(self, session: SessionRecord) -> Agent:
        """The session's agent, as it is now."""
        files = await self._library.read(session.agent_id)
        return Agent(files, self._tools.offered(files))

    def output_limit(self, info: ModelInfo, wanted: int | None) -> int:
        """The output tokens to ask for. Raises GatewayError(INVALID_MESSAGE)."""
        if wanted is not None and wanted > info.max_tokens:
            raise GatewayError(
                "INVALID_MESSAGE",
                f"`maxTokens`: {info.id} writes at most {info.max_tokens:,}.",
            )
        return wanted or min(self._settings.max_tokens, info.max_tokens)

    async def question(
        self, session: SessionRecord, turn_id: str, content: UserContent, info: ModelInfo
    ) -> MessageRecord:
        """The user's message, measured. Raises GatewayError(INVALID_MESSAGE)."""
        await self._check(content, info.most_attached)
        message = NewMessage(role="user", content=msgspec.json.encode(content))
        (record,) = await self.measured(
            session.session_id, session.model, turn_id, [message], session.last_active_at
        )
        if (refusal := too_many(record.attached, info.most_attached)) is not None:
            raise GatewayError("INVALID_MESSAGE", f"`content`: {refusal}.")
        return record

    async def _check(self, content: UserContent, most_attached: int) -> None:
        if is_blank(content):
            raise GatewayError("INVALID_MESSAGE", "`content`: there is nothing in it to answer.")
        if isinstance(content, str):
            return
        refusals = await self._media.refusals(user_blocks(content), most_attached)
        for number, refusal in enumerate(refusals):
            if refusal is not None:
                raise GatewayError("INVALID_MESSAGE", f"`content[{number}]`: {refusal}.")

    async def measured(
        self,
        session_id: str,
        model: str,
        turn_id: str,
        messages: Sequence[NewMessage],
        now: int,
    ) -> list[MessageRecord]:
        """The messages with their measures, as they are stored."""
        contents = [message.content for message in messages]
        measures = await self._counter.measure(model, contents)
        return [
            MessageRecord(
                session_id=session_id,
                turn_id=turn_id,
                role=message.role,
                content=message.content,
                status=message.status,
                created_at=now,
                byte_count=len(message.content),
                token_count=measure.counted,
                media_tokens=measure.media,
                attached=measure.attached,
            )
            for message, measure in zip(messages, measures, strict=True)
        ]

    async def weigh(
        self,
        session: SessionRecord,
        held: Held,
        user: MessageRecord | None,
        *,
        agent: Agent,
        info: ModelInfo,
        max_tokens: int,
    ) -> Weighed:
        """The session's next request. Raises GatewayError(CONTEXT_TOO_LARGE)."""
        prompt = self._settings.system_prompt if session.system is None else session.system
        caches = self._settings.prompt_caching
        parts = Parts(
            system=system_texts(
                system_prompt=prompt,
                response_format=self._settings.response_format,
                files=agent.files,
            ),
            toolset=assemble_tools(agent.tools, session.tools, caches=caches),
            turns=held.history.answered(),
            user=user,
            caches=caches,
        )
        room = info.max_input_tokens - max_tokens
        clears = parts.has_tools and CLEAR_TOOL_USES in info.edits
        allowance = Allowance(
            limit=info.max_input_tokens,
            room=room,
            most_attached=info.most_attached,
            clears_at=clears_at(room) if clears else None,
        )
        return await self._weigher.weigh(session.model, parts, held.billed, allowance)

    def prompt(self, weighed: Weighed, thinking: Thinking, max_tokens: int) -> Prompt:
        """The request, as it is sent."""
        trigger = weighed.allowance.clears_at
        edits = None if trigger is None else clearing(trigger)
        config = guarded(weighed.model, thinking.config)
        head = weighed.parts.head(
            model=weighed.model,
            max_tokens=max_tokens,
            thinking=config,
            effort=thinking.effort,
            edits=edits,
        )
        betas = () if edits is None else (CONTEXT_EDITING,)
        if config != thinking.config:
            betas = (*betas, BINDING_CONTROLS)
        return weighed.prompt(head, betas)
