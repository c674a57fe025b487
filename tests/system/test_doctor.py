"""`doctor` from outside: it finds nothing wrong with a healthy service, and each broken thing by its own line."""

import json
import re
import sqlite3
import ssl
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from socketserver import StreamRequestHandler
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.system.harness import REPOSITORY, Row, Service, clean_environment, read_database

pytestmark = pytest.mark.system

MACHINE = {"file_system", "disk_space", "inodes", "clock_sync", "file_descriptors"}  # not of the service's making
TABLES = ("conversion", "duplicate", "rejected_postback")
PROCESS = {"ready", "metrics", "build", "conservation_drift", "storage_errors", "queue", "log", "file_descriptors"}
COMPARED = {"same_database", "rows_counted", "outcomes_counted", "foreign_rows"}
PUBLIC = {"public_name", "public_connection", "public_certificate", "public_health", "public_door", "public_walls"}


Run = tuple[Path, Sequence[str], Mapping[str, str]]  # where, with which options, with which settings


@dataclass(frozen=True)
class Examined:
    """How a run of doctor ended."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        """Return the JSON object."""
        return dict(json.loads(self.out))

    def check(self, name: str) -> tuple[str, str]:
        """Return the state and the sentence of one check."""
        (found,) = [check for check in self.report["checks"] if check["name"] == name]
        return found["state"], found["sentence"]

    def named(self, state: str) -> set[str]:
        """Return the checks in a state, what depends on the machine left out."""
        return {check["name"] for check in self.report["checks"] if _state(check) == state} - MACHINE


def _state(check: Mapping[str, str]) -> str:
    slow = check["sentence"].startswith("GET /healthz answered 200 in ")  # the machine is, not the service
    return "ok" if slow else check["state"]


FORKED = """
import json, os, sys
import service.cli
from service.cli import doctor_configuration, doctor_conservation, doctor_public, doctor_report, doctor_storage

for line in sys.stdin:
    children = []
    for run in json.loads(line):
        if not (child := os.fork()):
            os.chdir(run["directory"])
            os.environ.clear()
            os.environ.update(run["environment"])
            for descriptor, name in ((1, "out"), (2, "err")):
                os.dup2(os.open(run[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
            service.cli.app(["doctor", *run["options"]], prog_name="python -m service")
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    print(json.dumps(codes), flush=True)
"""


class Command:
    """The command, imported once and forked for every run: nine tenths of a run of its own would be imports."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process = subprocess.Popen(
            [sys.executable, "-c", FORKED],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=clean_environment(),
            text=True,
            bufsize=1,
        )

    def __call__(self, directory: Path, *options: str, **settings: str) -> Examined:
        """Run the command with these settings in a folder."""
        return self.together({"": (directory, options, settings)})[""]

    def together(self, runs: Mapping[str, Run]) -> dict[str, Examined]:
        """Do several runs at once."""
        asked = [
            {
                "directory": str(directory),
                "environment": {**clean_environment(), **settings},
                "options": options,
                "out": str(self._directory / f"out-{number}"),
                "err": str(self._directory / f"err-{number}"),
            }
            for number, (directory, options, settings) in enumerate(runs.values())
        ]
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{json.dumps(asked)}\n")
        codes = json.loads(self._process.stdout.readline())
        texts = [[Path(str(run[name])).read_text(encoding="utf-8") for name in ("out", "err")] for run in asked]
        return {name: Examined(code, out, err) for name, code, (out, err) in zip(runs, codes, texts, strict=True)}

    def beside(self, service: Service, *options: str, **settings: str) -> Examined:
        """Run it with the settings that a running service was started with."""
        return self.together({"": beside(service, *options, **settings)})[""]

    def close(self) -> None:
        """End the process that forks."""
        self._process.communicate(timeout=60)


def beside(service: Service, *options: str, **settings: str) -> Run:
    """Return a run with the settings that a running service was started with."""
    return service.directory, ("--json", "--timeout", "20", *options), settings_of(service) | settings


def settings_of(service: Service) -> dict[str, str]:
    return {
        "POSTBACK_PORT": str(service.public[1]),
        "POSTBACK_OPERATOR_PORT": str(service.operator[1]),
        "POSTBACK_DATABASE_URL": f"sqlite:///{service.database}",
    }


def plainly(directory: Path, *options: str, **settings: str) -> Examined:
    """Run the command as people do, in a process of its own."""
    ended = subprocess.run(
        [sys.executable, "-m", "service", "doctor", *options],
        cwd=directory,
        env=clean_environment() | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return Examined(ended.returncode, ended.stdout, ended.stderr)


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
    insert(database, "conversion", (*key, *value, moment, request_id, "postback"))


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


def certificate(directory: Path, days: float, *names: str) -> tuple[Path, Path]:
    """Make a self-signed certificate that ends in so many days; return its file and its key's."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=99))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([_named(each) for each in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = directory / f"{days}-{names[0]}.pem", directory / f"{days}-{names[0]}.key"
    certificate_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form, secret = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, secret))
    return certificate_file, key_file


def _named(name: str) -> x509.GeneralName:
    return x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)


@contextmanager
def listening(handler: type[StreamRequestHandler], tls: tuple[Path, Path] | None = None) -> Iterator[str]:
    """Serve something that is not ours on a free port; yields its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answering(status: int, body: bytes, **headers: str) -> type[StreamRequestHandler]:
    """Return a handler that gives every request the same answer."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_OPTIONS = answer  # noqa: N815 - the names that the library calls

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    return Handler


class Garbage(StreamRequestHandler):
    """What a wrong port may answer."""

    def handle(self) -> None:
        """Answer without a word of HTTP."""
        self.rfile.readline()
        self.wfile.write(b"\x16\x03\x01 220 mail.example ESMTP\r\n\x1b[2J")


def altered(operator: str, numbers: Mapping[str, str], *, ready: int = 200) -> type[StreamRequestHandler]:
    """Return a handler that gives the operator listener's answers, with other numbers in the metrics."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with direct.open(f"{operator}{self.path}", timeout=10) as answer:
                text, request_id = answer.read().decode(), answer.headers["X-Request-Id"]
            for series, number in numbers.items() if self.path == "/metrics" else ():
                text, changes = re.subn(f"^{re.escape(series)} .*", f"{series} {number}", text, flags=re.MULTILINE)
                assert changes == 1, series
            self.send_response(ready if self.path == "/readyz" else 200)
            self.send_header("X-Request-Id", request_id)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    return Handler


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
        cases: dict[str, dict[str, Any]] = {
            "refused": {"options": ("--public-url", "http://127.0.0.1:1")},
            "no such name": {"options": ("--public-url", "http://no-such-host.invalid")},
            "404": public(answering(404, b"<h1>Not Found</h1>")),
            "200 to anything": public(answering(200, b"Success")),
            "a redirect": public(answering(301, b"", Location="https://elsewhere.example/")),
            "garbage": public(Garbage),
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
UNREADABLE = FILE | ROWS | {"orphans", "repeated_keys", "one_outcome"}


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
        (age, {"schema_version"}, "the file is at 0000, this code at 0001"),
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
