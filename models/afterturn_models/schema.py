"""The JSON Schema of a configuration file, for editors: made from the model, never by hand."""

from __future__ import annotations

import copy
from typing import Any

from pydantic.alias_generators import to_camel

from afterturn_models.keys import ALIASES, IGNORED, UNSUPPORTED
from afterturn_models.settings_model import FIELDS, Settings

DIALECT = "https://json-schema.org/draft/2020-12/schema"
# What a converted alias takes, which is not what its field takes.
_OTHERWISE: dict[str, dict[str, Any]] = {
    "timeoutMs": {"type": "number", "exclusiveMinimum": 0},
    "crossSessionSearch": {"type": "boolean"},
}


def config_schema() -> dict[str, Any]:
    """Give the schema (draft 2020-12) of `config.json`, with every name that is taken in it."""
    model = Settings.model_json_schema(by_alias=True)
    defaults = Settings().model_dump(mode="json")
    own: dict[str, Any] = {
        to_camel(name): _plain(model["properties"][to_camel(name)], defaults[name])
        for name in FIELDS
    }
    # Others keep under this name which parts are injected; ours says when.
    own["injection"]["anyOf"].append({"type": "object"})
    properties = own | _aliases(own) | _others()
    block = {"type": "object", "additionalProperties": False, "properties": properties}
    return {
        "$schema": DIALECT,
        "title": "afterturn's configuration",
        "description": "$AFTERTURN_HOME/config.json",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "$schema": {"type": "string"},
            **properties,
            "hosts": {
                "type": "object",
                "description": "Blocks by program; ours comes before what stands outside of it.",
                "properties": {"afterturn": {"$ref": "#/$defs/block"}},
            },
        },
        "patternProperties": {"^(_|//)": {}},
        "$defs": {**model.get("$defs", {}), "block": block},
    }


def _plain(said: dict[str, Any], default: Any) -> dict[str, Any]:
    """Let null say nothing, as it does everywhere, and leave out titles that repeat the name."""
    kept = {name: value for name, value in said.items() if name not in {"title", "default"}}
    description = kept.pop("description", "")
    kinds = kept.pop("anyOf", None) or [kept]
    if {"type": "null"} not in kinds:
        kinds = [*kinds, {"type": "null"}]
    plain: dict[str, Any] = {"description": description, "anyOf": kinds}
    return plain if default is None else {**plain, "default": default}


def _aliases(own: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for alias in ALIASES:
        outer, _, inner = alias.name.partition(".")
        meant = to_camel(alias.field)
        said = _alias(alias.name, meant, own[meant])
        if inner:
            group = found.setdefault(
                outer, {"type": "object", "additionalProperties": False, "properties": {}}
            )
            group["properties"][inner] = said
        else:
            found[outer] = said
    return found


def _alias(name: str, meant: str, said: dict[str, Any]) -> dict[str, Any]:
    kind = _OTHERWISE.get(name) or {"anyOf": copy.deepcopy(said["anyOf"])}
    return {"description": f"Another name of {meant}: {said['description']}", **kind}


def _others() -> dict[str, Any]:
    known = {**IGNORED, **UNSUPPORTED}
    return {name: {"description": reason} for name, reason in known.items() if name != "hosts"}
