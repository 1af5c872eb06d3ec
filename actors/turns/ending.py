"""How a turn's conversation with the provider ended, as it is handed on."""

from __future__ import annotations

import msgspec

from protocol.errors import Failure


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """Why a turn ended: by a `failure`, or by a `stop` of the gateway's own.

    With neither it ended as the model wanted, or was cancelled: its latest step knows which.
    `is_refusal` when the provider found fault with what was sent. `container_gone` when it does not
    have the container that was named.
    """

    failure: Failure | None = None
    stop: str | None = None
    is_refusal: bool = False
    container_gone: bool = False

    def but(self, failure: Failure | None) -> Ending:
        """The same ending with what went wrong since; what went wrong first is what is told."""
        if failure is None or self.failure is not None:
            return self
        return Ending(failure=failure, stop=self.stop)
