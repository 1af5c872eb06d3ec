"""The simulator's numbers."""

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How a simulator behaves, whatever it is asked.

    - `rate`: deltas a second of a reply that does not say; 0 is as fast as it goes
    - `ping_every`: seconds of silence in a stream before a ping
    - `bytes_per_token`: its tokenizer
    - `body_limit`: bytes of a request's body; more is a 413
    - `idle_timeout`: seconds a connection may take to send its next request
    - `keep`: how many requests and bills are remembered
    """

    rate: float = 0.0
    ping_every: float = 10.0
    bytes_per_token: float = 3.6
    body_limit: int = 32 * 1024 * 1024
    idle_timeout: float = 300.0
    keep: int = 10_000
