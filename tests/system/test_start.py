"""Owns the ways to start the service: with TLS, on other addresses, or not at all and with a clear reason."""

import socket
import ssl
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.outside.certificates import Authority
from tests.support.outside.harness import NotStarted, Service, migrate
from tests.support.outside.wire import Wire, request

pytestmark = pytest.mark.system

REFUSED = 2


def refusal(directory: Path, settings: dict[str, str]) -> list[str]:
    """Return the lines on stderr of a start that is refused."""
    service = Service(directory, settings)
    with pytest.raises(NotStarted), service:
        pass  # it listens, and should not
    assert service.wait() == REFUSED
    return service.stderr().splitlines()


@pytest.mark.parametrize(
    ("settings", "mistakes"),
    [
        ({"PORT": "none"}, ["POSTBACK_PORT"]),
        ({"PORT": "none", "LOG_LEVEL": "loud"}, ["POSTBACK_PORT", "POSTBACK_LOG_LEVEL"]),
        ({"PORT": "none", "WORKERS": "2"}, ["POSTBACK_PORT", "POSTBACK_WORKERS"]),
        ({"WORKERS": "2", "TLS_CERT": "/nowhere/cert.pem"}, ["POSTBACK_WORKERS", "TLS_CERT"]),
        ({"WORKERS": "2"}, ["POSTBACK_WORKERS"]),
        ({"AUTH": "required"}, ["POSTBACK_AUTH"]),
        ({"HOST": "0.0.0.0"}, ["POSTBACK_HOST"]),
        ({"FORWARDED_ALLOW_IPS": "*"}, ["POSTBACK_FORWARDED_ALLOW_IPS"]),
        ({"DATABASE_URL": "postgresql://user:planted-secret@db:port/p"}, ["POSTBACK_DATABASE_URL"]),
        ({"DATABASE_URL": "sqlite://"}, ["POSTBACK_DATABASE_URL"]),
        ({"DATABASE_URL_FILE": "/nowhere/url"}, ["/nowhere/url"]),
        ({"TLS_CERT": "/nowhere/cert.pem"}, ["TLS_CERT"]),
        ({"TLS_CERT": "/nowhere/cert.pem", "TLS_KEY": "/nowhere/key.pem"}, ["/nowhere/cert.pem"]),
    ],
    ids=str,
)
def test_a_wrong_setting_stops_the_start_with_one_clear_line_for_each_mistake(
    tmp_path: Path, settings: dict[str, str], mistakes: list[str]
) -> None:
    lines = refusal(tmp_path, settings)
    assert [mistake for mistake, line in zip(mistakes, lines, strict=True) if mistake in line] == mistakes
    assert "planted-secret" not in "".join(lines)


def test_a_database_in_a_place_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (line,) = refusal(tmp_path, {"DATABASE_URL": f"sqlite:///{tmp_path}/file/p.db"})
    assert "file" in line


def test_a_port_in_use_stops_the_start_and_says_which(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
        for name in ("PORT", "OPERATOR_PORT"):
            (line,) = refusal(tmp_path, {name: port})
            assert f"127.0.0.1:{port}" in line


@pytest.mark.parametrize(
    "way",
    [
        "same path",
        "symbolic link",
        "hard link",
    ],
)
def test_a_second_process_on_the_same_file_is_refused_and_the_first_goes_on(tmp_path: Path, way: str) -> None:
    """Two writers could both checkpoint, and lose what was committed."""
    other = tmp_path / "other.db"
    with Service(tmp_path) as first:
        assert first.postback("first").outcome == "stored"
        if way == "symbolic link":
            other.symlink_to(first.database)
        elif way == "hard link":
            other.hardlink_to(first.database)
        (line,) = refusal(tmp_path, {"DATABASE_URL": f"sqlite:///{other if other.exists() else first.database}"})
        assert "another process" in line
        assert first.postback("second").outcome == "stored"


def test_open_mode_on_every_address_still_answers_loopback_names_only(tmp_path: Path) -> None:
    with Service(tmp_path, {"HOST": "0.0.0.0", "AUTH": "open"}) as service:
        service.public = ("127.0.0.1", service.public[1])
        with Wire(service.public) as wire:
            assert wire.exchange(request("/postback?c=a&value=1", host="localhost")).outcome == "stored"
            refused = wire.exchange(request("/postback?c=b&value=1", host="postback.example"))
            assert (refused.status, refused.outcome) == (401, "unauthenticated")


def test_every_line_of_stdout_is_json_from_the_start_to_the_end(tmp_path: Path) -> None:
    with Service(tmp_path, {"LOG_LEVEL": "debug"}) as service:
        service.postback("a")
        service.get("/nowhere")
        service.ask_operator("/readyz")
        with Wire(service.public) as wire:
            wire.exchange(b"this is not HTTP\r\n\r\n")
        assert service.terminate() == 0
        lines = service.log_lines()
        assert {"listening", "postback", "stopping", "stopped"} <= {line["event"] for line in lines}
        (refused,) = [line["event"] for line in lines if line.get("logger") == "service.web.wire"]
        assert str(refused).startswith("This is not HTTP: ")
        assert "Shutting down" in {line["event"] for line in lines if line.get("logger") == "uvicorn.error"}
        assert service.log_text().endswith("\n")
        assert service.stderr() == ""


def test_an_unknown_setting_is_warned_of_with_the_likely_one(tmp_path: Path) -> None:
    with Service(tmp_path, {"DATABASE_ULR": "sqlite:///x"}) as service:
        assert slips(service) == ["POSTBACK_DATABASE_ULR is not a setting; did you mean POSTBACK_DATABASE_URL?"]


def test_slips_in_a_dotenv_are_warned_of_like_those_in_the_environment(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("POSTBACK_LOG_LEVL=debug\nPOSTBACK_LOG_LEVEL warning\n", encoding="ascii")
    with Service(tmp_path) as service:
        assert slips(service) == [
            "POSTBACK_LOG_LEVL is not a setting; did you mean POSTBACK_LOG_LEVEL?",
            "line 2 of .env has no effect; it should be NAME=value",
        ]
        assert service.terminate() == 0
        assert service.stderr() == ""


def test_a_wrong_value_in_a_dotenv_stops_the_start_like_one_in_the_environment(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("POSTBACK_MIGRATE_WAIT=soon\n", encoding="ascii")
    (line,) = refusal(tmp_path, {})
    assert line.startswith("POSTBACK_MIGRATE_WAIT=soon: ")


def slips(service: Service) -> list[object]:
    """Return what the start said of settings that are none."""
    return [line["detail"] for line in service.log_lines() if line["event"] == "unknown_setting"]


def test_tls_is_served_with_the_given_certificate_to_a_client_that_verifies_it(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.certify()
    with Service(tmp_path, {"TLS_CERT": str(certificate), "TLS_KEY": str(key)}) as service:
        with Wire(service.public, tls=authority.trusting()) as wire:
            assert wire.exchange(request("/postback?c=tls&value=1", host="localhost")).outcome == "stored"
        with pytest.raises(ssl.SSLCertVerificationError):
            Wire(service.public, tls=ssl.create_default_context())
        assert service.ask_operator("/readyz").status == 200


def test_a_key_that_does_not_fit_the_certificate_stops_the_start(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, _ = authority.certify()
    (line,) = refusal(tmp_path, {"TLS_CERT": str(certificate), "TLS_KEY": str(authority.key)})
    assert "TLS_KEY" in line


def test_a_service_on_a_file_at_the_newest_version_loads_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    """Each would cost megabytes for as long as it serves: Alembic 10, cryptography (certificates) 7, psycopg 6."""
    service = Service(tmp_path, wrapper=("env", "PYTHONPROFILEIMPORTTIME=1"))  # it names each import on stderr
    migrate(tmp_path, service.database_url)
    with service:
        assert service.postback("a").outcome == "stored"
        assert service.ask_operator("/metrics").status == service.ask_operator("/readyz").status == 200
    names = {line.rpartition("|")[2].strip().partition(".")[0] for line in service.stderr().splitlines()}
    assert "sqlalchemy" in names
    needless = {"alembic", "mako", "cryptography", "psycopg", "psycopg_binary", "httpx2", "joserfc", "pyarrow"}
    assert names & needless == set()
