"""`doctor` finds each wrong address, each wrong answer and each false number by its own line."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from socketserver import StreamRequestHandler
from typing import Any

import pytest

from tests.support.outside.examined_service import back_up
from tests.support.outside.examining import Command, Examined, beside
from tests.support.outside.harness import Service
from tests.support.outside.strangers import Garbage, altered, answering, certificate, listening

pytestmark = [pytest.mark.system, pytest.mark.proof]

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
            "another database": {"POSTBACK_DATABASE_URL": f"sqlite:///{back_up(running, folder / 'copy.db')}"},
        }
        yield command.together(
            {name: beside(running, *case.pop("options", ()), **case) for name, case in cases.items()}
        )


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
