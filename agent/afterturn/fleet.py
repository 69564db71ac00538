"""Prometheus metrics of a whole installation: what all processes measured, and what waits.

Read from Redis and Postgres when it is scraped, by the queries that `afterturn status` makes. A
server that is away costs its own metrics and no other's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from afterturn.exposition import gauges, histograms
from afterturn.health import OK, glance
from afterturn_models.settings import load
from afterturn_models.store.workers import MISSING_AFTER
from afterturn_models.timings import connect, totals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from afterturn.health import Health
    from afterturn_models.settings import Settings

_TIMEOUT = 3.0
# Of what waits: the name at Prometheus, and what it is.
_BACKLOG = {
    "sessions": ("afterturn_sessions", "Sessions in Postgres."),
    "messages": ("afterturn_messages", "Captured messages in Postgres."),
    "unsent": ("afterturn_unsent_messages", "Captured messages that are not settled at Honcho."),
    "oldest_age": ("afterturn_sync_lag_seconds", "Age of the oldest of those; 0 for none."),
    "parked": ("afterturn_parked_sessions", "Sessions that wait for a key that Honcho takes."),
    "quarantined": ("afterturn_quarantined_messages", "Messages that Honcho refused."),
}


class FleetCollector:
    """Looks at Redis and Postgres when it is scraped."""

    def collect(self) -> Iterator[Any]:
        """Give every family that can be read. Raises ConfigurationError."""
        settings = load().settings
        health = glance(settings)
        yield gauges(
            "afterturn_up",
            "1 where a server answers.",
            ["server"],
            [((part,), float(state == OK)) for part, state in health.parts.items()],
        )
        yield from _stages(settings, health)
        yield gauges(
            "afterturn_queue_length",
            "Tasks that wait in a queue.",
            ["queue"],
            [((queue,), depth) for queue, depth in health.queues.items()],
        )
        yield from _backlog(health)
        yield from _workers(health)
        yield from _dialectic(health)


def _stages(settings: Settings, health: Health) -> Iterator[Any]:
    if settings.redis_url is None or health.parts.get("redis") != OK:
        return
    try:
        with connect(settings.redis_url, _TIMEOUT) as redis:
            found = totals(redis, settings.workspace)
    except RedisError:
        return  # away since a moment ago
    yield histograms(
        "afterturn_stage_seconds",
        "What each stage of turns (agent) and tasks (worker) took, over all processes.",
        ["role", "stage"],
        [((role, stage), one) for role, stages in found.items() for stage, one in stages.items()],
    )


def _backlog(health: Health) -> Iterator[Any]:
    if health.backlog is None:
        return
    for field, (name, what) in _BACKLOG.items():
        yield gauges(name, what, [], [((), float(health.backlog[field] or 0))])


def _workers(health: Health) -> Iterator[Any]:
    if health.parts.get("postgres") != OK:
        return
    ages = [
        ((worker["name"],), worker["beat_age"])
        for worker in health.workers
        if worker["beat_age"] is not None
    ]
    alive = sum(age < MISSING_AFTER for _, age in ages)
    yield gauges("afterturn_workers_alive", "Workers that tasks reach.", [], [((), alive)])
    yield gauges(
        "afterturn_worker_beat_age_seconds",
        "Since when no task has reached a worker.",
        ["worker"],
        ages,
    )


def _dialectic(health: Health) -> Iterator[Any]:
    """Tell of the dialectic's account as it stands in each window; 0 is no limit."""
    if not health.dialectic:
        return
    windows = {window: health.dialectic[window] for window in ("hour", "day")}
    for field in ("calls", "weight", "empty", "unanswered", "refused"):
        yield gauges(
            f"afterturn_dialectic_{field}",
            f"The dialectic's account of the workspace in the last hour and day: {field}.",
            ["window"],
            [((window,), use[field]) for window, use in windows.items()],
        )
    for field in ("calls", "weight"):
        yield gauges(
            f"afterturn_dialectic_{field}_limit",
            f"How much of it may be used in a window: {field}; 0: any number.",
            ["window"],
            [((window,), use[f"{field}_limit"]) for window, use in windows.items()],
        )
