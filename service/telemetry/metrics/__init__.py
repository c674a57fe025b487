"""Owns every metric: what there is (catalogue), what was counted (counts), and how it is shown (families)."""

from service.telemetry.metrics.counts import Metrics

__all__ = ["Metrics"]
