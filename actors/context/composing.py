"""Composing a session's next request from its transcript and from what is new.

`Composer.compose` decides whether the request can continue the former one. If it can, the head
stays, and what has changed becomes an announcement after the question. Otherwise a new epoch begins
(`protocol.transcript`). That is so when there is no head yet, the provider found thinking that does
not fit, the provider refuses a tool that was told, too many announced texts are superseded, a
tool's name changes its kind, or the window is full.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import NamedTuple

import msgspec
import trio

from actors.context.assembly import marked
from actors.context.composed import Composed
from actors.context.estimate.counting import Counter
from actors.context.estimate.fitting import cut, is_crowded
from actors.context.estimate.weighing import Opening, Weigher, weigh
from actors.context.gathering import Ground, Said
from actors.context.sessions import Held, rendered
from protocol.announcing import Piece, changes
from protocol.bounds import LARGE
from protocol.context import SectionName
from protocol.errors import GatewayError
from protocol.provider.request import NO_TOOLS
from protocol.records import Announced, Attached, Change, Entry, Head
from protocol.transcript import Transcript

BYTES_A_TOKEN = 4
"""Of text, about."""

_encode = msgspec.json.Encoder().encode


class Plan(NamedTuple):
    """A request: its head, the first `keep` messages of `base`, and the `added` entries."""

    head: Head
    is_new: bool
    base: Transcript
    keep: int
    added: list[Entry]

    @property
    def sent(self) -> list[Entry]:
        """The added entries that are sent: a mended turn may be left out."""
        return [entry for entry in self.added if entry.place >= self.head.first]


class Draft(NamedTuple):
    """A request that is composed, and what it changes in its session.

    `transcript` is there when a new epoch begins: the messages before the new ones.
    """

    composed: Composed
    change: Change
    transcript: Transcript | None


class Composer:
    """Makes requests of sessions. It stores nothing."""

    def __init__(self, counter: Counter, weigher: Weigher, *, caches: bool) -> None:
        self._counter = counter
        self._weigher = weigher
        self._caches = caches

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
        """The request that says `said`; use it inside the block only.

        With `announces` it begins a turn, and tells what has changed. With `renews` the provider
        has refused the request, and a new epoch begins: its input has at most `room` tokens, or,
        without a `room`, no thinking of earlier turns. Raises GatewayError(CONTEXT_TOO_LARGE).
        """
        most = ground.allowance.room if room is None else room
        limit = ground.allowance.limit if announces else most
        plan = None if renews else await self._going_on(held, ground, said, announces=announces)
        if plan is None:
            plan = await self._anew(held, ground, said, bare=renews and room is None)
        with plan.base.draft(plan.keep, plan.sent):
            composed = await self._composed(held, ground, plan, said.own)
            is_full = composed.weight.total > most or is_crowded(plan.base, ground.allowance)
            if not (is_full and composed.own):
                _check_size(composed, limit)
                yield self._drafted(held, ground, plan, said, composed)
                return
        if not plan.is_new:
            plan = await self._anew(held, ground, said)
        plan = await self._shortened(plan, ground, said, composed, most)
        with plan.base.draft(plan.keep, plan.sent):
            composed = await self._composed(held, ground, plan, said.own)
            _check_size(composed, limit)
            yield self._drafted(held, ground, plan, said, composed)

    async def _going_on(
        self, held: Held, ground: Ground, said: Said, *, announces: bool
    ) -> Plan | None:
        """The request that continues the former one; `None` if that is impossible."""
        head = held.head
        if head is None or (announces and _is_over(head, held, ground)):
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
        keep = len(base) if said.withheld is None else base.before(said.withheld.first)
        return Plan(head, False, base, keep, added)

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
        """The request that begins a new epoch.

        With `bare` it has no thinking of earlier turns, whether the model checks it or not.
        """
        answer = _first_answer(held, said)
        former = held.head or Head(epoch=-1, first=0, began=0, system=())
        entries = held.entries
        if (withheld := said.withheld) is not None:
            entries = [entry for entry in entries if not withheld.has(entry)]
        head = msgspec.structs.replace(
            former,
            epoch=former.epoch + 1,
            began=_last_place(held, said) + 1 if answer is None else answer.place,
            inside_turn=answer is not None and ground.binding == "checked",
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
        """The plan's request, weighed; its new messages stand in its transcript.

        A question may have megabytes: others have a turn before and after it is weighed.
        """
        is_large = sum(entry.byte_count for entry in plan.sent) > LARGE
        if is_large:
            await trio.lowlevel.checkpoint()
        model, caches = ground.session.model, self._caches
        rebuilt = ground.binding == "rebuilt"
        system = ground.wanted.system if rebuilt else plan.head.system
        tools = ground.wanted.definitions if rebuilt else plan.head.tools
        opening = Opening(
            system=system,
            tools=marked(tools, caches=caches, for_an_hour=ground.for_an_hour),
            counted=await self._counts(system, tools, ground.output_format),
            output_format=ground.output_format,
        )
        transcript, first = plan.base, plan.base.before(own)
        if ground.output_format:
            _check_citations(transcript)
        has_tools = bool(ground.wanted.tools)  # what was removed is on offer no more
        scale = self._weigher.scale(model, held.billed, has_tools=has_tools)
        weight = weigh(opening, transcript, first, scale=scale, allowance=ground.allowance)
        if is_large:
            await trio.lowlevel.checkpoint()
        rates = partial(
            self._weigher.rates,
            model,
            weight.total,
            least=ground.allowance.least_cacheable,
            caches=caches,
            for_an_hour=ground.for_an_hour,
        )
        return Composed(
            model=model,
            head=plan.head,
            is_new_epoch=plan.is_new and bool(held.entries),
            opening=opening,
            has_tools=has_tools,
            has_served_tools=ground.wanted.has_served_tools,
            transcript=transcript,
            own=first,
            caches=caches,
            scale=scale,
            rates=rates(),
            most_rates=lambda: rates(margin=self._weigher.margin(model)),
            allowance=ground.allowance,
            weight=weight,
        )

    async def _counts(
        self, system: Sequence[tuple[SectionName, str]], tools: bytes, output_format: bytes
    ) -> dict[SectionName, int]:
        """The tokens of what a request opens with, as the tokenizer counts."""
        counts = {name: await self._counter.count_again(text) for name, text in system}
        if tools != NO_TOOLS:
            counts["tools"] = await self._counter.count_again(tools.decode())
        if output_format:  # the provider explains it in a system prompt of its own
            more = await self._counter.count_again(output_format.decode())
            counts["response_format"] = counts.get("response_format", 0) + more
        return counts

    @staticmethod
    def _drafted(held: Held, ground: Ground, plan: Plan, said: Said, composed: Composed) -> Draft:
        change = Change(
            session=ground.session,
            withheld=said.withheld,
            entries=tuple(plan.added),
            head=None if plan.head == held.head else plan.head,
        )
        return Draft(composed, change, plan.base if plan.is_new else None)


def _is_over(head: Head, held: Held, ground: Ground) -> bool:
    """Whether the next turn begins a new epoch.

    Thinking does not fit, the provider refuses a tool that was told, or what was announced and is
    superseded takes an eighth of the room.
    """
    if ground.binding == "rebuilt":
        return False
    superseded = sum(held.told.superseded.values()) / BYTES_A_TOKEN
    is_overgrown = superseded > ground.allowance.room / 8
    return held.is_mismatched or head.inside_turn or ground.tells_refused or is_overgrown


def _first_answer(held: Held, said: Said) -> Entry | None:
    """The running turn's own first answer, if there is one.

    From there on thinking goes upstream in an epoch that begins inside the turn: the provider lets
    nobody take thinking out of an answer that is not over, but drops by itself what does not fit.
    """
    entries = [*held.last_turn(), *said.entries]
    own = (one for one in entries if one.place >= said.own and one.role == "assistant")
    return next(own, None)


def _last_place(held: Held, said: Said) -> int:
    return said.entries[-1].place if said.entries else held.next_place - 1


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


def _check_citations(transcript: Transcript) -> None:
    """No document may be cited in JSON (the page "Structured outputs"). Raises GatewayError."""
    if transcript.sums().cited:
        raise GatewayError(
            "INVALID_MESSAGE",
            "`outputFormat`: the provider has no citations in JSON, and a document of this session "
            "has `citations.enabled`. Leave the one or the other out, or take another session.",
        )


def _size(piece: Piece) -> int:
    """The bytes that a piece adds to what is shown of its section."""
    text = piece.block.get("text")
    return len(text.encode() if isinstance(text, str) else _encode(piece.block))
