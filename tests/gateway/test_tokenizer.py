"""Token estimates: tiktoken's own counts, offline, bounded, off the loop when long."""

import hashlib
import inspect
import socket
import threading
import time
from binascii import b2a_base64

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from tiktoken_ext import openai_public

from gateway import tokenizer as module
from gateway.tokenizer import INLINE_CHARACTERS, LONGEST_PIECE, TiktokenTokenizer

SINGLE_BYTES = {bytes([value]): value for value in range(256)}
"""The least vocabulary there is, for tests that look at threads and not at tokens."""


@pytest.fixture(scope="module")
def loaded() -> TiktokenTokenizer:
    """A tokenizer that has its vocabulary."""
    tokenizer = TiktokenTokenizer()
    tokenizer.load()
    return tokenizer


def test_it_loads_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vocabulary is in the package: no socket is opened."""

    def forbidden(*args: object, **kwargs: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "__init__", forbidden)
    monkeypatch.setattr(socket.socket, "connect", forbidden)
    tokenizer = TiktokenTokenizer()
    assert tokenizer.count("hello world") == 2
    assert tokenizer.load().n_vocab == 200_019


def test_the_pattern_is_tiktokens_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A newer tiktoken with another pattern fails here."""
    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", lambda *args, **kwargs: {})
    official = openai_public.o200k_base()
    assert official["pat_str"] == module.PATTERN
    assert official["special_tokens"] == module.SPECIAL_TOKENS


def test_the_vocabulary_is_tiktokens_own() -> None:
    """Written as tiktoken writes it, it has the hash that tiktoken looks for."""
    written = b"".join(
        b2a_base64(token, newline=False) + b" %d\n" % rank
        for token, rank in module._read_ranks().items()
    )
    assert hashlib.sha256(written).hexdigest() in inspect.getsource(openai_public.o200k_base)


def test_a_damaged_vocabulary_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is checked against its hash."""
    monkeypatch.setattr(module, "VOCABULARY_SHA256", "0" * 64)
    with pytest.raises(ValueError, match="is damaged"):
        TiktokenTokenizer().load()


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("The quick brown fox jumps over the lazy dog.", 10),
        ("don't stop", 2),
        ("1234567", 3),
        ("\ud800", 1),
        ("<|endoftext|>", 7),
    ],
)
def test_known_counts(loaded: TiktokenTokenizer, text: str, tokens: int) -> None:
    """Special tokens are plain text here, a lone surrogate counts as U+FFFD."""
    assert loaded.count(text) == tokens


@given(text=st.text(alphabet=st.characters(exclude_categories=()), max_size=200))
def test_any_text_is_counted(loaded: TiktokenTokenizer, text: str) -> None:
    """Lone surrogates, too; never more tokens than UTF-8 bytes."""
    assert 0 <= loaded.count(text) <= len(text.encode(errors="replace")) * 3


@given(text=st.text(max_size=50))
def test_pieces_differ_by_little(loaded: TiktokenTokenizer, text: str) -> None:
    """A cut costs at most what the text beside it is made of."""
    before = "word " * (LONGEST_PIECE // 5)
    whole = len(loaded.load().encode_ordinary(before + text))
    assert abs(loaded.count(before + text) - whole) <= 8


@pytest.mark.parametrize("text", ["a" * 200_000, " " * 200_000, "\n" * 200_000, "é" * 200_000])
def test_equal_characters_take_no_time(loaded: TiktokenTokenizer, text: str) -> None:
    """The worst case of byte pair encoding is bounded by counting in pieces."""
    start = time.perf_counter()
    assert 0 < loaded.count(text) <= len(text)
    assert time.perf_counter() - start < 5


def test_ten_megabytes_are_counted(loaded: TiktokenTokenizer) -> None:
    """Piece by piece: memory is bounded by a piece's tokens."""
    assert loaded.count("ten megabytes " * 700_000) > 1_000_000


async def test_texts_are_counted_in_order(loaded: TiktokenTokenizer) -> None:
    """One count for each text, short or long."""
    long = "word " * INLINE_CHARACTERS
    assert await loaded.count_many([]) == []
    assert await loaded.count_many(["", "hello world"]) == [0, 2]
    assert await loaded.count_many(["hello world", long]) == [2, loaded.count(long)]


async def test_short_text_stays_on_the_loop_and_long_text_leaves_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before the vocabulary is there, every text is long."""
    monkeypatch.setattr(module, "_read_ranks", lambda: SINGLE_BYTES)
    tokenizer = TiktokenTokenizer()
    threads = []
    count = TiktokenTokenizer.count

    def spied(self: TiktokenTokenizer, text: str) -> int:
        threads.append(threading.current_thread() is threading.main_thread())
        return count(self, text)

    monkeypatch.setattr(TiktokenTokenizer, "count", spied)
    await tokenizer.count_many(["short"])
    await tokenizer.count_many(["short"])
    await tokenizer.count_many(["x" * INLINE_CHARACTERS])
    await tokenizer.count_many(["x" * INLINE_CHARACTERS, "x"])
    assert threads == [False, True, True, False, False]


async def test_the_loop_runs_on_while_long_text_is_counted(loaded: TiktokenTokenizer) -> None:
    """Other tasks get their turn before the count is there."""
    counted = False
    turns = 0

    async def count() -> None:
        nonlocal counted
        await loaded.count_many(["some words " * 500_000])
        counted = True

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count)
        while not counted:
            turns += 1
            await trio.sleep(0.001)
    assert turns > 3


async def test_a_cancelled_count_is_left_at_once(loaded: TiktokenTokenizer) -> None:
    """Its thread finishes alone; the limiter is free again afterwards."""
    with trio.move_on_after(0.01) as scope:
        await loaded.count_many(["some words " * 200_000])
    assert scope.cancelled_caught
    assert await loaded.count_many(["x " * INLINE_CHARACTERS])


def test_threads_load_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes second waits for the first."""
    reads = 0

    def read_ranks() -> dict[bytes, int]:
        nonlocal reads
        reads += 1
        return SINGLE_BYTES

    monkeypatch.setattr(module, "_read_ranks", read_ranks)
    tokenizer = TiktokenTokenizer()
    threads = [threading.Thread(target=tokenizer.count, args=("text",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reads == 1
