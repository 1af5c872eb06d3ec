"""Token estimates by tiktoken's o200k_base, from the vocabulary in this package.

tiktoken downloads its encodings at first use, without a time limit, and caches even a local file
in a temporary folder that is shared with other users. So the vocabulary is read and checked here,
and tiktoken gets what it would have made of it. It is packed, which is read in a quarter less time
than tiktoken's own file; `gateway/data/README` says how. The count is an estimate: it is not
Claude's tokenizer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import Protocol

import msgspec
import trio

from gateway.late import Late

VOCABULARY_SHA256 = "21be86ee43e53a592c4dc0621c2eca9af6bc4c29df3c9a2161e452e4ecccab5d"

# tiktoken_ext.openai_public.o200k_base, which cannot be asked for them without a download.
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
PATTERN = "|".join(
    (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
        + _CONTRACTION,
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
        + _CONTRACTION,
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)
SPECIAL_TOKENS = {"<|endoftext|>": 199_999, "<|endofprompt|>": 200_018}

INLINE_CHARACTERS = 20_000
"""Texts of up to this many characters together take about 1 ms: less than a thread is worth."""

LONGEST_PIECE = 65_536
"""Characters; longer text is counted in pieces, which bounds the memory and the worst case.

A cut may split a token: the estimate grows by a token or two a piece.
"""


class _Encoding(Protocol):
    """`tiktoken.Encoding`, which is not imported before it is needed."""

    @property
    def n_vocab(self) -> int: ...

    def encode_ordinary(self, text: str) -> list[int]: ...


class TiktokenTokenizer:
    """Counts tokens. Any thread may use it; the vocabulary is loaded once, when first needed."""

    def __init__(self) -> None:
        self._encoding = Late(_load)
        self._limiter = trio.CapacityLimiter(2)

    def load(self) -> _Encoding:
        """Load the vocabulary (blocking: 0.2 s). Raises ValueError when it is damaged.

        It takes 72 MB, and keeps 51. For most of the time the library keeps the interpreter to
        itself, and the loop waits.
        """
        return self._encoding.get()

    async def ready(self) -> None:
        """Wait until the vocabulary is loaded."""
        await self._encoding.wait()

    def count(self, text: str) -> int:
        """The tokens of `text` (blocking: about 40 ms a million characters).

        What looks like a special token is ordinary text; a lone surrogate counts as U+FFFD.
        """
        encode = self.load().encode_ordinary
        if len(text) <= LONGEST_PIECE:
            return len(encode(text))
        starts = range(0, len(text), LONGEST_PIECE)
        return sum(len(encode(text[start : start + LONGEST_PIECE])) for start in starts)

    async def count_many(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text: short ones at once, long ones in a worker thread.

        For short ones it is no checkpoint: a switch of tasks may cost more than counting them.
        """
        if self._encoding.is_loaded and sum(map(len, texts)) <= INLINE_CHARACTERS:
            return self._count_all(texts)
        # Whoever no longer wants the answer need not wait for it: counting changes nothing.
        return await trio.to_thread.run_sync(
            self._count_all, texts, abandon_on_cancel=True, limiter=self._limiter
        )

    def _count_all(self, texts: Sequence[str]) -> list[int]:
        return [self.count(text) for text in texts]


def _load() -> _Encoding:
    import tiktoken  # noqa: PLC0415 - and the vocabulary takes longer

    encoding = tiktoken.Encoding(
        "o200k_base",
        pat_str=PATTERN,
        mergeable_ranks=_read_ranks(),
        special_tokens=SPECIAL_TOKENS,
    )
    # What counts has made a table of its own of it; to be pickled is all that it is kept for.
    vars(encoding).pop("_mergeable_ranks", None)
    return encoding


def _read_ranks() -> dict[bytes, int]:
    content = resources.files("gateway").joinpath("data", "o200k_base.msgpack").read_bytes()
    if hashlib.sha256(content).hexdigest() != VOCABULARY_SHA256:
        raise ValueError("the packaged vocabulary o200k_base.msgpack is damaged")
    tokens = msgspec.msgpack.decode(content, type=list[bytes])
    return dict(zip(tokens, range(len(tokens)), strict=True))
