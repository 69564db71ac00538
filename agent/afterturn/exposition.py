"""Exposition: what is measured as Prometheus reads it; what both of our collectors share."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from afterturn_models.errors import MissingExtraError
from afterturn_models.policy.timing_buckets import coarse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from afterturn_models.policy.timing_buckets import Histogram

_BOUNDS = coarse()


def need_prometheus() -> None:
    """Raise MissingExtraError where the library of the extra `metrics` is not installed."""
    if find_spec("prometheus_client") is None:
        raise MissingExtraError("prometheus_client", "metrics")


def histograms(
    name: str, what: str, labels: list[str], found: Iterable[tuple[tuple[str, ...], Histogram]]
) -> Any:
    """Give a family of histograms in seconds, by their labels' values."""
    from prometheus_client.core import HistogramMetricFamily

    family = HistogramMetricFamily(name, what, labels=labels)
    for values, one in found:
        buckets = [(repr(bound), count) for bound, count in one.cumulative(_BOUNDS)]
        buckets.append(("+Inf", one.count))
        family.add_metric(list(values), buckets, one.total / 1e9)
    return family


def counters(name: str, what: str, label: str, found: Mapping[str, float]) -> Any:
    """Give a family of counters by the value of one label; `_total` is added to the name."""
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(name, what, labels=[label])
    for value, count in found.items():
        family.add_metric([value], count)
    return family


def gauges(
    name: str, what: str, labels: list[str], found: Iterable[tuple[tuple[str, ...], float]]
) -> Any:
    """Give a family of gauges by their labels' values; without labels there is one, of `()`."""
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(name, what, labels=labels)
    for values, value in found:
        family.add_metric(list(values), value)
    return family
