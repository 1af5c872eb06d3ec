"""How the simulator counts tokens, and how what it bills differs from that."""

from math import ceil

import msgspec

BYTES_PER_TOKEN = 3.6
TOKENS_FOR_TOOLS = 290
"""What the provider adds to a prompt with tools: it tells the model how to call them."""


class ByteTokenizer(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes divided by a figure; deterministic and cheap, and no client's own estimate.

    - `ratio`: billed tokens for a token of its own count; input and output alike
    - `overhead`: tokens that each request costs on top, `tools_overhead`: and one with tools
    """

    bytes_per_token: float = BYTES_PER_TOKEN
    ratio: float = 1.0
    overhead: int = 0
    tools_overhead: int = TOKENS_FOR_TOOLS

    @property
    def bytes_per_billed(self) -> float:
        """Bytes that are billed as one token."""
        return self.bytes_per_token / self.ratio

    def count(self, text: str) -> int:
        """The tokens of a text by its own count: UTF-8 bytes, divided, rounded up."""
        return self.count_bytes(len(text.encode()))

    def count_bytes(self, size: int) -> int:
        """The tokens of so many bytes, by its own count."""
        return ceil(size / self.bytes_per_token)

    def added(self, *, has_tools: bool) -> int:
        """What is billed beyond the blocks of a prompt."""
        return self.overhead + (self.tools_overhead if has_tools else 0)

    def billed(self, own: int) -> int:
        """What so many tokens of its own count are billed as."""
        return round(own * self.ratio)
