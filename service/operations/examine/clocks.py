"""Owns the checks of clocks and certificates."""

import ctypes
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from cryptography import x509

from service.operations.examine.case import Case
from service.operations.examine.findings import Finding, graded, not_checked, ok, warning, worst_of, wrong
from service.operations.examine.http import NoAnswer
from service.operations.examine.operator_listener import OperatorListener
from service.telemetry.certificate import certificate_expiry
from service.telemetry.metrics import catalogue

_DAY = 86_400
_WRONG_DAYS, _WARNING_DAYS = 7, 21
_TIMEX_BYTES = 512  # struct timex is 208 bytes on 64-bit Linux; all zero means: change nothing
_UNSYNCHRONISED = 5  # TIME_ERROR of adjtimex(2)
_CLOSE_SECONDS, _FAR_SECONDS = 2, 30
_RENEW = "Renew the certificate, then restart the service: it reads the file at its start."


def check_clock() -> Finding:
    """Ask the kernel whether its clock is synchronised."""
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return not_checked("clock_sync", "this system does not tell whether its clock is synchronised")
    if state < 0:
        return not_checked("clock_sync", "the kernel does not tell whether its clock is synchronised")
    sentence = "the clock is not synchronised" if state == _UNSYNCHRONISED else "the kernel says it is synchronised"
    advice = "Run an NTP client (chrony, systemd-timesyncd): received_at is only as right as this clock."
    return graded("clock_sync", sentence, advice, bad=False, doubtful=state == _UNSYNCHRONISED)


def compare_clock(where: str, date: str | None, asked: float) -> Finding:
    """Compare this clock with an answer's Date header, which is in whole seconds; `asked` is when it was asked for."""
    try:
        theirs = parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return not_checked("clock_difference", f"{where} tells no date")
    behind, ahead = asked - theirs - 1, theirs - time.time()
    apart = max(0.0, behind, ahead)
    word = "behind" if behind > ahead else "ahead"
    sentence = (
        f"{where} is {apart:.0f} s {word}" if apart > _CLOSE_SECONDS else f"{where} has the same time as this clock"
    )
    advice = "One of the two clocks is wrong: see clock_sync here and there."
    return graded("clock_difference", sentence, advice, bad=apart > _FAR_SECONDS, doubtful=apart > _CLOSE_SECONDS)


def check_certificate(case: Case, operators: Sequence[OperatorListener]) -> Iterator[Finding]:
    """Look at the certificate of the settings, and whether the running processes serve that one."""
    asked: Sequence[OperatorListener | None] = operators or [None]
    names = [operator.url if operator else "" for operator in asked]
    yield from worst_of([_certificates(case, operator) for operator in asked], names)


def _certificates(case: Case, operator: OperatorListener | None) -> Iterator[Finding]:
    if case.settings.tls_cert is None:
        yield ok("certificate_file", "none is set: HTTPS, if there is any, ends at a proxy")
        return
    ends = certificate_expiry(case.settings.tls_cert)
    yield _lifetime("certificate_file", str(case.settings.tls_cert), ends)
    try:
        served = operator.scrape().total(catalogue.CERTIFICATE_EXPIRY.name) if operator else None
    except NoAnswer:
        served = None
    if served is None:
        yield not_checked("certificate_served", "there is no running process to ask")
    elif abs(served - ends) > 1:
        sentence = f"the running process serves another one, which ends {_date(served)}" if served else "none is served"
        yield warning("certificate_served", sentence, "Restart the service: it reads the file at its start.")
    else:
        yield ok("certificate_served", "the running process serves this one")


def public_certificate(host: str, port: int, timeout: float, *, named: bool) -> Finding:
    """Check the certificate that senders see; `named` says that the host is the name that senders use."""
    try:
        shown = _shown_certificate(host, port, timeout)
    except (OSError, ValueError) as error:
        return wrong(
            "public_certificate", f"no TLS with {host}:{port}: {_plain(error)}", "Is this port meant for https?"
        )
    life = _lifetime("public_certificate", f"{host}:{port}", shown)
    if life.state == "wrong":
        return life
    if not named:
        return Finding(
            life.name, life.state, f"{life.sentence}; its name is not checked without --public-url", life.advice
        )
    try:
        _handshake(host, port, timeout, ssl.create_default_context())
    except (OSError, ValueError) as error:
        advice = "Senders refuse it: the certificate must name the host, with its chain up to a public authority."
        return wrong("public_certificate", f"{host}:{port} is not trusted: {_plain(error)}", advice)
    return life


def _shown_certificate(host: str, port: int, timeout: float) -> float:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    certificate = x509.load_der_x509_certificate(_handshake(host, port, timeout, context))
    return certificate.not_valid_after_utc.timestamp()


def _handshake(host: str, port: int, timeout: float, context: ssl.SSLContext) -> bytes:
    with (
        socket.create_connection((host, port), timeout) as raw,
        context.wrap_socket(raw, server_hostname=host) as tls,
    ):
        return tls.getpeercert(binary_form=True) or b""


def _lifetime(name: str, whose: str, ends: float) -> Finding:
    days = (ends - time.time()) / _DAY
    verb = "ended" if days < 0 else "ends"
    sentence = (
        f"{whose}: {verb} {_date(ends)}, {'' if days < 0 else 'in '}{abs(days):.0f} days{' ago' if days < 0 else ''}"
    )
    return graded(name, sentence, _RENEW, bad=days < _WRONG_DAYS, doubtful=days < _WARNING_DAYS)


def _date(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d}"


def _plain(error: Exception) -> str:
    return str(getattr(error, "verify_message", "") or getattr(error, "strerror", "") or error)
