"""Owns the scraper beside the load: how long the metrics page takes while the service is busy, and how large it is."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection

_EVERY_SECONDS = 0.2
_TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Scrape:
    """One look at the metrics page, in the dialect that Prometheus asks for."""

    milliseconds: float
    series: int


@contextmanager
def scraping(port: int, scrapes: list[Scrape]) -> Iterator[None]:
    """Scrape 127.0.0.1:port into `scrapes` while the context is open. An error ends the scraping; few scrapes tell."""
    done = threading.Event()

    def repeat() -> None:
        while not done.wait(_EVERY_SECONDS):
            scrapes.append(_scrape(port))

    thread = threading.Thread(target=repeat, name="scraper")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _scrape(port: int) -> Scrape:
    connection = HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
    started = time.perf_counter()
    connection.request("GET", "/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"})
    page = connection.getresponse().read()
    seconds = time.perf_counter() - started
    connection.close()
    return Scrape(seconds * 1000, sum(not line.startswith(b"#") for line in page.splitlines()))
