"""Secrets from outside: sent to every door, in every place and way of writing, then looked for in all that is kept."""

import signal
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.support.outside.canaries import BODIES, KINDS, QUERIES, Canary, canaries, left_in
from tests.support.outside.harness import Service, command
from tests.support.outside.registering import told
from tests.support.outside.wire import Wire, request

pytestmark = pytest.mark.system

EMAIL, PHONE = "jane.canary@example.com", "+49301234567890123"
JSON, NDJSON, FORM, CSV = "application/json", "application/x-ndjson", "application/x-www-form-urlencoded", "text/csv"


def exchanged(service: Service, asked: Iterable[bytes]) -> list[bytes]:
    """Send each on a connection of its own; return the answers, and what the process and its metrics tell."""
    answers = []
    for one in asked:
        with Wire(service.public) as wire:
            answers.append(repr(wire.exchange(one)).encode())
    with Wire(service.operator) as wire:
        answers.append(wire.exchange(request("/metrics")).body)
    return [*answers, *(Path(f"/proc/{service.pid}/{name}").read_bytes() for name in ("cmdline", "environ"))]


def kept_in(directory: Path) -> list[bytes]:
    """Return the files of a service: the database and its log of writes, journals, the log."""
    return [path.read_bytes() for path in directory.rglob("*") if path.is_file()]


def hits(directory: Path, every: int) -> tuple[set[str], int]:
    url = f"sqlite:///{directory / 'p.db'}"
    good = told(directory, url, "keys", "create", "ezmob", "--door", "postback", "--door", "batch", "--door", "pixel")[
        "key"
    ]
    settings = {"LOG_LEVEL": "debug", "STRANGER_RATE": "0"}
    all_of_them = [*canaries(every)]
    asked = [
        place(written, {"X-API-Key": good} if number % 3 else {})
        for number, (_, place, written) in enumerate(all_of_them)
    ]
    with Service(directory, {**settings, "DATABASE_URL": url}) as service:
        told_of = exchanged(service, asked)
        running = kept_in(directory)
        assert service.terminate(signal.SIGTERM) == 0
    sheet = directory.parent / "sheet.csv"
    cells = (written.replace('"', '""') for _, _, written in all_of_them)
    rows = (f'r{number},{"1" if number % 2 else "x"},"{cell}"\r\n' for number, cell in enumerate(cells))
    sheet.write_text("c,value,sub\r\n" + "".join(rows), encoding="latin-1", newline="")
    report = directory.parent / "report.csv"
    assert command(directory, url, "import", str(sheet), "--report", str(report)).returncode in {0, 1}
    exports = [command(directory, url, *what, "--format", "ndjson") for what in (("export",), ("rejected", "export"))]
    assert all(one.returncode == 0 and one.stdout for one in exports)
    kept = [*told_of, *running, *kept_in(directory), report.read_bytes(), *(one.stdout.encode() for one in exports)]
    return left_in(kept, (one for one, _, _ in all_of_them)), len(all_of_them)


def test_secrets_in_some_places_are_nowhere(tmp_path: Path) -> None:
    (tmp_path / "service").mkdir()
    assert hits(tmp_path / "service", 29)[0] == set()


@pytest.mark.proof
def test_secrets_in_every_place_and_way_of_writing_are_nowhere(tmp_path: Path, figures: Callable[[str], None]) -> None:
    (tmp_path / "service").mkdir()
    found, sent = hits(tmp_path / "service", 2)
    assert found == set()
    assert sent >= 300 * len(KINDS)
    figures(f"{sent} secrets in {len(QUERIES) + len(BODIES)} places, 0 hits")


def test_a_canary_that_is_kept_is_found() -> None:
    canary = Canary("a", "", "AbCdEfGhIjKlMnOp")
    assert left_in([b"x AbCdEfGhIjKlM x"], [canary]) == {"a"}
    assert left_in([b"x AbCdEfG%68IjKlM x"], [canary]) == {"a"}
    assert left_in([b"x AbCdEf GhIjKlM x"], [canary]) == {"a"}
    assert left_in([b"x AbCdEfGhIjKl x"], [canary]) == set()
