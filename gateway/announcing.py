"""What a start says of itself in the log: where it listens, and whether it has a key.

Without this a gateway without a key looks like one that works, until the first turn fails.
"""

from __future__ import annotations

import logging

import trio

from gateway.vault import Vault, VaultError
from protocol.provider.rejections import KEY_HINT

log = logging.getLogger(__name__)


async def announce(url: str, vault: Vault, seconds: float) -> None:
    """Say where clients connect, then look for the key, for at most so many `seconds`.

    A keyring may wait for its owner: nothing waits for this.
    """
    log.info("listening at %s", url)
    with trio.move_on_after(seconds) as patience:
        try:
            found = await trio.to_thread.run_sync(vault.find, abandon_on_cancel=True)
        except VaultError as error:
            log.warning("no API key: %s", error)
            return
        if found is None:
            log.warning("there is no API key for the provider. %s", KEY_HINT)
        else:
            log.info("the API key comes from: %s", found.source.value)
    if patience.cancelled_caught:
        log.warning("the API key was not found within %g s; the keyring may be locked", seconds)
