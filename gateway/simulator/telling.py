"""The models endpoint, as it should be and as proxies have it."""

import msgspec

from gateway.simulator.catalogue import MODELS, find_model
from gateway.simulator.errors import ApiError
from gateway.simulator.models import ModelSpec
from gateway.simulator.pages import page
from gateway.simulator.reply import Json
from gateway.simulator.request import Received
from gateway.simulator.settings import SimulatorSettings

PAGE = b"<!doctype html><title>A proxy</title><p>There is nothing here."
"""What a proxy without a models endpoint may answer, as JSON and with status 200."""


def known(name: str, settings: SimulatorSettings) -> ModelSpec | None:
    """The model of this name; those that the settings retire are retired."""
    model = find_model(name)
    if model is None or name not in settings.retired:
        return model
    return msgspec.structs.replace(model, lifecycle="retired", retires="2026-11-01")


def tell(name: str, request: Received, settings: SimulatorSettings) -> Json | bytes:
    """What is told of the model `name`, or, without a name, of all of them."""
    match settings.models:
        case "missing":
            raise ApiError(404)
        case "page":
            return PAGE
    if not name:
        listed = [known(model, settings) or MODELS[model] for model in MODELS]
        told = page([model.info() for model in listed], request.query)
        return told | {"data": [_bare(one) for one in told["data"]]} if _is_bare(settings) else told
    model = known(name, settings)
    if model is None:
        raise ApiError(404, f"model: {name}")
    return _bare(model.info()) if _is_bare(settings) else model.info()


def _is_bare(settings: SimulatorSettings) -> bool:
    return settings.models == "bare"


def _bare(told: Json) -> Json:
    """The id alone; all else is null, as some gateways have it."""
    return {name: value if name in ("id", "type") else None for name, value in told.items()}
