"""`doctor` finds nothing wrong with a healthy service, and says what is done to its rows while it runs."""

import re
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.outside.examined_service import COMPARED, PROCESS, PUBLIC, change, insert
from tests.support.outside.examining import Command, Examined, beside, plainly, settings_of
from tests.support.outside.harness import REPOSITORY, Row, Service
from tests.support.outside.strangers import certificate

pytestmark = pytest.mark.system

TABLES = ("conversion", "duplicate", "rejected_postback")


def rows(service: Service) -> dict[str, list[Row]]:
    return {table: service.sql(f"SELECT * FROM {table}") for table in TABLES}  # noqa: S608 - our own names


def restore(database: Path, kept: dict[str, list[Row]]) -> None:
    for table, found in kept.items():
        change(database, f"DELETE FROM {table}")  # noqa: S608 - our own names
        for row in found:
            insert(database, table, row)


@pytest.fixture
def live(running: Service) -> Iterator[Service]:
    """Lend the running service; what the test does to its rows is undone."""
    kept = rows(running)
    yield running
    restore(running.database, kept)


def test_nothing_is_wrong_with_a_healthy_service_and_nothing_is_stored(running: Service) -> None:
    before = rows(running)
    examined = plainly(running.directory, "--json", **settings_of(running))
    report = examined.report
    found = (examined.named("wrong"), examined.named("warning"), examined.named("not_checked"))
    assert found == (set(), set(), {"probe"})
    assert examined.named("ok") >= COMPARED | PUBLIC | PROCESS
    assert (examined.code, examined.err) == (int(report["wrong"] > 0), "")
    assert report["healthy"] is (report["wrong"] == 0)
    assert report["rows"] == {"stored": 3, "duplicate": 1, "conflict": 1, "invalid_value": 1}
    assert rows(running) == before
    assert running.metrics().total("postback_arrived_total") == 6


def test_the_documented_checks_are_exactly_those_there_are(https: Examined) -> None:
    text = (REPOSITORY / "docs" / "doctor.md").read_text(encoding="utf-8")
    cells = [line.split("|")[1] for line in text.splitlines() if re.match(r"\| `[a-z]", line)]
    documented = [name for cell in cells for name in re.findall("`([a-z_]+)`", cell)]
    assert sorted(documented) == sorted(check["name"] for check in https.report["checks"])


def forge(database: Path, received_at: datetime, request_id: str = "f" * 32) -> None:
    """Add a conversion by hand."""
    moment = received_at.isoformat(" ", "microseconds")[:26]
    key, value = ("ezmob", 0, "forged", "", ""), ("1", 1_000_000, None, "{}")
    insert(database, "conversion", (*key, *value, moment, request_id, "postback", None, None))


def lose_a_conversion(service: Service) -> None:
    change(service.database, "DELETE FROM conversion WHERE click_id = 'a'")


def add_rows(service: Service) -> None:
    """Add one that came now, and one from the future."""
    forge(service.database, datetime.now(UTC) + timedelta(seconds=1.5))  # more than 2 s after the start, surely
    change(service.database, "UPDATE duplicate SET received_at = '2999-01-01 00:00:00.000000'")


def add_a_row_under_its_name(service: Service) -> None:
    ((request_id,),) = service.sql("SELECT min(request_id) FROM conversion")
    forge(service.database, datetime.now(UTC), f"{str(request_id)[:16]}{'f' * 16}")


@pytest.mark.parametrize(
    ("tamper", "wrong", "sentence"),
    [
        (lose_a_conversion, {"rows_counted", "outcomes_counted", "orphans"}, "conversion: 1 rows that the process"),
        (
            add_rows,
            {"foreign_rows", "future_rows", "times"},
            "1 rows came since the start that the process did not write",
        ),
        (add_a_row_under_its_name, {"rows_counted", "outcomes_counted"}, "conversion: 1 rows more than the process"),
    ],
)
def test_what_is_done_to_the_rows_of_a_running_service_is_found(
    command: Command, live: Service, tamper: Callable[[Service], None], wrong: set[str], sentence: str
) -> None:
    tamper(live)
    examined = command.beside(live)
    assert (examined.code, examined.named("wrong")) == (1, wrong)
    assert any(sentence in check["sentence"] for check in examined.report["checks"])
    assert all(check["advice"] for check in examined.report["checks"] if check["state"] in ("wrong", "warning"))


def test_a_service_under_load_is_not_accused_and_the_probe_is_one_rejected_row(
    command: Command, tmp_path: Path
) -> None:
    stop = threading.Event()

    def send(service: Service, name: str) -> None:
        number = 0
        while not stop.is_set():
            service.get(f"/postback?c={name}-{number // 2}&value=1")
            number += 1

    with Service(tmp_path) as service:
        senders = [threading.Thread(target=send, args=(service, f"sender-{number}")) for number in range(4)]
        for sender in senders:
            sender.start()
        try:
            examined = command.beside(service, "--probe")
            arrived = service.metrics().total("postback_arrived_total")
        finally:
            stop.set()
            for sender in senders:
                sender.join()
        kept = service.sql("SELECT outcome FROM rejected_postback WHERE click_id LIKE 'postback-doctor-%'")
    assert examined.named("wrong") == set()
    assert (examined.check("rows_counted")[0], examined.check("probe")[0]) == ("ok", "ok")
    assert arrived > sum(examined.report["rows"].values()) > 0
    assert kept == [("missing_value",)]


@pytest.fixture(scope="module")
def certified(command: Command, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Examined]:
    """Examine a service with a certificate that ends in 14 days, by the name in it and without a name."""
    folder = tmp_path_factory.mktemp("https")
    public, key = certificate(folder, 14, "127.0.0.1")
    tls = {"TLS_CERT": str(public), "TLS_KEY": str(key)}
    with Service(folder, tls) as service:
        url = f"https://127.0.0.1:{service.public[1]}"
        settings = {f"POSTBACK_{name}": path for name, path in tls.items()}
        named = beside(service, "--public-url", url, SSL_CERT_FILE=str(public), **settings)
        return command.together({"named": named, "nameless": beside(service, **settings)})


@pytest.fixture
def https(certified: dict[str, Examined]) -> Examined:
    return certified["named"]


def test_https_is_examined_as_a_sender_sees_it_and_a_certificate_near_its_end_is_a_warning(https: Examined) -> None:
    assert https.named("wrong") == set()
    assert https.named("warning") == {"certificate_file", "public_certificate"}
    assert https.named("ok") >= PUBLIC - {"public_certificate"} | {"certificate_served", "public_process"}


def test_without_the_public_name_a_certificate_is_judged_by_its_end_only(certified: dict[str, Examined]) -> None:
    examined = certified["nameless"]
    assert examined.named("wrong") == set()
    assert examined.named("warning") == {"certificate_file", "public_certificate"}
    assert "its name is not checked" in examined.check("public_certificate")[1]


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        (["--offline", "--probe"], {}),
        (["--public-url", "ftp://host"], {}),
        (["--public-url", "http://host/postback"], {}),
        (["--operator-url", "http://host:port"], {}),
        (["--public-url", "https://user:secret@host"], {}),
        ([], {"POSTBACK_OPERATOR_PORT": "0"}),
        ([], {"POSTBACK_PORT": "x"}),
    ],
    ids=[
        "exclude each other",
        "another protocol",
        "a path",
        "no port",
        "a password",
        "no port to ask",
        "a wrong setting",
    ],
)
def test_bad_usage_and_bad_settings_end_with_2(
    command: Command, tmp_path: Path, options: list[str], settings: dict[str, str]
) -> None:
    ended = command(tmp_path, *options, **settings)
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert "secret" not in ended.err
