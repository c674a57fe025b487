"""Owns the checks of the public URL as a sender meets it: connectivity, parsing, response codes (EZmob's order).

None of them can store anything: no path but a GET or POST of a door does. Only `--probe` sends a postback.
"""

import json
import secrets
import socket
import time
from collections.abc import Collection, Iterator
from http import HTTPStatus
from urllib.parse import urlsplit

from service.auth.networks import is_loopback
from service.core.outcome import Outcome
from service.core.unavailable import StorageError
from service.operations.examine.case import Case
from service.operations.examine.clocks import compare_clock, public_certificate
from service.operations.examine.findings import Finding, State, graded, not_checked, ok, warning, wrong
from service.operations.examine.http import Answer, NoAnswer, fetch, proxied

PROBE_CLICK_ID = "postback-doctor"
_SLOW_SECONDS, _HUNG_UP_SECONDS = 1.0, 2.0  # Branch hangs up after 2 s
_MOST_ADDRESSES = 4
_SHOWN = 120  # characters of a stranger's answer
CONNECTION = ("public_name", "public_connection", "public_certificate")
ANSWERS = ("clock_difference", "public_health", "public_door", "public_walls", "public_process")


class _PublicUrl:
    """One public address and how to ask it."""

    def __init__(self, case: Case, url: str) -> None:
        parts = urlsplit(url)
        self.url = url
        self.host = parts.hostname or ""
        self.tls = parts.scheme == "https"
        self.port = parts.port or (443 if self.tls else 80)
        self.named = case.choices.public_url is not None
        self.timeout = case.choices.timeout

    def ask(self, path: str, method: str = "GET") -> Answer:
        return fetch(f"{self.url}{path}", timeout=self.timeout, method=method, verify=self.named)


def check(case: Case, processes: Collection[str]) -> Iterator[Finding]:
    """Yield the findings; `processes` are the processes behind the operator listeners, by their request id prefix."""
    if not case.operator_urls or case.public_url is None:
        reason = "its port is 0 (any free one): give --public-url"
        why = "offline: nothing was sent" if not case.operator_urls else reason
        yield from (not_checked(name, why) for name in (*CONNECTION, *ANSWERS, "probe"))
        return
    public = _PublicUrl(case, case.public_url)
    connection = list(_connectivity(public))
    yield from connection
    if any(finding.state is State.WRONG for finding in connection[:2]):
        yield from (not_checked(name, "there is no connection") for name in (*ANSWERS, "probe"))
        return
    yield from _answers(public, processes)
    yield (
        _probe(case, public) if case.choices.probe else not_checked("probe", "no postback was sent: --probe sends one")
    )


def _connectivity(public: _PublicUrl) -> Iterator[Finding]:
    """Look the name up, connect to each of its addresses, look at the certificate."""
    if proxied(public.url):
        why = "a proxy of the environment (HTTPS_PROXY, HTTP_PROXY) stands between here and there"
        yield from (not_checked(name, why) for name in CONNECTION)
        return
    try:
        found = socket.getaddrinfo(public.host, public.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        advice = "Mend the DNS record, or --public-url."
        yield wrong("public_name", f"{public.host} has no address: {getattr(error, 'strerror', error)}", advice)
        yield from (not_checked(name, "there is no address to connect to") for name in CONNECTION[1:])
        return
    addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))[:_MOST_ADDRESSES]
    yield ok("public_name", f"{public.host} is {', '.join(addresses)}")
    failed = [f"{address} ({reason})" for address in addresses if (reason := _refusal(address, public))]
    none = len(failed) == len(addresses)
    sentence = f"no connection to port {public.port}: {', '.join(failed)}" if failed else f"port {public.port} is open"
    advice = "Look at firewall, port forwarding and whether the service listens there (POSTBACK_HOST, POSTBACK_PORT)."
    yield graded("public_connection", sentence, advice, bad=none, doubtful=bool(failed))
    yield not_checked("public_certificate", "there is no connection") if none else _certificate(public)


def _certificate(public: _PublicUrl) -> Finding:
    if public.tls:
        return public_certificate(public.host, public.port, public.timeout, named=public.named)
    if is_loopback(public.host):
        return ok("public_certificate", "plain http on loopback needs none")
    advice = "Use https: click ids and values can be read, and changed, on the way."
    return warning("public_certificate", f"{public.url} is plain http", advice)


def _refusal(address: str, public: _PublicUrl) -> str:
    try:
        socket.create_connection((address, public.port), public.timeout).close()
    except TimeoutError:
        return f"silent for {public.timeout:g} s"
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _answers(public: _PublicUrl, processes: Collection[str]) -> Iterator[Finding]:
    asked = time.time()
    try:
        health = public.ask("/healthz")
        door = _ask_door(public)
        walls = public.ask("/metrics")
    except NoAnswer as reason:
        advice = "Something is there that does not speak HTTP as we do: is it the right scheme and port?"
        yield not_checked(ANSWERS[0], "there is no answer")
        yield wrong(ANSWERS[1], f"{public.url} gives no answer: {reason}", advice)
        yield from (not_checked(name, "there is no answer") for name in ANSWERS[2:])
        return
    yield compare_clock(public.url, health.headers.get("date"), asked)
    yield _health(health)
    yield _door(door)
    yield _walls(walls)
    yield _process(door, processes)


def _health(answer: Answer) -> Finding:
    if answer.status == HTTPStatus.OK and _json(answer).get("status") == "ok":
        sentence = f"GET /healthz answered 200 in {answer.seconds * 1000:.0f} ms"
        late, lame = answer.seconds > _HUNG_UP_SECONDS, answer.seconds > _SLOW_SECONDS
        advice = "The way or the service is slow: senders hang up after 2 s."
        return graded("public_health", sentence, advice, bad=late, doubtful=lame)
    sentence = f"GET /healthz answered {_shown(answer)}"
    if answer.status == HTTPStatus.NOT_FOUND:
        return warning("public_health", sentence, "All right if a proxy forwards postbacks only; then see public_door.")
    advice = "Senders follow no redirect and take anything but 2xx for a failure: send them to the service itself."
    return wrong("public_health", sentence, advice)


def _ask_door(public: _PublicUrl) -> Answer:
    """Ask with methods that no door takes. Some proxies answer OPTIONS themselves; they leave HEAD alone."""
    answer = public.ask("/postback", "OPTIONS")
    return answer if _is_ours(answer) else public.ask("/postback", "HEAD")


def _is_ours(answer: Answer) -> bool:
    methods = {method.strip() for method in answer.headers.get("allow", "").split(",")}
    return answer.status == HTTPStatus.METHOD_NOT_ALLOWED and {"GET", "POST"} <= methods and bool(answer.process)


def _door(answer: Answer) -> Finding:
    if _is_ours(answer):
        return ok("public_door", "/postback is a door of this service (405 to OPTIONS or HEAD: nothing is stored)")
    advice = "Postbacks to this URL do not reach the service: look at the proxy's routes, and what it answers itself."
    return wrong("public_door", f"HEAD /postback answered {_shown(answer)} instead of our 405", advice)


def _walls(answer: Answer) -> Finding:
    if answer.status in (HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN, HTTPStatus.UNAUTHORIZED):
        return ok("public_walls", f"GET /metrics answered {answer.status}: the public side shows nothing but doors")
    if answer.status == HTTPStatus.OK and "postback_" in answer.text:
        advice = "Take the operator listener off the public URL (law 7): it must stay on a private address."
        return wrong("public_walls", "GET /metrics answered 200 with the service's metrics, to everybody", advice)
    advice = "A sender with a wrong path should get 404, and believes any 2xx: look at the proxy's default route."
    sentence = f"GET /metrics answered {_shown(answer)} instead of 404"
    return graded("public_walls", sentence, advice, bad=answer.status < HTTPStatus.BAD_REQUEST, doubtful=True)


def _process(door: Answer, processes: Collection[str]) -> Finding:
    if not (door.process and processes):
        return not_checked("public_process", "no request id tells which process answered")
    if door.process in processes:
        return ok("public_process", "the process behind the public URL is the one behind the operator URL")
    advice = "With several replicas this is normal; with one, the public URL leads somewhere else."
    return warning("public_process", "another process answers than the one behind the operator URL", advice)


def _probe(case: Case, public: _PublicUrl) -> Finding:
    """Send a postback without a value: 400 missing_value, with its hint, and kept as one rejected row."""
    click_id = f"{PROBE_CLICK_ID}-{secrets.token_hex(4)}"
    try:
        answer = public.ask(f"/postback?c={click_id}")
    except NoAnswer as reason:
        return wrong("probe", f"a postback got no answer: {reason}", "Senders get none either: see public_health.")
    said, expected = answer.headers.get("x-postback-outcome", ""), Outcome.MISSING_VALUE
    if answer.status == HTTPStatus.UNAUTHORIZED and said == Outcome.UNAUTHENTICATED.value:
        if case.requires_keys():
            return _kept(case, answer, f"{click_id} without an API key was answered 401 unauthenticated")
        return wrong("probe", f"senders are refused: {_json(answer).get('detail')}", Outcome.UNAUTHENTICATED.hint)
    if (answer.status, said) != (expected.status, expected.value) or not _json(answer).get("hint"):
        advice = "This is not how the service answers: something on the way rewrites answers, or requests."
        return wrong("probe", f"a postback without a value was answered {_shown(answer)}", advice)
    return _kept(case, answer, f"{click_id} without a value was answered 400 missing_value with its hint")


def _kept(case: Case, answer: Answer, answered: str) -> Finding:
    try:
        with case.audit() as audit:
            kept = audit.holds(answer.headers.get("x-request-id", ""))
    except StorageError as error:
        return not_checked("probe", f"{answered}; whether it is kept cannot be read: {error}")
    if not kept:
        advice = "The public URL leads to a service with another database."
        return wrong("probe", f"{answered}, but it is not kept in {case.database.name}", advice)
    return ok("probe", f"{answered}, and is kept in rejected_postback")


def _json(answer: Answer) -> dict[str, object]:
    try:
        found = json.loads(answer.text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _shown(answer: Answer) -> str:
    text = "".join(character if character.isprintable() else " " for character in answer.text[:_SHOWN])
    where = f" to {answer.headers['location'][:_SHOWN]}" if "location" in answer.headers else ""
    return f"{answer.status}{where} {' '.join(text.split())!r}"
