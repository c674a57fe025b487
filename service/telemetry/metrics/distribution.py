"""Owns a histogram's state: plain numbers, because every postback is observed twice."""

from bisect import bisect_left
from collections.abc import Sequence

from prometheus_client.metrics_core import HistogramMetricFamily
from prometheus_client.samples import Exemplar


class Distribution:
    """How many observations fell into each bucket, their sum, and for each bucket the last exemplar it was given."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._exemplars: dict[int, Exemplar] = {}

    def observe(self, amount: float, exemplar: Exemplar | None = None) -> None:
        """Count one observation."""
        bucket = bisect_left(self._bounds, amount)
        self._counts[bucket] += 1
        self._sum += amount
        if exemplar:
            self._exemplars[bucket] = exemplar

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str] = ()) -> HistogramMetricFamily:
        """Write the cumulative buckets into a family, and return it."""
        total = 0
        buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
        for bucket, bound in enumerate([*map(str, self._bounds), "+Inf"]):
            total += self._counts[bucket]
            exemplar = self._exemplars.get(bucket)
            buckets.append((bound, float(total), exemplar) if exemplar else (bound, float(total)))
        family.add_metric(labels, buckets, self._sum)
        return family
