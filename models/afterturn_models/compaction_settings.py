"""Compaction's settings, which travel as recall's do: when a history is summarised, and by what.

An agent writes what it was told of them on each session that it opens, and workers resolve them
as it does: keyword arguments > Postgres (session, agent, workspace) > the agent's other sources >
the worker's own > defaults. A worker has them from a session's profile:

    settings = profile.compaction(said, own)  # what Postgres says by scope, and the worker's own
    settings.rules(), settings.compaction_summary, settings.compaction_keep
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from afterturn_models.layered import first_said
from afterturn_models.policy.compaction import CompactionRules

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SummaryMode = Literal["auto", "honcho", "llm", "extractive", "off"]
_Word = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]


class CompactionSettings(BaseModel):
    """Compaction's settings; names are snake_case in Python, camelCase everywhere else. Immutable."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True
    )

    context_window: int = Field(
        128_000, ge=2000, le=100_000_000, description="tokens of the context window of the model"
    )
    compaction_threshold: float = Field(
        0.5, gt=0, le=1, description="the share of the window at which a history is summarised"
    )
    compaction_target: float = Field(
        0.2, ge=0, lt=1, description="the share of that threshold which the last turns may keep"
    )
    compaction_head_turns: int = Field(
        1, ge=0, le=1000, description="first turns that always stay as they are"
    )
    compaction_tail_turns: int = Field(
        6, ge=1, le=1000, description="last turns that always stay as they are"
    )
    compaction_summary_tokens: int = Field(
        1500, ge=100, le=50_000, description="how long a summary may be, in tokens"
    )
    compaction_summary: SummaryMode = Field(
        "auto",
        description="who summarises: `honcho`, `llm`, `extractive`, `auto`: the first of them that can; `off`",
    )
    compaction_keep: tuple[_Word, ...] = Field(
        (), max_length=200, description="words and phrases that a summary must not leave out"
    )

    def rules(self) -> CompactionRules:
        """Give what a plan goes by."""
        return CompactionRules(
            window=self.context_window,
            threshold=self.compaction_threshold,
            target=self.compaction_target,
            head_turns=self.compaction_head_turns,
            tail_turns=self.compaction_tail_turns,
            summary_tokens=self.compaction_summary_tokens,
        )


FIELDS = tuple(CompactionSettings.model_fields)


def resolve(layers: Sequence[Mapping[str, Any]]) -> CompactionSettings:
    """Merge what `layers` say by camelCase key, the first that says anything sensible wins.

    Keys that are no setting of compaction are left alone.
    """
    merged = first_said(CompactionSettings, layers)
    return CompactionSettings.model_validate(merged, by_name=True, by_alias=False)
