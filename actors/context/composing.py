"""Composing a session's next request: what there is to say, and what follows from what was said.

`Composer.compose` decides, once a turn, whether the request can go on from the former one. It can
when its head stays: what has changed becomes an announcement behind the question. Otherwise the
conversation begins a new epoch (`protocol.transcript`): there is no head yet, the provider found
thinking that does not fit, too much of what was announced is superseded, a tool's name changes its
kind, or the window is full.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import msgspec

from actors.context.assembly import marked, system_texts
from actors.context.composed import Composed
from actors.context.estimate.clearing import clears_at
from actors.context.estimate.counting import Counter
from actors.context.estimate.fitting import cut, is_crowded
from actors.context.estimate.weighing import Opening, Weigher, has_tools, weigh
from actors.context.sessions import Held, rendered
from actors.context.toolset import Toolset, assemble_tools
from actors.ports import AgentFiles, Library, Media, Tools
from protocol.announcing import Briefing, Piece, changes
from protocol.client import ServerTool
from protocol.closing import closing
from protocol.context import SectionName
from protocol.errors import GatewayError
from protocol.mail import NewMessage
from protocol.prompt import Allowance
from protocol.provider.content import UserContent, is_blank, user_blocks
from protocol.provider.features import CLEAR_TOOL_USES
from protocol.provider.limits import too_many
from protocol.provider.models import Binding, ModelInfo, binding
from protocol.provider.request import NO_TOOLS
from protocol.records import (
    Announced,
    Attached,
    Change,
    Entry,
    Head,
    SessionRecord,
    Withheld,
)
from protocol.tools import OfferedTool
from protocol.transcript import Transcript

BYTES_A_TOKEN = 4
"""Of text, about."""

_encode = msgspec.json.Encoder().encode


class ContextSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the context actor is told at its start; tokens, bytes, requests and rows.

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
    page_size: int
    longest_page: int
    prompt_caching: bool = True
    server_tools: tuple[ServerTool, ...] = ()


class Agent(NamedTuple):
    """What a session's agent has: its files, and the tools that the gateway runs for it."""

    files: AgentFiles
    tools: list[OfferedTool]


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """What a turn's requests are made from; it stays the same for all of them.

    `session` is as the turn leaves it. `wanted` is what the model is to know.
    """

    session: SessionRecord
    binding: Binding
    wanted: Briefing
    toolset: Toolset
    allowance: Allowance


class Said(NamedTuple):
    """What a request says that its session has not said yet.

    `entries` come behind what is left when those from `withheld_from` on have gone. The turn's own
    messages begin with the place `own`.
    """

    entries: list[Entry]
    own: int
    withheld_from: int | None = None


class Plan(NamedTuple):
    """A head, the messages before the new ones, of which so many are kept, and the new ones."""

    head: Head
    is_new: bool
    base: Transcript
    keep: int
    added: list[Entry]


class Draft(NamedTuple):
    """A request that is composed, and what it changes in its session.

    `transcript` is there when a new epoch begins: the messages before the new ones.
    """

    composed: Composed
    change: Change
    transcript: Transcript | None


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

    # --- what there is to say ------------------------------------------------------------------

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
        (question,) = await self.measured(model, turn_id, [message], place, now)
        if (refusal := too_many(question.attached, info.most_attached)) is not None:
            raise GatewayError("INVALID_MESSAGE", f"`content`: {refusal}.")
        return Said([*mended, question], own=place, withheld_from=first)

    # --- what follows from it ------------------------------------------------------------------

    def ground(
        self, held: Held, session: SessionRecord, agent: Agent, info: ModelInfo, max_tokens: int
    ) -> Ground:
        """What the session's next turn is made from, with an answer of `max_tokens`."""
        told = held.told
        offered = {tool.name for tool in agent.tools}
        down = [
            tool
            for name, tool in told.tools.items()
            if name not in offered and self._tools.may_return(name)
        ]
        toolset = assemble_tools(agent.tools, down, session.tools)
        room = info.max_input_tokens - max_tokens
        clears = CLEAR_TOOL_USES in info.edits and (toolset.definitions or told.tools)
        return Ground(
            session=session,
            binding=binding(session.model),
            wanted=Briefing(self._texts(session, agent.files), toolset.definitions),
            toolset=toolset,
            allowance=Allowance(
                limit=info.max_input_tokens,
                room=room,
                most_attached=info.most_attached,
                clears_at=clears_at(room) if clears else None,
            ),
        )

    def _texts(self, session: SessionRecord, files: AgentFiles) -> dict[SectionName, str]:
        prompt = self._settings.system_prompt if session.system is None else session.system
        return system_texts(
            system_prompt=prompt, response_format=self._settings.response_format, files=files
        )

    @asynccontextmanager
    async def compose(
        self,
        held: Held,
        ground: Ground,
        said: Said,
        *,
        announces: bool = False,
        renews: bool = False,
        room: int | None = None,
    ) -> AsyncIterator[Draft]:
        """The request that says `said`, to be looked at inside.

        With `announces` it begins a turn, and what has changed is told. With `renews` a new epoch
        begins in any case, since the provider has refused the request: the input has less than
        `room` tokens then, or, without a `room`, no thinking of earlier turns. Raises
        GatewayError(CONTEXT_TOO_LARGE).
        """
        most = ground.allowance.room if room is None else room
        limit = ground.allowance.limit if announces else most
        plan = None if renews else await self._going_on(held, ground, said, announces=announces)
        if plan is None:
            plan = await self._anew(held, ground, said, bare=renews and room is None)
        with plan.base.draft(plan.keep, plan.added):
            composed = await self._composed(held, ground, plan, said.own)
            is_full = composed.weight.total > most or is_crowded(plan.base, ground.allowance)
            if not (is_full and composed.own):
                _check_size(composed, limit)
                yield self._drafted(held, ground, plan, said, composed)
                return
        if not plan.is_new:
            plan = await self._anew(held, ground, said)
        plan = await self._shortened(plan, ground, said, composed, most)
        with plan.base.draft(plan.keep, plan.added):
            composed = await self._composed(held, ground, plan, said.own)
            _check_size(composed, limit)
            yield self._drafted(held, ground, plan, said, composed)

    async def _going_on(
        self, held: Held, ground: Ground, said: Said, *, announces: bool
    ) -> Plan | None:
        """The request behind the former one; `None` when it cannot go on from there."""
        head = held.head
        if head is None or held.is_mismatched or self._is_stale(held, ground):
            return None
        added = said.entries
        if announces and not held.is_frozen:
            wanted = ground.wanted
            head = msgspec.structs.replace(head, system=wanted.system, tools=wanted.definitions)
        elif announces and added and ground.binding != "rebuilt":
            pieces = changes(held.told, ground.wanted)
            if pieces is None:
                return None
            if pieces:
                added = [*added, await self._announcement(pieces, behind=added[-1])]
        base = await held.transcript(ground.binding)
        keep = len(base) if said.withheld_from is None else base.before(said.withheld_from)
        return Plan(head, False, base, keep, added)

    @staticmethod
    def _is_stale(held: Held, ground: Ground) -> bool:
        """Whether what was announced and is superseded takes an eighth of the room."""
        superseded = sum(held.told.superseded.values()) / BYTES_A_TOKEN
        return ground.binding != "rebuilt" and superseded > ground.allowance.room / 8

    async def _announcement(self, pieces: Sequence[Piece], behind: Entry) -> Entry:
        blocks = [piece.block for piece in pieces]
        contents = [_encode([block]) for block in blocks]
        measures = await self._counter.measure("", contents)
        content = _encode(blocks)
        sections = tuple(
            Announced(piece.section, _size(piece), measure.counted)
            for piece, measure in zip(pieces, measures, strict=True)
        )
        return msgspec.structs.replace(
            behind,
            place=behind.place + 1,
            role="system",
            content=content,
            byte_count=len(content),
            token_count=sum(measure.counted for measure in measures),
            thinking_tokens=0,
            media_tokens=0,
            attached=Attached(),
            sections=sections,
        )

    async def _anew(self, held: Held, ground: Ground, said: Said, *, bare: bool = False) -> Plan:
        """The request at the beginning of a new epoch.

        Where it is to be `bare`, all thinking of earlier turns goes, whether it is checked or not.
        """
        former = held.head or Head(epoch=-1, first=0, began=0, system=())
        entries = held.entries
        if said.withheld_from is not None:
            entries = [entry for entry in entries if entry.place < said.withheld_from]
        head = msgspec.structs.replace(
            former,
            epoch=former.epoch + 1,
            began=said.entries[-1].place + 1 if said.entries else held.next_place,
            bare=said.own if bare else former.bare,
            system=ground.wanted.system,
            tools=ground.wanted.definitions,
        )
        base = await rendered(entries, ground.binding, head)
        return Plan(head, True, base, len(base), said.entries)

    @staticmethod
    async def _shortened(
        plan: Plan, ground: Ground, said: Said, composed: Composed, room: int
    ) -> Plan:
        """A new epoch without its oldest turns, so that there is room for what comes."""
        base = plan.base
        with base.draft(plan.keep, plan.added):
            own = base.before(said.own)
            at = cut(
                base,
                own,
                fixed=composed.weight.needed - composed.weight.sections["user_message"],
                scale=composed.scale,
                allowance=msgspec.structs.replace(ground.allowance, room=room),
            )
            first = base.entries[at].place if at < len(base) else said.own
        turns = sum(turn < at for turn in base.turns)
        head = msgspec.structs.replace(
            plan.head,
            first=first,
            left_out_turns=plan.head.left_out_turns + turns,
            left_out_messages=plan.head.left_out_messages + at,
        )
        rest = await rendered(base.entries[at:], ground.binding, head)
        return Plan(head, True, rest, len(rest), plan.added)

    async def _composed(self, held: Held, ground: Ground, plan: Plan, own: int) -> Composed:
        """The plan's request, weighed; its new messages stand in its transcript."""
        model, caches = ground.session.model, self._settings.prompt_caching
        rebuilt = ground.binding == "rebuilt"
        system = ground.wanted.system if rebuilt else plan.head.system
        tools = ground.wanted.definitions if rebuilt else plan.head.tools
        opening = Opening(
            system=system,
            tools=marked(tools, caches=caches),
            counted=await self._counts(system, tools),
        )
        transcript, first = plan.base, plan.base.before(own)
        scale = self._weigher.scale(model, held.billed, has_tools=has_tools(opening, transcript))
        weight = weigh(opening, transcript, first, scale=scale, allowance=ground.allowance)
        return Composed(
            model=model,
            head=plan.head,
            is_new_epoch=plan.is_new and bool(held.entries),
            opening=opening,
            transcript=transcript,
            own=first,
            caches=caches,
            scale=scale,
            rates=self._weigher.rates(model, weight.total, caches=caches),
            allowance=ground.allowance,
            weight=weight,
            superseded={} if rebuilt or plan.is_new else held.told.superseded,
        )

    async def _counts(
        self, system: Sequence[tuple[SectionName, str]], tools: bytes
    ) -> dict[SectionName, int]:
        """The tokens of what a request opens with, as the tokenizer counts."""
        counts = {name: await self._counter.count_again(text) for name, text in system}
        if tools != NO_TOOLS:
            counts["tools"] = await self._counter.count_again(tools.decode())
        return counts

    @staticmethod
    def _drafted(held: Held, ground: Ground, plan: Plan, said: Said, composed: Composed) -> Draft:
        withheld = None
        if said.withheld_from is not None:
            withheld = Withheld(first=said.withheld_from, status="replaced")
        change = Change(
            session=ground.session,
            withheld=withheld,
            entries=tuple(plan.added),
            head=None if plan.head == held.head else plan.head,
        )
        return Draft(composed, change, plan.base if plan.is_new else None)

    async def _check(self, content: UserContent, most_attached: int) -> None:
        if is_blank(content):
            raise GatewayError("INVALID_MESSAGE", "`content`: there is nothing in it to answer.")
        if isinstance(content, str):
            return
        refusals = await self._media.refusals(user_blocks(content), most_attached)
        for number, refusal in enumerate(refusals):
            if refusal is not None:
                raise GatewayError("INVALID_MESSAGE", f"`content[{number}]`: {refusal}.")


def _check_size(composed: Composed, limit: int) -> None:
    """Raises GatewayError(CONTEXT_TOO_LARGE) for what does not fit without any history."""
    needed = composed.weight.needed
    if needed > limit:
        raise GatewayError(
            "CONTEXT_TOO_LARGE",
            f"What this turn has to say, with the system prompt and the tools, needs about "
            f"{needed:,} tokens; {composed.model} takes {limit:,}. Shorten it, or choose a model "
            "with a larger window.",
            sections=list(composed.weights()),
        )


def _size(piece: Piece) -> int:
    """The bytes that a piece adds to what is shown of its section."""
    text = piece.block.get("text")
    return len(text.encode() if isinstance(text, str) else _encode(piece.block))
