"""Thinking that comes back: which of it the model may read, which it may not, and who is told.

A signature holds what its block is bound to (`signature.py`, `prefix.py`), so the check needs no
memory. A block fits when

- what stands before it is what stood there, and
- it follows the thinking it followed, the kept blocks being an unbroken run. Blocks may be left
  out from the start, from the end, or all of them. A gap, a move, or a block put back that was
  gone when this one was made is a mismatch.

The run is that of the model that made the block: what this model could not read is no part of it.
A block that fails is no part of the run either, so those that followed it fail with it, and one
that was made after it had been dropped fits. A signature without a binding, from before there were
any, is of an unknown conversation: a mismatch where the model checks, accepted where not.

Sources: "Prefix checks on thinking blocks", "Preserved thinking", and the SDK's types
(`BetaThinkingBlockBindingParam`, `BetaInputTransformation`).
"""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from gateway.simulator.catalogue import find_model
from gateway.simulator.errors import invalid
from gateway.simulator.generations import checks_every_account, checks_prefix, reads
from gateway.simulator.models import ModelSpec
from gateway.simulator.prefix import Growing, parts_of
from gateway.simulator.reply import ErrorReply, Json
from gateway.simulator.signature import BlockBinding, Prefix, Signer, binding_of, mark_of
from gateway.simulator.transcript import THOUGHTS

BINDING_CONTROLS = "thinking-binding-controls-2026-08-01"
"""The beta that `thinking.block_binding` and `input_transformations` take."""
SETTING = "thinking.block_binding.prefix_mismatch_behavior"
BEHAVIORS = ("error", "drop_block")
BINDABLE = ("adaptive", "enabled")
"""The types of thinking that may say what becomes of a mismatch."""

Account = Literal["new", "old"]
MismatchOutcome = Literal["error", "drop_block", "allow"]


class Thought(msgspec.Struct, frozen=True):
    """A block of thinking in a conversation; `maker` is None where no model is known."""

    mark: bytes
    maker: ModelSpec | None

    def read_by(self, model: ModelSpec | None) -> bool:
        """Whether this model can read it; one that is unknown here counts as able."""
        return model is None or self.maker is None or reads(model, self.maker)


class Screened(msgspec.Struct, frozen=True):
    """A request after the check.

    - `body`: what the model reads of it
    - `entries`: what was done about its thinking, as `input_transformations` lists it
    - `run`: the thinking that counts as standing before the answer
    - `place`: what stands before the answer
    """

    body: Json
    entries: tuple[Json, ...]
    run: tuple[Thought, ...]
    place: Growing


class Binder:
    """Signs the thinking of one answer, each block bound to what stands before it."""

    def __init__(self, screened: Screened, model: ModelSpec, signer: Signer) -> None:
        self._place = screened.place
        self._run = [thought for thought in screened.run if thought.read_by(model)]
        self._model = model
        self._signer = signer
        self._place.open("assistant")

    def sign(self, thought: str, shown: str) -> str:
        """The signature of the answer's next block of thinking."""
        before = self._run[-1].mark if self._run else b""
        name = self._model.snapshot or self._model.id
        binding = BlockBinding(name, self._place.here(), before, len(self._run))
        signature = self._signer.bind(thought, shown, binding)
        self._run.append(Thought(mark_of(signature), self._model))
        return signature

    def add(self, block: Json) -> None:
        """Another block of the answer; the thinking after it is bound to it, too."""
        self._place.add(block)


def check_block_binding(thinking: Json, betas: frozenset[str]) -> None:
    """`thinking.block_binding` needs its beta and a type of thinking that takes it."""
    kind = thinking["type"]
    if "block_binding" not in thinking:
        return
    place = f"thinking.{kind}.block_binding"
    if BINDING_CONTROLS not in betas or kind not in BINDABLE:
        raise invalid(f"{place}: Extra inputs are not permitted")
    asked = thinking["block_binding"]
    if asked is not None and not isinstance(asked, dict):
        raise invalid(f"{place}: Input should be a valid dictionary")
    for name, value in (asked or {}).items():
        if name != "prefix_mismatch_behavior":
            raise invalid(f"{place}.{name}: Extra inputs are not permitted")
        if value is not None and value not in BEHAVIORS:
            raise invalid(f"{place}.{name}: Input should be 'error' or 'drop_block'")


def screen(body: Json, model: ModelSpec, account: Account, betas: frozenset[str]) -> Screened:
    """Check the thinking in a request whose signatures are recognised; ApiError for a mismatch."""
    return _Check(body, model, _outcome(body, model, account), betas).run()


def prefix_mismatch(path: str = "messages.1.content.0", *, controls: bool = True) -> ErrorReply:
    """The refusal of a block that is bound to another conversation, for a script.

    `controls`: the request sends the beta of `block_binding`.
    """
    return ErrorReply(400, message=_refusal(path, "thinking", controls=controls))


def _outcome(body: Json, model: ModelSpec, account: Account) -> MismatchOutcome:
    """What becomes of a mismatch. To set the field is to ask for the check, on any account.

    A model that does not check takes the field, and it has no effect there.
    """
    asked = ((body.get("thinking") or {}).get("block_binding") or {}).get(
        "prefix_mismatch_behavior"
    )
    if asked is not None:
        return "drop_block" if asked == "drop_block" else "error"
    return "error" if account == "new" or checks_every_account(model) else "allow"


class _Check:
    """One walk through a request's messages."""

    def __init__(
        self, body: Json, model: ModelSpec, outcome: MismatchOutcome, betas: frozenset[str]
    ) -> None:
        self._body = body
        self._model = model
        self._outcome = outcome
        self._controls = BINDING_CONTROLS in betas
        self._place = Growing(body)
        self._seen: list[Thought] = []
        self._kept: list[Thought] = []
        self._entries: list[Json] = []

    def run(self) -> Screened:
        messages = [self._message(at, m) for at, m in enumerate(self._body["messages"])]
        return Screened(
            body={**self._body, "messages": messages},
            entries=tuple(self._entries),
            run=tuple(self._kept),
            place=self._place,
        )

    def _message(self, at: int, message: Json) -> Json:
        self._place.open(message["role"])
        shown: list[Any] = []
        parts = parts_of(message)
        for place, part in enumerate(parts):
            thinks = isinstance(part, dict) and part["type"] in THOUGHTS
            if not thinks or self._stays(part, f"messages.{at}.content.{place}"):
                shown.append(part)
            self._place.add(part)
        return message if len(shown) == len(parts) else {**message, "content": shown}

    def _stays(self, block: Json, path: str) -> bool:
        """Whether the model gets this block of thinking."""
        signature = str(block.get("signature") or block.get("data"))
        binding = binding_of(signature)
        thought = Thought(mark_of(signature), find_model(binding.model) if binding else None)
        readable = thought.read_by(self._model)
        wrong = self._mismatch(binding, thought) if checks_prefix(self._model) else None
        self._seen.append(thought)
        if not readable:  # whatever else is wrong: of several reasons this one is told
            self._tell("thinking_dropped", path, "model_binding_mismatch")
        elif wrong is not None:
            self._refuse(block, path, wrong)
        if wrong is None or self._outcome == "allow":
            self._kept.append(thought)
        return readable and (wrong is None or self._outcome == "allow")

    def _refuse(self, block: Json, path: str, wrong: str) -> None:
        if self._outcome == "error":
            kind = str(block["type"])
            raise invalid(_refusal(path, kind, wrong, controls=self._controls))
        kind = "thinking_dropped" if self._outcome == "drop_block" else "thinking_mismatch_allowed"
        self._tell(kind, path, "prefix_binding_mismatch")

    def _tell(self, kind: str, path: str, reason: str) -> None:
        self._entries.append({"type": kind, "path": path, "reason": reason})

    def _mismatch(self, binding: BlockBinding | None, thought: Thought) -> str | None:
        """What differs from when the block was made, in words; None when nothing does."""
        if binding is None:
            return "The block does not say which conversation it belongs to."
        here = self._place.here()
        if here != binding.prefix:
            return _difference(here, binding.prefix)
        if not _read_by(thought.maker, self._seen):
            return None  # whatever stood before it has been left out
        run = _read_by(thought.maker, self._kept)
        before = run[-1].mark if run else b""
        if before == binding.before and len(run) <= binding.run:
            return None
        return "The thinking blocks before this block are not those it was created after."


def _read_by(model: ModelSpec | None, thoughts: Sequence[Thought]) -> list[Thought]:
    return [thought for thought in thoughts if thought.read_by(model)]


def _difference(here: Prefix, bound: Prefix) -> str:
    if here.system != bound.system:
        return "The `system` prompt differs from the one this block was created with."
    if here.tools != bound.tools:
        return "The `tools` list differs from the one this block was created with."
    return "Content before this block differs from when it was created."


def _refusal(path: str, kind: str, wrong: str = "", *, controls: bool) -> str:
    field = "data" if kind == "redacted_thinking" else "signature"
    sentences = [
        f"{path}: Invalid `{field}` in `{kind}` block.",
        "The block is bound to a different conversation.",
        f'Remove the block, or set `{SETTING}` to "drop_block".',
    ]
    if not controls:
        sentences.append(
            f"That setting requires the `{BINDING_CONTROLS}` value in the `anthropic-beta` header."
        )
    return " ".join((*sentences, wrong)).strip()
