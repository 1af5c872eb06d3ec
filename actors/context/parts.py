"""What the parts of the context actor share."""

from __future__ import annotations

from typing import NamedTuple

from actors.context.catalog import Catalog
from actors.context.composing import Composer
from actors.context.estimate.calibration import Calibrations
from actors.context.estimate.weighing import Weigher
from actors.context.flight import Underway
from actors.context.gathering import Gatherer
from actors.context.sessions import Sessions
from actors.ports import Clock, SessionStore


class Parts(NamedTuple):
    """The sessions and turns in memory, and whoever makes, weighs and stores requests."""

    store: SessionStore
    sessions: Sessions
    underway: Underway
    catalog: Catalog
    gatherer: Gatherer
    composer: Composer
    weigher: Weigher
    calibrations: Calibrations
    clock: Clock
