"""Owns the ways to start the service: with TLS, on other addresses, or not at all and with a clear reason."""

import socket
import ssl
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.outside.harness import NotStarted, Service
from tests.support.outside.tools import call, need
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
        assert "Invalid HTTP request received." in {it["event"] for it in lines if it.get("logger") == "uvicorn.error"}
        assert service.log_text().endswith("\n")
        assert service.stderr() == ""


def test_an_unknown_setting_is_warned_of_with_the_likely_one(tmp_path: Path) -> None:
    with Service(tmp_path, {"DATABASE_ULR": "sqlite:///x"}) as service:
        (warning,) = [line for line in service.log_lines() if line["event"] == "unknown_setting"]
        assert "POSTBACK_DATABASE_URL" in str(warning["detail"])


def certify(directory: Path) -> tuple[Path, Path, Path]:
    """Make an authority and a certificate for localhost; return the authority's, the certificate, and its key."""
    need("openssl")
    authority, authority_key = directory / "ca.pem", directory / "ca.key"
    wish, certificate, key = directory / "server.csr", directory / "server.pem", directory / "server.key"
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    names = directory / "names"
    names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n", encoding="ascii")
    call(
        "openssl", "req", "-x509", *new_key, "-keyout", str(authority_key), "-out", str(authority), "-subj", "/CN=test"
    )
    call("openssl", "req", *new_key, "-keyout", str(key), "-out", str(wish), "-subj", "/CN=localhost")
    signed_by = ("-CA", str(authority), "-CAkey", str(authority_key), "-CAcreateserial")
    call("openssl", "x509", "-req", "-in", str(wish), *signed_by, "-extfile", str(names), "-out", str(certificate))
    return authority, certificate, key


def test_tls_is_served_with_the_given_certificate_to_a_client_that_verifies_it(tmp_path: Path) -> None:
    authority, certificate, key = certify(tmp_path)
    with Service(tmp_path, {"TLS_CERT": str(certificate), "TLS_KEY": str(key)}) as service:
        trusting = ssl.create_default_context(cafile=str(authority))
        with Wire(service.public, tls=trusting) as wire:
            assert wire.exchange(request("/postback?c=tls&value=1", host="localhost")).outcome == "stored"
        with pytest.raises(ssl.SSLCertVerificationError):
            Wire(service.public, tls=ssl.create_default_context())
        assert service.ask_operator("/readyz").status == 200


def test_a_key_that_does_not_fit_the_certificate_stops_the_start(tmp_path: Path) -> None:
    _, certificate, _ = certify(tmp_path)
    (line,) = refusal(tmp_path, {"TLS_CERT": str(certificate), "TLS_KEY": str(tmp_path / "ca.key")})
    assert "TLS_KEY" in line
