"""Prometheus metrics of one agent process, for a host that serves its own page (extra `metrics`).

    from afterturn import Memory, metrics

    memory = Memory.open()
    metrics.register(memory)

Nothing is counted twice for it: a scrape reads what is counted anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from afterturn.exposition import counters, gauges, histograms, need_prometheus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.registry import CollectorRegistry

    from afterturn.memory import Memory
    from afterturn.services import Services

__all__ = ["AgentCollector", "register"]


def register(memory: Memory, registry: CollectorRegistry | None = None) -> AgentCollector:
    """Have a registry expose a memory's metrics, the default one where none is given.

    Gives the collector, to be unregistered with. Raises MissingExtraError where prometheus_client
    is not installed, and ValueError for a second memory in one registry.
    """
    need_prometheus()
    from prometheus_client import REGISTRY

    collector = AgentCollector(memory)
    (registry or REGISTRY).register(collector)
    return collector


class AgentCollector:
    """Reads a memory's counts when it is scraped."""

    def __init__(self, memory: Memory) -> None:
        self._services: Services = memory._services  # noqa: SLF001 - of the same package, and no host needs it

    def collect(self) -> Iterator[Any]:
        """Give every family."""
        services = self._services
        found = [((stage,), one) for stage, one in services.timings.histograms().items()]
        yield histograms(
            "afterturn_turn_stage_seconds", "What each stage of a turn took.", ["stage"], found
        )
        turns = dict.fromkeys(("captured", "spooled", "interrupted"), 0)
        yield counters(
            "afterturn_turns",
            "Turns that ended, and what came of them.",
            "outcome",
            {**turns, **services.timings.outcomes()},
        )
        hints = {"sent": services.dispatcher.sent, "dropped": services.dispatcher.dropped}
        yield counters("afterturn_hints", "Hints to workers.", "outcome", hints)
        yield from _histories(services)
        away = [
            (("postgres",), float(services.capturer.away)),
            (("redis",), float(services.popper.away)),
        ]
        yield gauges(
            "afterturn_breaker_open",
            "1 while a server is left alone until it answers a probe.",
            ["server"],
            away,
        )


def _histories(services: Services) -> Iterator[Any]:
    """Tell how the cache of histories does."""
    cache = services.histories.counters()
    yield counters(
        "afterturn_history_pages",
        "Pages of histories, out of the cache (hit) or read from Postgres (miss).",
        "cache",
        {"hit": cache.hits, "miss": cache.misses},
    )
    yield gauges(
        "afterturn_history_cache_sessions",
        "Sessions whose last messages are cached.",
        [],
        [((), cache.sessions)],
    )
    yield gauges("afterturn_history_cache_bytes", "Memory that they take.", [], [((), cache.bytes)])
