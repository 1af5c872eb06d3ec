"""Identifiers in the API's shapes."""

import random

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


class Ids:
    """Makes identifiers. With a seed, the same ones in the same order."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.Random(seed)  # names, not secrets

    def message(self) -> str:
        """An id for a message, `msg_...`."""
        return "msg_01" + self._tail()

    def request(self) -> str:
        """An id for a request, `req_...`."""
        return "req_011C" + self._tail()

    def tool_use(self) -> str:
        """An id for a call of a client's tool, `toolu_...`."""
        return "toolu_01" + self._tail()

    def server_tool_use(self) -> str:
        """An id for a call of a provider's tool, `srvtoolu_...`."""
        return "srvtoolu_01" + self._tail()

    def container(self) -> str:
        """An id for a container in which code is executed, `container_...`."""
        return "container_01" + self._tail()

    def _tail(self) -> str:
        return "".join(self._random.choices(_BASE58, k=22))
