"""Signatures for thinking blocks.

A signature holds a digest of the thinking as it was, what the block is bound to, and a seal (HMAC)
over these two and the text as it was shown. So an altered text is found out, and a block whose text
was left out still has a signature of its own. The secret is constant by default: a conversation
outlives the simulator.
"""

import base64
import binascii
import hashlib
import hmac

import msgspec

_LOOSE = b"\x12\x01\x08"
"""Begins a signature that holds no binding: of a search result, or of thinking of long ago."""
_BOUND = b"\x12\x02\x08"
_DIGEST = 32

_encode = msgspec.msgpack.Encoder().encode


class Prefix(msgspec.Struct, frozen=True, array_like=True):
    """Digests of what stood before a block: the system prompt, the tools, the messages."""

    system: bytes
    tools: bytes
    messages: bytes


class BlockBinding(msgspec.Struct, frozen=True, array_like=True):
    """What a block of thinking is bound to.

    - `model`: the id of the model that made it
    - `before`: the mark of the thinking block before it, or nothing
    - `run`: how many thinking blocks its model had before it
    """

    model: str
    prefix: Prefix
    before: bytes
    run: int


_decode = msgspec.msgpack.Decoder(BlockBinding).decode


class Signer:
    """Issues signatures and recognises its own."""

    def __init__(self, secret: bytes = b"agentspace simulator") -> None:
        self._secret = secret

    def sign(self, thought: str, shown: str) -> str:
        """A signature that is bound to nothing, of `thought` shown as `shown`."""
        digest = hashlib.sha256(thought.encode()).digest()
        return _text(_LOOSE + digest + self._seal(digest, shown))

    def bind(self, thought: str, shown: str, binding: BlockBinding) -> str:
        """The signature of a block that thought `thought`, shows `shown` and is bound to this."""
        held = hashlib.sha256(thought.encode()).digest() + _encode(binding)
        return _text(_BOUND + held + self._seal(_BOUND + _sized(held), shown))

    def recognises(self, signature: str, shown: str) -> bool:
        """Whether this signature was issued for exactly this text."""
        head, held, seal = _parts(signature)
        if head == _LOOSE:
            return hmac.compare_digest(seal, self._seal(held, shown))
        return head == _BOUND and hmac.compare_digest(
            seal, self._seal(_BOUND + _sized(held), shown)
        )

    def _seal(self, held: bytes, shown: str) -> bytes:
        return hmac.digest(self._secret, held + shown.encode(), "sha256")


def binding_of(signature: str) -> BlockBinding | None:
    """What a recognised signature is bound to; None when it holds no binding."""
    head, held, _ = _parts(signature)
    return _decode(held[_DIGEST:]) if head == _BOUND else None


def mark_of(signature: str) -> bytes:
    """What stands for a block in the signature of the one after it."""
    return hashlib.blake2b(signature.encode(), digest_size=16).digest()


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _sized(held: bytes) -> bytes:
    """What is held, with its size first: where it ends is then no matter of what follows it."""
    return len(held).to_bytes(4, "big") + held


def _parts(signature: str) -> tuple[bytes, bytes, bytes]:
    """Head, what is held, and the seal; three times nothing of what is no signature."""
    try:
        raw = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return b"", b"", b""
    return raw[: len(_LOOSE)], raw[len(_LOOSE) : -32], raw[-32:]
