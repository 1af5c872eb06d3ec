"""Signatures for thinking blocks.

A signature holds a digest of the thinking as it was, and a seal (HMAC) over that digest and the
text as it was shown. So an altered text is found out, and a block whose text was left out still has
a signature of its own. The secret is constant by default: a conversation outlives the simulator.
"""

import base64
import binascii
import hashlib
import hmac

_HEAD = b"\x12\x01\x08"


class Signer:
    """Issues signatures and recognises its own."""

    def __init__(self, secret: bytes = b"agentspace simulator") -> None:
        self._secret = secret

    def sign(self, thought: str, shown: str) -> str:
        """The signature of a block that thought `thought` and shows `shown`."""
        digest = hashlib.sha256(thought.encode()).digest()
        return base64.b64encode(_HEAD + digest + self._seal(digest, shown)).decode("ascii")

    def recognises(self, signature: str, shown: str) -> bool:
        """Whether this signature was issued for exactly this text."""
        try:
            raw = base64.b64decode(signature, validate=True)
        except (binascii.Error, ValueError):
            return False
        head, digest, seal = raw[: len(_HEAD)], raw[len(_HEAD) : -32], raw[-32:]
        return head == _HEAD and hmac.compare_digest(seal, self._seal(digest, shown))

    def _seal(self, digest: bytes, shown: str) -> bytes:
        message = digest + shown.encode()
        return hmac.digest(self._secret, message, "sha256")
