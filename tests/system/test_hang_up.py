"""Owns the proof of what SIGHUP means: files are read again while senders go on, or the terminal was closed."""

import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from cryptography import x509

from tests.support.outside.certificates import RSA, Authority
from tests.support.outside.harness import EXIT_SECONDS, REPOSITORY, LogLine, Service, clean_environment, wait_for
from tests.support.outside.ledger import run_until
from tests.support.outside.terminals import terminal
from tests.support.outside.wire import Wire, request
from tests.support.outside.workers import Clients

pytestmark = [pytest.mark.system, pytest.mark.proof]


def events(service: Service, event: str) -> list[LogLine]:
    """Return the log lines of one event."""
    return [line for line in service.log_lines() if line["event"] == event]


def reload(service: Service) -> None:
    """Send SIGHUP, and wait until everything was read again."""
    before = len(events(service, "reloaded"))
    service.send_signal(signal.SIGHUP)
    wait_for(lambda: len(events(service, "reloaded")) > before, EXIT_SECONDS)


def shown(service: Service, trusting: ssl.SSLContext) -> x509.Certificate:
    """Return the certificate that a new connection is shown."""
    with Wire(service.public, tls=trusting) as wire:
        assert isinstance(wire.socket, ssl.SSLSocket)
        return x509.load_der_x509_certificate(wire.socket.getpeercert(binary_form=True) or b"")


def expiry(service: Service) -> float:
    """Return when the certificate ends that is served, as the metrics tell."""
    return service.metrics().total("postback_tls_certificate_expiry_timestamp_seconds")


def test_a_closed_terminal_ends_the_service_as_a_signal_does_and_loses_nothing(tmp_path: Path) -> None:
    with terminal() as (wrapper, close), Service(tmp_path, wrapper=wrapper) as service:
        clients = Clients(service, "closed")
        run_until(clients.press(EXIT_SECONDS, lambda: not service.alive), 0.5, close)
        assert service.wait(EXIT_SECONDS) == 0
        ledger = clients.ledger
        assert ledger.check_against(service).keys() == ledger.acknowledged
        assert events(service, "stopping")[0]["reason"] == "the terminal was closed"
        assert service.log_lines()[-1]["event"] == "stopped"
    assert len(ledger.acknowledged) > 50


def test_a_shell_that_ends_ends_its_job_though_its_signal_comes_before_the_terminal_is_gone(tmp_path: Path) -> None:
    with terminal() as (wrapper, _), Service(tmp_path, wrapper=[*wrapper, "shell"]) as service:
        service._process.terminate()  # noqa: SLF001 - the shell, not the service
        wait_for(lambda: events(service, "stopped"), EXIT_SECONDS)
        assert events(service, "stopping")[0]["reason"] == "the terminal was closed"


def test_make_as_the_leader_of_the_session_is_told_alone_and_the_service_ends_all_the_same(tmp_path: Path) -> None:
    with terminal() as (wrapper, close), Service(tmp_path, wrapper=[*wrapper, "make"]) as service:
        close()
        assert service.wait(EXIT_SECONDS) == 0
        assert events(service, "stopping")[0]["reason"] == "the terminal was closed"


def test_a_hang_up_during_the_start_is_obeyed_after_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    environment = clean_environment() | {"POSTBACK_PORT": "0", "POSTBACK_OPERATOR_PORT": "0"}
    environment |= {"POSTBACK_LOG_FORMAT": "json", "POSTBACK_DATABASE_URL": f"sqlite:///{tmp_path / 'p.db'}"}
    command = [sys.executable, "-m", "service", "run"]
    with (
        log.open("wb") as out,
        subprocess.Popen(
            command, cwd=REPOSITORY, env=environment, stdout=out, stderr=out, start_new_session=True
        ) as process,
    ):
        try:
            while not holds_hang_ups(process.pid):
                time.sleep(0.001)
            begun = "uvloop" not in Path(f"/proc/{process.pid}/maps").read_text()
            process.send_signal(signal.SIGHUP)
            wait_for(lambda: b'"reloaded"' in log.read_bytes(), EXIT_SECONDS)
        finally:
            process.terminate()
        assert process.wait(EXIT_SECONDS) == 0
    assert begun  # what serves was not even loaded


def holds_hang_ups(pid: int) -> bool:
    """Tell whether a process has a handler for SIGHUP (proc(5), SigCgt)."""
    (caught,) = re.findall(r"^SigCgt:\s*([0-9a-f]+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return bool(int(caught, 16) & 1 << (signal.SIGHUP - 1))


@pytest.mark.parametrize("nohup", [[], ["nohup"]], ids=["as it is", "nohup"])
def test_on_a_terminal_that_stays_open_it_reads_again(tmp_path: Path, nohup: Sequence[str]) -> None:
    with terminal() as (wrapper, _), Service(tmp_path, wrapper=[*wrapper, *nohup]) as service:
        reload(service)
        assert service.postback("after").outcome == "stored"
        assert service.terminate() == 0


def test_under_nohup_a_closed_terminal_ends_nothing(tmp_path: Path) -> None:
    with terminal() as (wrapper, close), Service(tmp_path, wrapper=[*wrapper, "nohup"]) as service:
        close()
        wait_for(lambda: events(service, "reloaded"), EXIT_SECONDS)
        assert service.postback("after").outcome == "stored"


def test_without_a_terminal_it_goes_on_and_nothing_is_lost_or_refused(
    tmp_path: Path, figures: Callable[[str], None]
) -> None:
    with Service(tmp_path) as service:
        clients = Clients(service, "again")

        def several() -> None:
            for _ in range(5):
                service.send_signal(signal.SIGHUP)

        run_until(clients.press(1.5), 0.5, several)
        assert events(service, "reloaded")
        assert clients.failed == {}
        assert clients.ledger.unknown == []
        stored = clients.ledger.check_against(service)
        assert service.metrics().total("postback_conservation_drift") == 0
        figures(f"{len(stored)} stored, 0 lost, 0 refused; the slowest answer took {clients.slowest:.2f} s")


def test_a_renewed_certificate_is_shown_to_new_connections_and_the_open_ones_go_on(tmp_path: Path) -> None:
    """Its key may be of another kind: the old one must not stay beside it."""
    authority = Authority(tmp_path)
    certificate, key = authority.certify(kind=RSA, days=10)
    trusting = authority.trusting()
    with Service(tmp_path, {"TLS_CERT": str(certificate), "TLS_KEY": str(key)}) as service:
        with Wire(service.public, tls=trusting) as resting:
            assert resting.exchange(request("/postback?c=before&value=1")).outcome == "stored"
            for days in (20, 30):
                authority.certify(days=days)
                renewed = x509.load_pem_x509_certificate(certificate.read_bytes())
                assert shown(service, trusting) != renewed
                reload(service)
                assert shown(service, trusting) == renewed
                expires_at = renewed.not_valid_after_utc.timestamp()
                assert expiry(service) == expires_at
            assert resting.exchange(request("/postback?c=during&value=1")).outcome == "stored"
        only_rsa = authority.trusting()
        only_rsa.maximum_version = ssl.TLSVersion.TLSv1_2
        only_rsa.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
        with pytest.raises(ssl.SSLError):
            shown(service, only_rsa)


@pytest.mark.parametrize("broken", ["server.key", "server.pem"])
def test_a_certificate_that_cannot_be_used_is_told_and_the_old_one_stays(tmp_path: Path, broken: str) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.certify()
    with Service(tmp_path, {"TLS_CERT": str(certificate), "TLS_KEY": str(key)}) as service:
        before = shown(service, authority.trusting())
        expires_at = expiry(service)
        assert expires_at > 0
        authority.certify(days=60)
        (tmp_path / broken).write_text("half a file", encoding="ascii")
        reload(service)
        (told,) = events(service, "certificate_not_read")
        assert (told["level"], told["path"]) == ("error", str(certificate))
        assert shown(service, authority.trusting()) == before
        assert expiry(service) == expires_at
