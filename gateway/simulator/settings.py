"""The simulator's numbers."""

from typing import Literal

import msgspec

from gateway.simulator.binding import Account
from gateway.simulator.tokenizer import BYTES_PER_TOKEN, TOKENS_FOR_TOOLS, ByteTokenizer


class SimulatorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a simulator behaves, whatever it is asked.

    - `rate`: deltas a second of a reply that does not say; 0 is as fast as it goes
    - `ping_every`: seconds of silence in a stream before a ping
    - `bytes_per_token`: its tokenizer
    - `token_ratio`: tokens it bills for each that it counts, of input and output
    - `overhead_tokens`: input it bills on top of every request
    - `tools_overhead_tokens`: input it bills on top of a request with tools
    - `account`: "new" for one made since 2026-08-31, where every model that checks thinking blocks
      refuses a mismatch; "old" for one before that, where the models of before Fable and Mythos 5.2
      let it through unless the request asks for the check
    - `models`: how the models endpoint answers: as it should, with a 404 ("missing"), with a page
      of HTML ("page"), or with nothing but ids ("bare")
    - `retired`: ids of models that are told as retired, and refused
    - `body_limit`: bytes of a request's body; more is a 413
    - `idle_timeout`: seconds a connection may take to send its next request
    - `keep`: how many requests and bills are remembered
    """

    rate: float = 0.0
    ping_every: float = 10.0
    bytes_per_token: float = BYTES_PER_TOKEN
    token_ratio: float = 1.0
    overhead_tokens: int = 0
    tools_overhead_tokens: int = TOKENS_FOR_TOOLS
    account: Account = "new"
    models: Literal["told", "missing", "page", "bare"] = "told"
    retired: tuple[str, ...] = ()
    body_limit: int = 32 * 1024 * 1024
    idle_timeout: float = 300.0
    keep: int = 10_000

    @property
    def tokenizer(self) -> ByteTokenizer:
        """How it counts, and what it bills."""
        return ByteTokenizer(
            bytes_per_token=self.bytes_per_token,
            ratio=self.token_ratio,
            overhead=self.overhead_tokens,
            tools_overhead=self.tools_overhead_tokens,
        )
