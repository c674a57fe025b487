"""Owns how a query is written: from declared metrics only, always for the chosen jobs and instances.

A label that the metric does not have raises UnknownLabel when the dashboards are built.
"""

from service.core.outcome import Outcome
from service.telemetry.metrics.catalogue import CounterOf, Declared, GaugeOf, HistogramOf

UP = GaugeOf("up", (), "Prometheus' own: 1 if the last scrape worked.")
RESIDENT_MEMORY = GaugeOf("process_resident_memory_bytes", (), "")
VIRTUAL_MEMORY = GaugeOf("process_virtual_memory_bytes", (), "")
CPU_SECONDS = CounterOf("process_cpu_seconds_total", (), "")
OPEN_FILES = GaugeOf("process_open_fds", (), "")
MAX_FILES = GaugeOf("process_max_fds", (), "")
START_TIME = GaugeOf("process_start_time_seconds", (), "")
GC_COLLECTIONS = CounterOf("python_gc_collections_total", ("generation",), "")
FIRING = 'ALERTS{alertstate="firing", job=~"$job|", instance=~"$instance|"}'  # an alert may be of all instances
MOST = 5  # series that an eye can tell apart


class UnknownLabel(Exception):  # noqa: N818 - what happened
    """A query names a label that its metric does not have."""


def series(metric: Declared, suffix: str = "", **matchers: str) -> str:
    """Return the selector of a metric; a matcher is a regular expression."""
    _check(metric, *matchers)
    chosen = {"job": "$job", "instance": "$instance", **matchers}
    return metric.name + suffix + "{" + ", ".join(f'{label}=~"{pattern}"' for label, pattern in chosen.items()) + "}"


def rate(counter: CounterOf, *by: str, **matchers: str) -> str:
    """Return how many a second, summed."""
    return _sum(counter, by, f"rate({series(counter, **matchers)}[$__rate_interval])")


def increase(counter: CounterOf, *by: str, **matchers: str) -> str:
    """Return how many in the whole time that is shown, summed."""
    return _sum(counter, by, f"increase({series(counter, **matchers)}[$__range])")


def gauge(metric: GaugeOf, *by: str, how: str = "sum", **matchers: str) -> str:
    """Return the value now, aggregated."""
    return _sum(metric, by, series(metric, **matchers), how)


def quantile(share: float, histogram: HistogramOf, *by: str, **matchers: str) -> str:
    """Return below what this share of the observations was."""
    _check(histogram, *by)
    buckets = f"rate({series(histogram, '_bucket', **matchers)}[$__rate_interval])"
    return f"histogram_quantile({share}, sum by ({', '.join(['le', *by])}) ({buckets}))"


def buckets(histogram: HistogramOf, **matchers: str) -> str:
    """Return the observations by bucket, for a heatmap."""
    return f"sum by (le) (increase({series(histogram, '_bucket', **matchers)}[$__rate_interval]))"


def busiest(counter: CounterOf, *by: str, **matchers: str) -> str:
    """Return `rate` of the five that were most in the whole time shown: five lines, not five at each moment."""
    total = _sum(counter, by, f"increase({series(counter, **matchers)}[$__range] @ end())")
    return f"{rate(counter, *by, **matchers)} and on ({', '.join(by)}) topk({MOST}, {total})"


def most(expression: str) -> str:
    """Return the five highest."""
    return f"topk({MOST}, {expression})"


def least(expression: str) -> str:
    """Return the five lowest."""
    return f"bottomk({MOST}, {expression})"


def share(part: str, whole: str) -> str:
    """Return part / whole, and nothing while there is no whole."""
    return f"{part} / ({whole} > 0)"


def since(timestamp: str) -> str:
    """Return the seconds since a timestamp, 0 while it is 0."""
    return f"clamp_min(time() - ({timestamp}), 0) * ({timestamp} > bool 0)"


def waited(metric: GaugeOf, by: str) -> str:
    """Return how many seconds lay between a timestamp and the scrape that brought it, the most; 0 while it is 0.

    Unlike `since`, it does not grow between two scrapes, when what waited has long gone.
    """
    moment = series(metric)
    return _sum(metric, (by,), f"clamp_min(timestamp({moment}) - {moment}, 0) * ({moment} > bool 0)", "max")


def recorded(name: str) -> str:
    """Return a series of alerts/slo.rules.yml: of a job, all its instances together."""
    return f'{name}{{job=~"$job"}}'


def any_of(outcomes: list[Outcome]) -> str:
    """Return the pattern that matches these outcomes."""
    return "|".join(outcome.value for outcome in outcomes)


def _sum(metric: Declared, by: tuple[str, ...], inner: str, how: str = "sum") -> str:
    _check(metric, *by)
    return f"{how} by ({', '.join(by)}) ({inner})" if by else f"{how}({inner})"


def _check(metric: Declared, *labels: str) -> None:
    unknown = set(labels) - {*metric.labels, "job", "instance"}
    if unknown:
        raise UnknownLabel(f"{metric.name} has no label {', '.join(sorted(unknown))}")
