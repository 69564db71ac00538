"""`afterturn status --timings`: what each stage of turns and tasks took, over every process."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer
from redis.exceptions import RedisError

from afterturn.cli.tables import table
from afterturn.timings.marks import PUBLISH, STAGES
from afterturn_models.errors import AfterturnError, ConfigurationError
from afterturn_models.settings import load
from afterturn_models.timings import AGENT, FLUSH_SECONDS, WORKER, connect, recent

if TYPE_CHECKING:
    from afterturn_models.policy.timing_buckets import Histogram, Summary

_TIMEOUT = 3.0
_STEPS = ("sync", "claim", "post", "settle", "http", "prefetch", "dialectic", "ask")
_ORDER = {AGENT: (*STAGES, PUBLISH), WORKER: _STEPS}
_TITLES = ("Role", "Stage", "Count", "p50", "p90", "p99", "Sum")
_NONE = (
    "nothing was measured in this time; agents and workers tell of what they do"
    f" every {FLUSH_SECONDS:g} s"
)


def show(hours: int, *, as_json: bool) -> None:
    """Print what was measured in the last `hours`; raises AfterturnError where Redis is away."""
    found = {role: _summaries(role, stages) for role, stages in _read(hours).items()}
    if as_json:
        shown = {
            role: {stage: asdict(one) for stage, one in stages.items()}
            for role, stages in found.items()
        }
        typer.echo(json.dumps({"hours": hours, **shown}, indent=2))
        return
    rows = [
        (role, stage, *_cells(one))
        for role, stages in found.items()
        for stage, one in stages.items()
    ]
    if rows:
        table(_TITLES, rows)
    else:
        typer.echo(_NONE)


def duration(seconds: float) -> str:
    """Give a duration for people, in the unit that suits it: three digits of it."""
    for unit, factor in (("s", 1.0), ("ms", 1e3)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}" if seconds < 1000 else f"{seconds:.0f} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def _read(hours: int) -> dict[str, dict[str, Histogram]]:
    settings = load().settings
    try:
        with connect(settings.need_redis_url(), _TIMEOUT) as redis:
            return recent(redis, settings.workspace, hours)
    except ValueError:
        raise ConfigurationError(
            "the Redis URL cannot be read; it has the form redis://host:6379/0"
        ) from None  # the cause may quote a piece of the password
    except RedisError as error:
        reason = str(error).partition("\n")[0]
        raise AfterturnError(
            f"timings are shared through Redis, and it is away: {reason}"
        ) from None


def _summaries(role: str, stages: dict[str, Histogram]) -> dict[str, Summary]:
    """Give a role's stages as they come in a turn or a task, and others behind them."""
    known = {stage: place for place, stage in enumerate(_ORDER[role])}
    ordered = sorted(stages, key=lambda stage: (known.get(stage, len(known)), stage))
    return {stage: stages[stage].summary() for stage in ordered}


def _cells(one: Summary) -> tuple[Any, ...]:
    return str(one.count), *map(duration, (one.p50, one.p90, one.p99, one.sum))
