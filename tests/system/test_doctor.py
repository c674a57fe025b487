"""`doctor` from outside: it finds nothing wrong with a healthy service, and each broken thing by its own line."""

import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socketserver import StreamRequestHandler
from typing import Any

import pytest

from tests.support.outside.examining import MACHINE, Command, Examined, Run, beside, plainly, settings_of
from tests.support.outside.harness import REPOSITORY, Row, Service, read_database
from tests.support.outside.strangers import Garbage, altered, answering, certificate, listening

pytestmark = pytest.mark.system

TABLES = ("conversion", "duplicate", "rejected_postback")
PROCESS = {"ready", "metrics", "build", "conservation_drift", "storage_errors", "queue", "log", "file_descriptors"}
COMPARED = {"same_database", "rows_counted", "outcomes_counted", "foreign_rows"}
PUBLIC = {"public_name", "public_connection", "public_certificate", "public_health", "public_door", "public_walls"}


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    with closing(Command(tmp_path_factory.mktemp("command"))) as started:
        yield started


def fill(service: Service) -> None:
    """Send three conversions, a duplicate, a conflict and a rejection."""
    for query in ("c=a&value=1", "c=b&value=1", "c=c&value=1", "c=a&value=1", "c=b&value=2", "c=d&value=x"):
        assert service.get(f"/postback?{query}").status in (200, 400)


def rows(service: Service) -> dict[str, list[Row]]:
    return {table: service.sql(f"SELECT * FROM {table}") for table in TABLES}  # noqa: S608 - our own names


def restore(database: Path, kept: dict[str, list[Row]]) -> None:
    for table, found in kept.items():
        change(database, f"DELETE FROM {table}")  # noqa: S608 - our own names
        for row in found:
            insert(database, table, row)


def insert(database: Path, table: str, row: Row) -> None:
    change(database, f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", *row)  # noqa: S608 - our own names


def change(database: Path, statement: str, *parameters: object) -> None:
    with closing(sqlite3.connect(database, timeout=10)) as connection, connection:
        connection.execute(statement, parameters)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("running")) as service:
        fill(service)
        yield service


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
    assert examined.named("ok") >= COMPARED | PUBLIC | PROCESS - MACHINE
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
    insert(database, "conversion", (*key, *value, moment, request_id, "postback", None))


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
        (add_rows, {"foreign_rows", "future_rows"}, "1 rows came since the start that the process did not write"),
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


CONVERSIONS = 'postback_rows_written_total{table="conversion"}'
FALSE_NUMBERS = {
    "a false counter": {CONVERSIONS: "4", 'postback_conservation_drift{check="receipts"}': "1"},
    "a commit that is not counted yet": {CONVERSIONS: "2", "postback_in_progress": "1"},
    "a commit that failed": {
        CONVERSIONS: "2",
        'postback_storage_errors_total{error="TIMEOUT",operation="commit"}': "1",
    },
    "no start time": {"process_start_time_seconds": "0"},
    "limits": {"postback_queue_depth": "4095", "postback_log_dropped_total": "5", "process_max_fds": "20"},
}


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


@pytest.fixture(scope="module")
def elsewhere(
    command: Command, running: Service, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Examined]]:
    """Examine the running service with wrong addresses and wrong answers, all at once: nothing is changed by it."""
    folder = tmp_path_factory.mktemp("certificates")
    expired, other = certificate(folder, -1, "127.0.0.1"), certificate(folder, 90, "other.example")
    short = certificate(folder, 3, "127.0.0.1")
    operator = "http://{}:{}".format(*running.operator)
    with ExitStack() as stack:

        def public(handler: type[StreamRequestHandler], tls: tuple[Path, Path] | None = None) -> dict[str, Any]:
            url = stack.enter_context(listening(handler, tls))
            trusted = {"SSL_CERT_FILE": str(tls[0])} if tls else {}
            return {"options": ("--public-url", url), **trusted}

        def process(handler: type[StreamRequestHandler]) -> dict[str, Any]:
            return {"options": ("--operator-url", stack.enter_context(listening(handler)))}

        ours = answering(404, b"{}")
        another = answering(405, b"", **{"Allow": "GET, POST", "X-Request-Id": "f" * 32})
        cases: dict[str, dict[str, Any]] = {
            "refused": {"options": ("--public-url", "http://127.0.0.1:1")},
            "no such name": {"options": ("--public-url", "http://no-such-host.invalid")},
            "404": public(answering(404, b"<h1>Not Found</h1>")),
            "200 to anything": public(answering(200, b"Success")),
            "a redirect": public(answering(301, b"", Location="https://elsewhere.example/")),
            "garbage": public(Garbage),
            "another process": public(another),
            "a postback among strangers": {"options": (*public(ours)["options"], "--probe")},
            "metrics for everybody": {"options": ("--public-url", operator)},
            "an expired certificate": public(ours, expired),
            "a certificate of another name": public(ours, other),
            "a certificate that ends in 3 days": public(ours, short),
            **{name: process(altered(operator, numbers)) for name, numbers in FALSE_NUMBERS.items()},
            "not ready": process(altered(operator, {}, ready=503)),
            "the operator is somebody else": process(ours),
            "another database": {"POSTBACK_DATABASE_URL": f"sqlite:///{_copy(running, folder / 'copy.db')}"},
        }
        yield command.together(
            {name: beside(running, *case.pop("options", ()), **case) for name, case in cases.items()}
        )


def _copy(service: Service, path: Path) -> Path:
    """Back the database up while it is served, as the operating notes say."""
    with closing(sqlite3.connect(service.database)) as source, closing(sqlite3.connect(path)) as target:
        source.backup(target)
    change(path, "PRAGMA journal_mode=WAL")
    return path


@pytest.mark.parametrize(
    ("case", "wrong", "sentence"),
    [
        ("refused", {"public_connection"}, "Connection refused"),
        ("no such name", {"public_name"}, "no-such-host.invalid has no address"),
        ("404", {"public_door"}, "answered 404"),
        ("200 to anything", {"public_health", "public_door", "public_walls"}, "GET /healthz answered 200 'Success'"),
        ("a redirect", {"public_health", "public_door", "public_walls"}, "301 to https://elsewhere.example/"),
        ("garbage", {"public_health"}, "gives no answer"),
        ("another process", {"public_health"}, "another process answers than the one behind the operator URL"),
        ("a postback among strangers", {"public_door", "probe"}, "a postback without a value was answered 404"),
        ("metrics for everybody", {"public_door", "public_walls"}, "answered 200 with the service's metrics"),
        ("an expired certificate", {"public_certificate", "public_health"}, "1 days ago"),
        ("a certificate of another name", {"public_certificate", "public_health"}, "is not trusted"),
        ("a certificate that ends in 3 days", {"public_certificate", "public_door"}, "in 3 days"),
        ("a false counter", {"rows_counted", "conservation_drift"}, "conversion: 1 rows that the process wrote are"),
        ("a commit that is not counted yet", set(), "as many as it counted, to within the 1 that"),
        ("a commit that failed", set(), "conversion: 1 rows more than the process counted, after 1 failed commits"),
        ("no start time", set(), "the process does not tell when it started"),
        ("limits", {"queue"}, "5 lines lost"),
        ("not ready", {"ready"}, "/readyz answered 503"),
        ("the operator is somebody else", {"operator"}, "/healthz answered 404, not as this service"),
        ("another database", {"same_database"}, "and does not write to"),
    ],
)
def test_a_wrong_address_a_wrong_answer_and_a_false_number_are_found(
    elsewhere: dict[str, Examined], case: str, wrong: set[str], sentence: str
) -> None:
    examined = elsewhere[case]
    assert (examined.named("wrong"), examined.err) == (wrong, "")
    assert examined.code == int(examined.report["wrong"] > 0)
    assert any(sentence in check["sentence"] for check in examined.report["checks"])
    assert all(check["advice"] for check in examined.report["checks"] if check["state"] in ("wrong", "warning"))


def test_a_failed_commit_whose_row_is_there_all_the_same_is_a_warning(elsewhere: dict[str, Examined]) -> None:
    assert elsewhere["a commit that failed"].named("warning") == {"rows_counted", "storage_errors"}
    assert elsewhere["limits"].named("warning") == {"log"}


@pytest.fixture(scope="module")
def stopped(running: Service, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the database to where nobody serves it."""
    return _copy(running, tmp_path_factory.mktemp("stopped") / "p.db")


def age(path: Path) -> None:
    change(path, "UPDATE alembic_version SET version_num = '0000'")


def damage(path: Path) -> None:
    """Overwrite the page of an index: tables can still be read."""
    root = "SELECT rootpage FROM sqlite_master WHERE name = 'ix_duplicate_click_id'"
    ((page,),) = read_database(path, root)
    with path.open("r+b") as file:
        file.seek((int(str(page)) - 1) * 4096)
        file.write(b"\xff" * 4096)


def change_by_hand(path: Path) -> None:
    change(path, "DELETE FROM conversion WHERE click_id = 'a'")
    change(path, "UPDATE duplicate SET request_id = (SELECT max(request_id) FROM conversion)")
    change(path, "UPDATE rejected_postback SET outcome = 'lost' WHERE outcome = 'invalid_value'")
    change(path, "ALTER TABLE conversion ADD COLUMN note")
    change(path, "PRAGMA journal_mode=DELETE")


def forbid_writing(path: Path) -> None:
    path.chmod(0o444)


def replace(path: Path) -> None:
    path.write_bytes(b"long enough to be read as a header" * 99)


BY_HAND = {"orphans", "one_outcome", "known_outcomes", "schema", "journal_mode"}
FILE = {"journal_mode", "schema_version", "schema", "integrity"}
ROWS = {"rows_counted", "outcomes_counted", "foreign_rows", "future_rows", "known_outcomes", "disk_lasts"}
UNREADABLE = FILE | ROWS | {"keys_expiring", "keys_unused", "orphans", "repeated_keys", "one_outcome"}


RUINS = (age, damage, change_by_hand, forbid_writing, replace, Path.unlink)


@pytest.fixture(scope="module")
def ruined(command: Command, stopped: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Examined]:
    """Examine a copy of the file for each ruin."""
    runs: dict[str, Run] = {}
    for ruin in RUINS:
        database = tmp_path_factory.mktemp(ruin.__name__) / "p.db"
        database.write_bytes(stopped.read_bytes())
        ruin(database)
        settings = {"POSTBACK_DATABASE_URL": f"sqlite:///{database}"}
        runs[ruin.__name__] = (database.parent, ("--offline", "--json"), settings)
    return command.together(runs)


@pytest.mark.parametrize(
    ("ruin", "wrong", "sentence"),
    [
        (age, {"schema_version"}, "the schema is at 0000, which this code (0006) does not know"),
        (damage, {"integrity"}, "btreeInitPage() returns error code 11"),
        (change_by_hand, BY_HAND, "1 rows of duplicate repeat a conversion that is gone"),
        (forbid_writing, {"database_file"}, "it or its folder is read-only, even for the owner"),
        (replace, UNREADABLE, "SQLITE_NOTADB"),
        (Path.unlink, {"database_file"}, "there is no database at"),
    ],
)
def test_what_is_wrong_with_a_file_is_found_without_the_service(
    ruined: dict[str, Examined], ruin: Callable[[Path], None], wrong: set[str], sentence: str
) -> None:
    examined = ruined[ruin.__name__]
    assert (examined.code, examined.named("wrong"), examined.err) == (1, wrong, "")
    assert any(sentence in check["sentence"] for check in examined.report["checks"] if check["state"] == "wrong")


def test_a_service_that_is_down_is_wrong_unless_it_is_meant_to_be(command: Command, stopped: Path) -> None:
    settings = {
        "POSTBACK_PORT": "1",
        "POSTBACK_OPERATOR_PORT": "1",
        "POSTBACK_DATABASE_URL": f"sqlite:///{stopped}",
    }
    missed = command(stopped.parent, "--json", **settings)
    assert (missed.code, missed.named("wrong")) == (1, {"operator", "public_connection"})
    assert missed.named("not_checked") >= COMPARED
    meant = command(stopped.parent, "--offline", "--json", **settings)
    assert (meant.named("wrong"), meant.named("warning")) == (set(), set())
    assert meant.named("not_checked") >= COMPARED | PUBLIC | PROCESS - MACHINE


def test_a_person_reads_one_line_for_each_check_with_what_to_do_below(stopped: Path) -> None:
    told = plainly(stopped.parent, "--offline", POSTBACK_DATABASE_URL=f"sqlite:///{stopped.with_name('none.db')}")
    lines = told.out.splitlines()
    assert any(re.match(r"wrong +database_file +there is no database at ", line) for line in lines)
    assert any(re.match(r" +→ Start the service once", line) for line in lines)
    assert lines[-1].startswith("Something is wrong: ")
    assert "\x1b" not in told.out


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
