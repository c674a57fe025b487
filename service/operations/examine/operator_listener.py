"""Owns the checks of the running process through its operator listener: readiness, counters and limits."""

import time
from collections.abc import Callable, Iterator, Sequence

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from service.core.version import VERSION, revision
from service.operations.examine.case import Case
from service.operations.examine.findings import Finding, graded, not_checked, ok, warning, worst_of, wrong
from service.operations.examine.http import Answer, NoAnswer, fetch
from service.telemetry.metrics import catalogue

CHECKS = ("ready", "metrics", "build", "conservation_drift", "storage_errors", "queue", "log", "file_descriptors")
SPOOLING = '"spooling"'  # the status that /readyz gives while the spool stands in
_FULL, _FILLING = 0.95, 0.8
_FEW_DESCRIPTORS = 1024


class Scrape:
    """The samples of one look at /metrics. Raises NoAnswer for a page that is none."""

    def __init__(self, answer: Answer) -> None:
        if answer.status != 200:  # noqa: PLR2004 - OK
            raise NoAnswer(f"/metrics answered {answer.status}")
        try:
            families = list(text_string_to_metric_families(answer.text))
        except ValueError as error:
            raise NoAnswer(f"/metrics is not in the Prometheus text format: {error}") from error
        self.samples: list[Sample] = [sample for family in families for sample in family.samples]
        self.families = {family.name for family in families}
        self.process = answer.process

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of this name that carry these labels."""
        return sum(s.value for s in self.samples if s.name == name and labels.items() <= s.labels.items())

    def by_label(self, name: str, label: str) -> dict[str, float]:
        """Return the sums of the samples of this name, by one label."""
        found: dict[str, float] = {}
        for sample in self.samples:
            if sample.name == name:
                found[sample.labels.get(label, "")] = found.get(sample.labels.get(label, ""), 0) + sample.value
        return found


class OperatorListener:
    """The operator listener of one process."""

    def __init__(self, url: str, timeout: float) -> None:
        self.url = url
        self.process = ""  # the start of its request ids, once it answered
        self._timeout = timeout

    def get(self, path: str) -> Answer:
        """Ask for a page. Raises NoAnswer."""
        return fetch(f"{self.url}{path}", timeout=self._timeout)

    def scrape(self) -> Scrape:
        """Read the metrics. Raises NoAnswer."""
        return Scrape(self.get("/metrics"))


def reach(case: Case) -> tuple[list[OperatorListener], Finding]:
    """Return the operator listeners that answer as this service does, and the finding about all of them."""
    if not case.operator_urls:
        return [], not_checked("operator", "offline: the running process was not asked, nothing was compared with it")
    reached = [_reach(OperatorListener(url, case.choices.timeout)) for url in case.operator_urls]
    (finding,) = worst_of([[finding] for _, finding in reached], case.operator_urls)
    return [operator for operator, _ in reached if operator], finding


def _reach(operator: OperatorListener) -> tuple[OperatorListener | None, Finding]:
    try:
        answer = operator.get("/healthz")
    except NoAnswer as reason:
        advice = "Start the service, or mend --operator-url; with --offline a stopped service is no fault."
        return None, wrong("operator", f"{operator.url} does not answer: {reason}", advice)
    if answer.status != 200 or not answer.process:  # noqa: PLR2004 - OK
        advice = "Something else listens there: mend --operator-url or POSTBACK_OPERATOR_PORT."
        return None, wrong("operator", f"{operator.url}/healthz answered {answer.status}, not as this service", advice)
    operator.process = answer.process
    return operator, ok("operator", f"{operator.url} answers")


def check(operators: Sequence[OperatorListener]) -> Iterator[Finding]:
    """Yield the findings about the processes."""
    if not operators:
        yield from (not_checked(name, "there is no running process to ask") for name in CHECKS)
    yield from worst_of([_check(operator) for operator in operators], [operator.url for operator in operators])


def _check(operator: OperatorListener) -> Iterator[Finding]:
    yield _ready(operator)
    try:
        scrape = operator.scrape()
    except NoAnswer as reason:
        yield wrong("metrics", str(reason), "Nothing sees this process: mend that first.")
        yield from (not_checked(name, "there are no metrics") for name in CHECKS[2:])
        return
    numbers: list[Callable[[Scrape], Finding]] = [_metrics, _build, _drift, _storage_errors, _queue, _log, _descriptors]
    for look in numbers:
        yield look(scrape)


def _ready(operator: OperatorListener) -> Finding:
    advice = "A postback sent now would be answered 503. Look at the disk and at the log's last errors."
    try:
        answer = operator.get("/readyz")
    except NoAnswer as reason:
        return wrong("ready", f"/readyz does not answer: {reason}", advice)
    if answer.status != 200:  # noqa: PLR2004 - OK
        return wrong("ready", f"/readyz answered {answer.status}: {answer.text[:300].strip()}", advice)
    if SPOOLING in answer.text:
        advice = "The database is away; postbacks are kept in the spool. See PostbackSpooling in the runbook."
        return warning("ready", "/readyz says spooling: a commit works in the spool only", advice)
    return ok("ready", f"/readyz answered in {answer.seconds * 1000:.0f} ms: a commit works")


def _metrics(scrape: Scrape) -> Finding:
    names = {declared.name.removesuffix("_total") for declared in catalogue.CATALOGUE}
    missing = sorted(names - scrape.families)
    if missing:
        return wrong("metrics", f"not exported: {', '.join(missing)}", "Alerts on them are blind: is it this service?")
    return ok("metrics", f"{len(scrape.samples)} samples, every declared metric among them")


def _build(scrape: Scrape) -> Finding:
    running = next((s.labels for s in scrape.samples if s.name == catalogue.BUILD_INFO.name), {})
    theirs = (running.get("version"), running.get("revision"))
    if theirs != (VERSION, revision()):
        sentence = f"version {theirs[0]}, revision {theirs[1]} runs; this command is {VERSION}, {revision()}"
        return warning("build", sentence, "Restart the service if this version was meant to be running.")
    return ok("build", f"version {VERSION}, revision {theirs[1]}, as this command")


def _drift(scrape: Scrape) -> Finding:
    drift = scrape.by_label(catalogue.CONSERVATION_DRIFT.name, "check")
    sentence = ", ".join(f"{name} {number:g}" for name, number in sorted(drift.items()))
    advice = "The process's own sums do not agree (law 5): keep its log, then see PostbackConservationDrift."
    return graded("conservation_drift", sentence, advice, bad=any(drift.values()), doubtful=False)


def _storage_errors(scrape: Scrape) -> Finding:
    errors = {kind: n for kind, n in scrape.by_label(catalogue.STORAGE_ERRORS.name, "error").items() if n}
    sentence = ", ".join(f"{kind} {number:.0f}" for kind, number in errors.items()) or "none since the start"
    spools = scrape.total(catalogue.SPOOL_CAPACITY_BYTES.name) > 0
    told = "200 `spooled`, or 503 where the spool took nothing either" if spools else "503"
    advice = f"Commits failed and their senders were told {told}: the log's error lines say when and why."
    return graded("storage_errors", sentence, advice, bad=False, doubtful=bool(errors))


def _queue(scrape: Scrape) -> Finding:
    depth, capacity = (scrape.total(it.name) for it in (catalogue.QUEUE_DEPTH, catalogue.QUEUE_CAPACITY))
    oldest = scrape.total(catalogue.OLDEST_QUEUED.name)
    waited = f", the oldest for {max(0.0, time.time() - oldest):.1f} s" if oldest else ""
    share = depth / capacity if capacity else 1.0
    sentence = f"{depth:.0f} of {capacity:.0f} places are taken{waited}"
    advice = "The disk does not keep up, or something holds the database: see PostbackQueueSaturated."
    return graded("queue", sentence, advice, bad=share >= _FULL, doubtful=share >= _FILLING)


def _log(scrape: Scrape) -> Finding:
    limited = scrape.total(catalogue.LOG_RATE_LIMITED.name)
    lost = scrape.total(catalogue.LOG_DROPPED.name) - limited
    sentence = f"{lost:.0f} lines lost, {limited:.0f} left out because too many were alike"
    return graded("log", sentence, "Whatever reads stdout is too slow: mend it.", bad=False, doubtful=lost > 0)


def _descriptors(scrape: Scrape) -> Finding:
    used, most = scrape.total("process_open_fds"), scrape.total("process_max_fds")
    if not most:
        return not_checked("file_descriptors", "the process does not tell its limit")
    doubtful = used / most >= _FILLING or most < _FEW_DESCRIPTORS
    sentence = f"{used:.0f} of {most:.0f} are open; each connection of a sender takes one"
    advice = "Raise the limit (ulimit -n, LimitNOFILE=) or find who keeps connections open."
    return graded("file_descriptors", sentence, advice, bad=used / most >= _FULL, doubtful=doubtful)
