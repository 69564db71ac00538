"""Layers: what several places say of one model's settings, merged so that the first word counts."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

log = logging.getLogger("afterturn.settings")


def first_said(model: type[BaseModel], layers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Give by field what `layers` say of `model` under camelCase keys; the first that speaks counts.

    What says nothing sensible says nothing: a wrong value that somebody wrote into Postgres is
    logged, and the next layer's counts. Keys that are no field of the model are left alone.
    """
    keys = {to_camel(name): name for name in model.model_fields}
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            name = keys.get(key)
            if name is not None and name not in merged and _fits(model, name, value):
                merged[name] = value
    return merged


def _fits(model: type[BaseModel], name: str, value: Any) -> bool:
    try:
        model.model_validate({name: value}, by_name=True, by_alias=False)
    except ValidationError as error:
        if any(found["loc"][:1] == (name,) for found in error.errors(include_url=False)):
            log.warning("%s is set to a value that does not fit; it is left out", to_camel(name))
            return False
    return True
