"""Signatures from outside: by the page's recipe they are stored, anything changed or late is kept as refused."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.outside.harness import REPOSITORY, Service, command, migrate, wait_for
from tests.support.outside.postgres import PostgresServer
from tests.support.outside.registering import NDJSON, after, done, places, sent, told
from tests.support.outside.signing import signed_query, webhook
from tests.support.outside.tools import need
from tests.support.outside.wire import Answer, request

pytestmark = [pytest.mark.system, pytest.mark.proof]

ONE = b'{"c":"w","value":"1.50"}'
ROWS = b'{"c":"r1","value":1}\n{"c":"r2","value":2}\n'


def signing_secret(directory: Path, url: str, sender: str = "acme") -> dict[str, str]:
    """Register a sender if it is not yet, and make it a secret."""
    if command(directory, url, "senders", "show", sender).returncode:  # not registered, or no database yet
        done(directory, url, "senders", "add", sender)
    return told(directory, url, "secrets", "create", sender)


def by_recipe(secret: str) -> str:
    """Return what a sender who follows the page's recipe for a shell calls, without the host."""
    need("bash", "openssl", "od", "tr", "cut")
    page = (REPOSITORY / "docs" / "signatures.md").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"^```bash\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    command = ["bash", "-euc", recipe]
    ran = subprocess.run(command, env={**os.environ, "SECRET": secret}, capture_output=True, check=True, timeout=60)
    return ran.stdout.decode().strip().removeprefix("https://postbacks.example")


def curl(service: Service, target: str) -> str:
    """Return the body and the status that curl shows."""
    need("curl")
    host, port = service.public
    asked = ["curl", "-s", "-g", "--noproxy", "*", "-w", " %{http_code}", f"http://{host}:{port}{target}"]
    return subprocess.run(asked, capture_output=True, text=True, check=True, timeout=30).stdout


def get(secret: str, query: str, at: float | None = None) -> bytes:
    """Return a signed GET."""
    return request(f"/postback?{signed_query(secret, query, time.time() if at is None else at)}")


def post(headers: dict[str, str], body: bytes, path: str = "/postback") -> bytes:
    """Return a POST with the headers that were made for it."""
    return request(path, method="POST", headers=headers, body=body)


def test_what_is_signed_is_stored_as_its_senders_and_what_proved_it_is_nowhere(tmp_path: Path, url: str) -> None:
    ours, others = (signing_secret(tmp_path, url, name)["secret"] for name in ("acme", "beta"))
    with Service(tmp_path, {"DATABASE_URL": url, "LOG_LEVEL": "debug"}) as service:
        target = by_recipe(ours)
        assert curl(service, target) == "Success 200"
        one, rows = webhook(ours, ONE, time.time()), webhook(ours, ROWS, time.time(), NDJSON)
        theirs = signed_query(others, "c=b&value=1", time.time())
        asked = [post(one, ONE), post(rows, ROWS, "/postbacks")]
        asked += [request(f"{path}?{theirs}") for path in ("/postback", "/pixel.gif")]
        answers = [sent(service, each) for each in asked]
        assert [(answer.status, answer.outcome) for answer in answers] == [
            (200, "stored"),
            (200, None),
            (200, "stored"),
            (200, "duplicate"),
        ]
        stored = service.sql("SELECT sender, click_id FROM conversion ORDER BY 1, 2")
        assert stored == [("acme", "6f1c2a"), ("acme", "r1"), ("acme", "r2"), ("acme", "w"), ("beta", "b")]
        assert service.sql("SELECT DISTINCT CAST(params AS TEXT) FROM conversion") == [("{}",)]
        pages = [service.ask_operator("/metrics").body, *(repr(answer).encode() for answer in answers)]
        assert service.terminate(signal.SIGTERM) == 0
    pages.append(repr(service.sql("SELECT * FROM conversion") + service.sql("SELECT * FROM duplicate")).encode())
    proofs = [query.partition("&ts=")[2].partition("&")[0] for query in (target, theirs)]
    proofs += [query.rpartition("sig=")[2] for query in (target, theirs)]
    proofs += [text for made in (one, rows) for text in (made["webhook-id"], made["webhook-signature"][3:])]
    assert places(tmp_path, [proof.encode() for proof in proofs], *pages) == []
    kept = {"p.db", "p.db-wal", "roster.json"}  # in clear, as SECURITY.md says: an HMAC needs them
    assert {Path(place).name for place in places(tmp_path, [ours.encode(), others.encode()], *pages)} <= kept


def wrong(secret: str, stranger: str) -> dict[str, tuple[bytes, str]]:
    """Return what is not signed as it must be, and how the reason that is kept begins."""
    now = time.time()
    good = signed_query(secret, "c=x&value=1", now)
    made, rows = webhook(secret, ONE, now), webhook(secret, ROWS, now, NDJSON)
    return {
        "another value": (request("/postback?" + good.replace("value=1", "value=9")), "no secret matches sig"),
        "another time": (request(f"/postback?{good.replace('ts=', 'ts=1')}"), "no secret matches sig"),
        "another order": (request("/postback?" + good.replace("c=x&value=1", "value=1&c=x")), "no secret matches sig"),
        "one more parameter": (request(f"/postback?{good}&value=9"), "sig is not the last parameter"),
        "one more before": (request(f"/postback?value=9&{good}"), "no secret matches sig"),
        "a signature twice": (request(f"/postback?{good}&{good.rpartition('&')[2]}"), "sig is sent more than once"),
        "capitals": (request(f"/postback?{good[:-64]}{good[-64:].upper()}"), "sig is not 64 lower-case hex digits"),
        "another's secret": (get(stranger, "c=x&value=1"), "no secret matches sig"),
        "late": (get(secret, "c=x&value=1", now - 400), "expired: signed "),
        "early": (get(secret, "c=x&value=1", now + 400), "signed "),
        "unsigned": (request("/postback?c=x&value=1"), "no API key was sent"),
        "a body of another": (post(made, ONE.replace(b"1.50", b"9.50")), "no secret matches webhook-signature"),
        "a body with a query": (post(made, ONE, "/postback?value=9"), "the query beside"),
        "a body as a form": (post({**made, "Content-Type": "text/csv"}, ONE), "what a body is read as"),
        "a body, late": (post(webhook(secret, ONE, now - 400), ONE), "expired: signed "),
        "a body without an id": (
            post({k: v for k, v in made.items() if k != "webhook-id"}, ONE),
            "webhook-id is missing",
        ),
        "rows of another": (post(rows, ROWS + ROWS, "/postbacks"), "no secret matches webhook-signature"),
        "rows, all or nothing": (post(rows, ROWS, "/postbacks?atomic=1"), "the query beside"),
        "rows unsigned": (post({"Content-Type": NDJSON}, ROWS, "/postbacks"), "no API key was sent"),
    }


def test_what_was_changed_or_comes_late_or_unsigned_is_401_and_kept_with_the_reason(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'p.db'}"
    secret = signing_secret(tmp_path, url)["secret"]
    key = told(tmp_path, url, "keys", "create", "acme")["key"]
    with Service(tmp_path, {"STRANGER_RATE": "0"}) as service:
        cases = wrong(secret, "whsec_" + "A" * 43 + "=")
        cases["a key alone"] = request("/postback?c=x&value=1", headers={"X-API-Key": key}), "not signed: "
        for name, (asked, reason) in cases.items():
            answer = sent(service, asked)
            assert (answer.status, answer.outcome) == (401, "unauthenticated"), name
            ((detail, raw),) = service.sql(
                "SELECT detail, raw FROM rejected_postback WHERE request_id = ?", answer.request_id
            )
            assert str(detail).startswith(reason), name
            assert re.search(r"[?&](ts|sig)=", repr(raw)) is None, name
        assert service.sql("SELECT count(*) FROM conversion") == [(0,)]
        good = get(secret, "c=x&value=1")
        assert [sent(service, good).outcome for _ in range(2)] == ["stored", "duplicate"]
        beside_a_key = request(
            f"/postback?{signed_query(secret, 'c=y&value=1', time.time())}", headers={"X-API-Key": key}
        )
        assert sent(service, beside_a_key).outcome == "stored"


def test_secrets_change_without_a_gap_and_a_revoked_one_ends_within_ten_seconds(
    tmp_path: Path, figures: Callable[[str], None]
) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(PostgresServer())
        url = server.url()
        migrate(tmp_path, url)
        old = signing_secret(tmp_path, url)
        replicas = [
            stack.enter_context(Service(tmp_path, {"DATABASE_URL": url, "STRANGER_RATE": "0"})) for _ in range(2)
        ]
        numbers = iter(range(10_000))

        def statuses(secret: str) -> set[int]:
            return {sent(one, get(secret, f"c={next(numbers)}&value=1")).status for one in replicas}

        new: dict[str, str] = {}
        assert statuses(old["secret"]) == {200}
        after(
            lambda: new.update(told(tmp_path, url, "secrets", "create", "acme")),
            lambda: statuses(new["secret"]) == {200} or None,
        )
        assert statuses(old["secret"]) == {200}
        revoked = after(
            lambda: done(tmp_path, url, "secrets", "revoke", old["id"]),
            lambda: statuses(old["secret"]) == {401} or None,
        )
        assert statuses(new["secret"]) == {200}
        key = told(tmp_path, url, "keys", "create", "acme")["key"]
        after(
            lambda: done(tmp_path, url, "secrets", "revoke", new["id"]),
            lambda: statuses(new["secret"]) == {401} or None,
        )
        unsigned = request("/postback?c=u&value=1", headers={"X-API-Key": key})
        assert {sent(one, unsigned).status for one in replicas} == {401}  # the duty to sign outlives the last secret
    figures(f"2 replicas: a revoked secret was refused everywhere after {revoked:.1f} s")


def test_a_signature_that_is_only_reported_refuses_nothing_and_is_counted_and_told(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'p.db'}"
    secret = signing_secret(tmp_path, url)["secret"]
    key = told(tmp_path, url, "keys", "create", "acme")["key"]
    done(tmp_path, url, "senders", "set", "acme", "--report-only", "signature")

    def line_of(service: Service, answer: Answer) -> dict[str, object]:
        lines = lambda: [line for line in service.log_lines() if line.get("request_id") == answer.request_id]  # noqa: E731
        return wait_for(lines, 10)[0]

    with Service(tmp_path, {"STRANGER_RATE": "0"}) as service:
        unsigned = sent(service, request("/postback?c=a&value=1", headers={"X-API-Key": key}))
        altered = request(f"/postback?{signed_query(secret, 'c=b&value=1', time.time())}0", headers={"X-API-Key": key})
        changed, good = sent(service, altered), sent(service, get(secret, "c=c&value=1"))
        assert [answer.outcome for answer in (unsigned, changed, good)] == ["stored"] * 3
        assert service.metrics().by_label("postback_would_reject_total", "check") == {"signature": 2}
        told_of = [line_of(service, answer).get("would_reject") for answer in (unsigned, changed, good)]
        assert told_of == ["unauthenticated", "unauthenticated", None]
        assert service.sql("SELECT count(*) FROM conversion WHERE CAST(params AS TEXT) = '{}'") == [(3,)]
