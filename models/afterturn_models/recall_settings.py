"""What is recalled, how often, at what price, and who observes whom: settings that travel.

An agent writes what it was told of them on each session that it opens; workers and agents then
resolve them alike: keyword arguments > Postgres (session, agent, workspace) > the agent's other
sources > the worker's own > defaults.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from afterturn_models.policy.reasoning import LEVELS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

log = logging.getLogger("afterturn.settings")

Level = Annotated[str, Field(pattern=f"^({'|'.join(LEVELS)})$")]
Reach = Literal["session", "scope", "workspace"]
_Side = Annotated[str, Field(pattern="^(user|ai)$")]
_Observe = Annotated[str, Field(pattern="^(observeMe|observeOthers)$")]
Wait = Annotated[float, Field(ge=0, le=60)]
Calls = Annotated[int, Field(ge=0, le=10_000_000)]


class RecallSettings(BaseModel):
    """Recall's settings; names are snake_case in Python, camelCase everywhere else. Immutable."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True
    )

    # what is fetched, and how often: turns between two fetches, 0 for never
    recall_mode: Literal["hybrid", "context", "tools"] = "hybrid"
    context_cadence: int = Field(1, ge=0, le=1000)
    dialectic_cadence: int = Field(1, ge=0, le=1000)
    context_tokens: int = Field(2000, ge=100, le=200_000)
    # how far recall reaches: injected by itself, and asked for by a tool
    recall_automatic: Reach = "workspace"
    recall_ask: Reach = "workspace"
    recall_scope: str | None = Field(None, pattern="^[A-Za-z0-9_-]{1,90}$")

    # how it is injected
    injection: Literal["every-turn", "first-turn", "frozen"] = Field(
        "every-turn",
        validation_alias=AliasChoices("injection", "injectionFrequency"),
    )
    recall_sync: bool = False
    recall_sync_seconds: float = Field(2.0, gt=0, le=60)
    first_turn_base_wait: Wait = 0.0
    first_turn_dialectic_wait: Wait = 0.0

    # the dialectic
    dialectic_reasoning_level: Level = "low"
    dialectic_dynamic: bool = True  # a tool call may ask for a level of its own
    reasoning_heuristic: bool = True  # the level rises with the length of the message
    reasoning_level_cap: Level = "high"
    dialectic_depth: int = Field(1, ge=1, le=3)
    dialectic_depth_levels: tuple[Level, ...] = Field((), max_length=3)
    dialectic_max_chars: int = Field(600, ge=50, le=100_000)
    dialectic_max_input_chars: int = Field(10_000, ge=100, le=10_000)
    query_rewrite: bool = False

    # its budget, for a workspace and for each peer in it; 0 is as much as they ask for
    dialectic_calls_per_hour: Calls = 120
    dialectic_calls_per_day: Calls = 1000
    dialectic_weight_per_hour: Calls = 0
    dialectic_weight_per_day: Calls = 0
    dialectic_peer_calls_per_hour: Calls = 60
    dialectic_peer_calls_per_day: Calls = 500
    dialectic_peer_weight_per_hour: Calls = 0
    dialectic_peer_weight_per_day: Calls = 0

    # who observes whom, where it is not as the spec has it
    observation_mode: Literal["directional", "unified"] | None = None
    observation: dict[_Side, dict[_Observe, bool]] = Field(default_factory=dict)
    owner_observe_others: bool = False

    @model_validator(mode="after")
    def _levels_fit_depth(self) -> Self:
        if len(self.dialectic_depth_levels) > self.dialectic_depth:
            raise ValueError("dialecticDepthLevels names more passes than dialecticDepth has")
        return self

    def said(self, names: Sequence[str]) -> dict[str, Any]:
        """Give the values of these fields as JSON, under their camelCase names."""
        return self.model_dump(mode="json", by_alias=True, include=set(names))


FIELDS = tuple(RecallSettings.model_fields)
KEYS = {to_camel(name): name for name in FIELDS}


def resolve(layers: Sequence[Mapping[str, Any]]) -> RecallSettings:
    """Merge what `layers` say by camelCase key, the first that says anything wins.

    What says nothing sensible says nothing: a wrong value that somebody wrote into Postgres is
    logged, and the next layer's counts. Keys that are no recall setting are left alone.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            name = KEYS.get(key)
            if name is not None and name not in merged and _fits(name, value):
                merged[name] = value
    try:
        return RecallSettings.model_validate(merged, by_name=True, by_alias=False)
    except ValidationError:  # each fits, and together they do not
        merged.pop("dialectic_depth_levels", None)
        log.warning("dialecticDepthLevels does not fit dialecticDepth; it is left out")
        return RecallSettings.model_validate(merged, by_name=True, by_alias=False)


def _fits(name: str, value: Any) -> bool:
    try:
        RecallSettings.model_validate({name: value}, by_name=True, by_alias=False)
    except ValidationError as error:
        if any(found["loc"][:1] == (name,) for found in error.errors(include_url=False)):
            log.warning("%s is set to a value that does not fit; it is left out", to_camel(name))
            return False
    return True
