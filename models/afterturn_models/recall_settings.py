"""What is recalled, how often, at what price, and who observes whom: settings that travel.

An agent writes what it was told of them on each session that it opens; workers and agents then
resolve them alike: keyword arguments > Postgres (session, agent, workspace) > the agent's other
sources > the worker's own > defaults.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from afterturn_models.layered import first_said

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

log = logging.getLogger("afterturn.settings")


def _formerly(names: Mapping[str, str]) -> Callable[[Any], Any]:
    """Make a function that gives today's name for a value that Hermes once called otherwise."""
    return lambda value: names.get(value, value) if isinstance(value, str) else value


Level = Literal["minimal", "low", "medium", "high", "max"]
Reach = Literal["session", "scope", "workspace"]
RecallMode = Annotated[
    Literal["hybrid", "context", "tools"], BeforeValidator(_formerly({"auto": "hybrid"}))
]
ObservationMode = Annotated[
    Literal["directional", "unified"],
    BeforeValidator(
        _formerly({"shared": "unified", "separate": "directional", "cross": "directional"})
    ),
]
_Side = Literal["user", "ai"]
_Observe = Literal["observeMe", "observeOthers"]
Cadence = Annotated[int, Field(ge=0, le=1000)]
Wait = Annotated[float, Field(ge=0, le=60)]
Calls = Annotated[int, Field(ge=0, le=10_000_000)]


class RecallSettings(BaseModel):
    """Recall's settings; names are snake_case in Python, camelCase everywhere else. Immutable."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True
    )

    # what is fetched, and how often
    recall_mode: RecallMode = Field(
        "hybrid", description="`hybrid`: injected, and by tools; `context`: injected only; `tools`"
    )
    context_cadence: Cadence = Field(
        1, description="turns between two fetches of what Honcho knows; 0: never"
    )
    dialectic_cadence: Cadence = Field(
        1, description="turns between two dialectic questions; 0: never"
    )
    context_tokens: int = Field(
        2000, ge=100, le=200_000, description="the budget of the prompt block, in tokens"
    )
    # how far recall reaches
    recall_automatic: Reach = Field(
        "workspace", description="how far what is injected by itself reaches"
    )
    recall_ask: Reach = Field("workspace", description="how far what a tool asks for reaches")
    recall_scope: str | None = Field(
        None, pattern="^[A-Za-z0-9_-]{1,90}$", description="Honcho's scope where a reach is `scope`"
    )

    # how it is injected
    injection: Literal["every-turn", "first-turn", "frozen"] = Field(
        "every-turn",
        description="`every-turn`, `first-turn`, or `frozen`: once, and there for good",
    )
    recall_sync: bool = Field(False, description="wait for what is recalled for this very message")
    recall_sync_seconds: float = Field(
        2.0, gt=0, le=60, description="how long `recallSync` waits at most"
    )
    first_turn_base_wait: Wait = Field(
        0.0, description="seconds that a first turn waits for what Honcho knows"
    )
    first_turn_dialectic_wait: Wait = Field(
        0.0, description="seconds that a first turn waits for the dialectic"
    )

    # the dialectic
    dialectic_reasoning_level: Level = Field("low", description="the level to begin with")
    dialectic_dynamic: bool = Field(True, description="a tool call may ask for a level of its own")
    reasoning_heuristic: bool = Field(
        True, description="raise the level with the length of the message"
    )
    reasoning_level_cap: Level = Field("high", description="how high it is raised by itself")
    dialectic_depth: int = Field(1, ge=1, le=3, description="passes of one dialectic question")
    dialectic_depth_levels: tuple[Level, ...] = Field(
        (), max_length=3, description="the level of each pass, where it is not the usual one"
    )
    dialectic_max_chars: int = Field(
        600, ge=50, le=100_000, description="characters of an answer that are injected"
    )
    dialectic_max_input_chars: int = Field(
        10_000, ge=100, le=10_000, description="characters of a question that are sent"
    )
    query_rewrite: bool = Field(
        False, description="make a question of the message before Honcho is asked"
    )

    # its budget, for a workspace and for each peer in it; 0 is as much as they ask for
    dialectic_calls_per_hour: Calls = Field(120, description="questions an hour; 0: any number")
    dialectic_calls_per_day: Calls = Field(1000, description="questions a day; 0: any number")
    dialectic_weight_per_hour: Calls = Field(
        0, description="the same by weight, which rises with the level; 0: any"
    )
    dialectic_weight_per_day: Calls = Field(0, description="weight a day; 0: any")
    dialectic_peer_calls_per_hour: Calls = Field(
        60, description="questions an hour about one peer; 0: any number"
    )
    dialectic_peer_calls_per_day: Calls = Field(
        500, description="questions a day about one peer; 0: any number"
    )
    dialectic_peer_weight_per_hour: Calls = Field(
        0, description="weight an hour for one peer; 0: any"
    )
    dialectic_peer_weight_per_day: Calls = Field(0, description="weight a day for one peer; 0: any")

    # who observes whom, where it is not as the spec has it
    observation_mode: ObservationMode | None = Field(
        None, description="`directional`: each observes the other; `unified`: one pool"
    )
    observation: dict[_Side, dict[_Observe, bool]] = Field(
        default_factory=dict,
        description="`observeMe` and `observeOthers` of `user` and `ai`, each by itself",
    )
    owner_observe_others: bool = Field(False, description="the user's peer observes the agent's")

    @model_validator(mode="after")
    def _levels_fit_depth(self) -> Self:
        if len(self.dialectic_depth_levels) > self.dialectic_depth:
            raise ValueError("dialecticDepthLevels names more passes than dialecticDepth has")
        return self

    def said(self, names: Sequence[str]) -> dict[str, Any]:
        """Give the values of these fields as JSON, under their camelCase names."""
        return self.model_dump(mode="json", by_alias=True, include=set(names))


FIELDS = tuple(RecallSettings.model_fields)


def resolve(layers: Sequence[Mapping[str, Any]]) -> RecallSettings:
    """Merge what `layers` say by camelCase key, the first that says anything wins.

    What says nothing sensible says nothing: a wrong value that somebody wrote into Postgres is
    logged, and the next layer's counts. Keys that are no recall setting are left alone.
    """
    merged = first_said(RecallSettings, layers)
    try:
        return RecallSettings.model_validate(merged, by_name=True, by_alias=False)
    except ValidationError:  # each fits, and together they do not
        merged.pop("dialectic_depth_levels", None)
        log.warning("dialecticDepthLevels does not fit dialecticDepth; it is left out")
        return RecallSettings.model_validate(merged, by_name=True, by_alias=False)
