"""A real OAuth server and the running service: whose token is whose, what is refused, and its keys and death."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.outside.harness import Service, wait_for
from tests.support.outside.issuer import OAuthServer, oauth_server
from tests.support.outside.registering import NDJSON, after, done, places, posted, sent
from tests.support.outside.wire import Answer, request

pytestmark = [pytest.mark.system, pytest.mark.proof]

FORGOTTEN_SECONDS = 90  # a minute is promised, and the machine may be busy
SENDERS = {"acme": "RS256", "beta": "ES256", "gamma": "EdDSA"}  # each client signs in its own way


@contextmanager
def trusting(directory: Path, issuer: OAuthServer) -> Iterator[Service]:
    """Run the service with a sender for each client of the issuer, and read its keys."""
    for name, client in SENDERS.items():
        done(directory, f"sqlite:///{directory / 'p.db'}", "senders", "add", name, "--oauth-subject", client)
    settings = {"OAUTH_ISSUER": issuer.url, "OAUTH_AUDIENCE": issuer.audience, "STRANGER_RATE": "0"}
    with Service(directory, {**settings, "LOG_LEVEL": "debug"}) as service:
        yield service


def told_by(service: Service, token: str, query: str = "c=a&value=1", **headers: str) -> Answer:
    """Send a postback with a token."""
    return service.get(f"/postback?{query}", headers={"Authorization": f"Bearer {token}", **headers})


def settled(service: Service, token: str, query: str = "c=a&value=1") -> Answer:
    """Send it again while it is 503, as a sender does: a busy machine may not read the keys within a second."""

    def answer() -> Answer | None:
        given = told_by(service, token, query)
        return None if given.status == 503 else given

    return wait_for(answer, 60, every=0.1)


def test_a_token_is_stored_as_its_senders_at_each_door_and_is_nowhere(tmp_path: Path) -> None:
    with oauth_server() as issuer, trusting(tmp_path, issuer) as service:
        tokens = {name: issuer.token(client) for name, client in SENDERS.items()}
        answers = [settled(service, token, f"c={name}&value=1") for name, token in tokens.items()]
        bearer = {"Authorization": f"Bearer {tokens['acme']}"}
        answers.append(sent(service, posted("/postbacks", b'{"c":"r1","value":1}\n{"c":"r2"}\n', NDJSON, bearer)))
        answers.append(told_by(service, tokens["beta"], "c=beta&value=x"))
        answers.append(told_by(service, tokens["beta"], "c=both&value=1", **{"X-API-Key": "pbk_000000000000_0"}))
        assert [answer.status for answer in answers] == [200, 200, 200, 207, 400, 401]
        stored = service.sql("SELECT sender, click_id FROM conversion ORDER BY 1, 2")
        assert stored == [("acme", "acme"), ("acme", "r1"), ("beta", "beta"), ("gamma", "gamma")]
        refused = service.sql("SELECT sender, outcome FROM rejected_postback ORDER BY outcome")
        assert refused == [("beta", "invalid_value"), ("acme", "missing_value"), (None, "unauthenticated")]
        after(
            lambda: done(tmp_path, service.database_url, "senders", "disable", "gamma"),
            lambda: told_by(service, tokens["gamma"]).status == 403 or None,
        )
        pages = [service.ask_operator("/metrics").body, *(repr(answer).encode() for answer in answers)]
        pages += [Path(f"/proc/{service.pid}/cmdline").read_bytes()]
        assert service.terminate(signal.SIGTERM) == 0
    parts = [part.encode() for token in tokens.values() for part in token.split(".")[1:]]
    assert places(tmp_path, [part[:40] for part in parts], *pages) == []


def test_what_is_for_others_ended_or_given_by_another_is_refused_and_kept(tmp_path: Path) -> None:
    with oauth_server() as issuer, oauth_server() as another, trusting(tmp_path, issuer) as service:
        good = issuer.token()
        assert settled(service, good).outcome == "stored"
        head, payload, mark = good.split(".")
        cases = {
            "another audience": (issuer.token(resource="https://other.example"), 401),
            "an opaque token": (issuer.token(resource=None), 401),
            "another scope": (issuer.token(scope="other"), 403),
            "no scope": (issuer.token(scope=None), 403),
            "another issuer": (another.token(), 401),
            "without its signature": (f"{head}.{payload}.", 401),
            "with another's": (f"{head}.{payload}.{issuer.token().split('.')[2]}", 401),
            "another payload": (f"{head}.{another.token().split('.')[1]}.{mark}", 401),
            "no signature asked for": (f"eyJhbGciOiJub25lIn0.{payload}.", 401),
            "nothing": ("", 401),
        }
        issuer.command("late")
        cases["ended"] = issuer.token(), 401
        for name, (token, status) in cases.items():
            answer = settled(service, token, "c=b&value=1")
            outcome = {401: "unauthenticated", 403: "forbidden"}[status]
            assert (answer.status, answer.outcome) == (status, outcome), name
            kept = service.sql("SELECT outcome, detail FROM rejected_postback WHERE request_id = ?", answer.request_id)
            assert [(word, bool(why)) for word, why in kept] == [(outcome, True)], name
        assert service.sql("SELECT click_id FROM conversion") == [("a",)]
    secrets = [part[:40].encode() for token, _ in cases.values() for part in token.split(".")[1:] if len(part) >= 40]
    assert places(tmp_path, secrets) == []


def test_a_client_that_is_nobodys_is_forbidden(tmp_path: Path) -> None:
    with oauth_server() as issuer, trusting(tmp_path, issuer) as service:
        stranger = issuer.token("EdDSA")
        assert settled(service, stranger, "c=b&value=1").outcome == "stored"
        after(
            lambda: done(tmp_path, service.database_url, "senders", "set", "gamma", "--oauth-subject", "none"),
            lambda: told_by(service, stranger, "c=c&value=1").outcome == "forbidden" or None,
        )
        assert settled(service, issuer.token()).outcome == "stored"


def test_after_a_rotation_new_tokens_are_taken_at_once_and_old_ones_soon_no_longer(
    tmp_path: Path, figures: Callable[[str], None]
) -> None:
    with oauth_server() as issuer, trusting(tmp_path, issuer) as service:
        old, unseen = issuer.token(), issuer.token()
        assert settled(service, old).outcome == "stored"
        issuer.command("rotate")
        assert settled(service, issuer.token(), "c=b&value=1").outcome == "stored"
        refused = lambda: {told_by(service, token).status for token in (old, unseen)} == {401} or None  # noqa: E731
        wait_for(refused, FORGOTTEN_SECONDS, every=0.5)
        assert settled(service, issuer.token(), "c=c&value=1").outcome == "stored"
        outcomes = service.metrics().by_label("postback_received_total", "outcome")
    figures(f"one rotation, asked twice a second until the old tokens were refused: {outcomes}")


def test_while_the_issuer_is_dead_known_keys_go_on_and_unknown_ones_are_503_with_a_time_to_wait(tmp_path: Path) -> None:
    with oauth_server() as issuer, trusting(tmp_path, issuer) as service:
        seen, unseen = issuer.token(), issuer.token("ES256")
        assert settled(service, seen).outcome == "stored"
        issuer.command("rotate")
        unknown = issuer.token()
        issuer.die()
        assert told_by(service, seen, "c=b&value=1").outcome == "stored"
        assert told_by(service, unseen, "c=c&value=1").outcome == "stored"
        answer = told_by(service, unknown, "c=d&value=1")
        assert (answer.status, answer.outcome) == (503, "storage_unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        assert told_by(service, "not.a.token", "c=e&value=1").status == 401
        assert sent(service, request("/postback?c=f&value=1")).status == 401
        assert service.sql("SELECT click_id FROM conversion ORDER BY 1") == [("a",), ("b",), ("c",)]
        assert service.metrics().total("postback_conservation_drift") == 0


def test_a_service_that_starts_without_its_issuer_takes_keys_and_says_503_for_tokens(tmp_path: Path) -> None:
    with oauth_server() as issuer:
        token = issuer.token()
        issuer.die()
        with trusting(tmp_path, issuer) as service:
            answer = told_by(service, token)
            assert (answer.status, "retry-after" in answer.headers) == (503, True)
            assert sent(service, request("/postback?c=f&value=1")).status == 401
