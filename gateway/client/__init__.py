"""A client of the gateway, for our own commands."""

from gateway.client.connection import Client, ConnectionLost, connect, new_id
from gateway.client.dial import ConnectError, Target

__all__ = ["Client", "ConnectError", "ConnectionLost", "Target", "connect", "new_id"]
