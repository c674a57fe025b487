"""Seen from outside: who may send a batch is judged before its body, so nobody waits for the bodies of strangers."""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from select import select

import pytest

from tests.support.outside.harness import Service, resident_kib, wait_for
from tests.support.outside.registering import NDJSON, done, posted, told
from tests.support.outside.signing import webhook
from tests.support.outside.wire import Answer, HungUp, Wire, request

pytestmark = pytest.mark.system

LARGE = 16 * 2**20
GROWTH_KIB = 64 * 1024  # the room is 32 MiB
ROW = b'{"c":"%b","value":1}\n'
WRONG = "whsec_q/Zt0+VhY1b2c3d4e5f6g7h8i9j0KkLlMmNnOoPpQq8="


@dataclass
class Registered:
    """A service, the keys of two senders, and the key and the secret of a third."""

    service: Service
    key: str
    other_key: str
    signing_key: str
    secret: str

    def keyed(self, name: str, key: str | None = None) -> Answer:
        """Send a batch of one row with a key."""
        return self.sent(posted("/postbacks", ROW % name.encode(), NDJSON, {"X-API-Key": key or self.key}))

    def signed(self, name: str) -> Answer:
        """Send a batch of one row, signed."""
        body = ROW % name.encode()
        headers = webhook(self.secret, body, time.time(), NDJSON)
        return self.sent(request("/postbacks", method="POST", headers=headers, body=body))

    def sent(self, asked: bytes) -> Answer:
        """Send a request on a connection of its own."""
        with Wire(self.service.public) as wire:
            return wire.exchange(asked)

    def signed_with_a_key(self, name: str) -> Answer:
        """Send a batch of one row, signed, with the key of its sender beside it."""
        body = ROW % name.encode()
        headers = {**webhook(self.secret, body, time.time(), NDJSON), "X-API-Key": self.signing_key}
        return self.sent(request("/postbacks", method="POST", headers=headers, body=body))

    def begun(self, headers: Mapping[str, str], size: int, held: ExitStack) -> Wire:
        """Begin a batch of 16 MiB, and send so much of it."""
        wire = held.enter_context(Wire(self.service.public, timeout=30))
        given = {"Content-Type": NDJSON, **headers, "Content-Length": str(LARGE)}
        wire.send(request("/postbacks", method="POST", headers=given) + b" " * size)
        return wire


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registered]:
    """Start a service."""
    path = tmp_path_factory.mktemp("batches")
    url = f"sqlite:///{path / 'p.db'}"
    for name in ("acme", "signing"):
        done(path, url, "senders", "add", name)
    key, other, third = (str(told(path, url, "keys", "create", name)["key"]) for name in ("ezmob", "acme", "signing"))
    secret = str(told(path, url, "secrets", "create", "signing")["secret"])
    with Service(path) as service:
        yield Registered(service, key, other, third, secret)


def outcomes(answers: list[Answer]) -> list[str]:
    """Return what became of the rows of each."""
    return [answer.headers.get("x-postback-outcomes") or str(answer.outcome) for answer in answers]


@pytest.mark.proof
@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "pbk_abcdefghijkl_wrong"}], ids=["no key", "a wrong key"])
def test_a_stranger_is_answered_before_he_sends_the_body_and_what_came_of_it_is_kept(
    registered: Registered, headers: Mapping[str, str]
) -> None:
    with ExitStack() as held:
        wire = registered.begun(headers, 0, held)
        answer = wire.answer()
        assert (answer.status, answer.outcome) == (401, "unauthenticated")
        wire.send(b" " * LARGE)  # what still comes is thrown away, and then the connection goes on
        assert wire.exchange(request("/healthz")).status == 200
        started = registered.begun(headers, 1000, held)
        request_id = started.answer().request_id
    ((raw,),) = registered.service.sql("SELECT raw FROM rejected_postback WHERE request_id = ?", request_id)
    head = f"POST /postbacks\r\ncontent-type: {NDJSON}\r\nx-incomplete: true\r\n\r\n".encode()
    assert raw == head + b" " * 1000


@pytest.mark.proof
def test_who_may_not_send_is_told_so_before_he_sends(registered: Registered) -> None:
    directory, url = registered.service.directory, registered.service.database_url
    pixel = told(directory, url, "keys", "create", "acme", "--door", "pixel")["key"]
    wait_for(lambda: registered.keyed("soon", pixel).status == 403 or None, 30, every=0.3)  # it reads who is registered
    with ExitStack() as held:
        answer = registered.begun({"X-API-Key": pixel}, 10, held).answer()
    assert (answer.status, answer.outcome) == (403, "forbidden")


def test_a_client_that_asks_whether_to_send_is_told_to_only_if_he_may(registered: Registered) -> None:
    expecting = {"Content-Type": NDJSON, "Expect": "100-continue", "Content-Length": str(len(ROW % b"e"))}
    head = request("/postbacks", method="POST", headers=expecting)
    with Wire(registered.service.public) as wire:
        assert wire.exchange(head).status == 401
        with pytest.raises(HungUp):
            wire.answer()
    with Wire(registered.service.public) as wire:
        known = request("/postbacks", method="POST", headers={**expecting, "X-API-Key": registered.key})
        assert wire.exchange(known).status == 100
        assert outcomes([wire.exchange(ROW % b"e")]) == ["stored=1"]


@pytest.mark.parametrize("size", [1000, LARGE - 1])
def test_strangers_who_send_slowly_take_no_room(registered: Registered, size: int) -> None:
    with ExitStack() as held:
        strangers = [registered.begun({}, size, held) for _ in range(4)]
        assert {wire.answer().status for wire in strangers} <= {401, 429}
        came = [registered.keyed(f"beside-{size}-{number}") for number in range(10)]
        assert outcomes(came) == ["stored=1"] * 10
        assert outcomes([registered.signed(f"signed-{size}")]) == ["stored=1"]


def test_bad_signatures_crowd_out_neither_good_ones_nor_keys(registered: Registered) -> None:
    with ExitStack() as held:
        for _ in range(4):
            registered.begun(webhook(WRONG, b"", time.time(), NDJSON), LARGE - 1, held)
        came = [registered.keyed(f"beside-bad-{number}") for number in range(5)]
        came += [registered.signed(f"good-{number}") for number in range(5)]
        came += [registered.signed_with_a_key(f"both-{number}") for number in range(5)]
        assert outcomes(came) == ["stored=1"] * 15


def test_who_sends_slowly_and_shows_a_key_is_not_pushed_out_by_strangers(registered: Registered) -> None:
    body = ROW % b"slow" + b" " * (LARGE - len(ROW % b"slow"))
    headers = {**webhook(registered.secret, body, time.time(), NDJSON), "X-API-Key": registered.signing_key}
    with ExitStack() as held:
        wire = held.enter_context(Wire(registered.service.public, timeout=30))
        wire.send(request("/postbacks", method="POST", headers={**headers, "Content-Length": str(LARGE)}) + body[:-1])
        for _ in range(6):
            registered.begun(webhook(WRONG, b"", time.time(), NDJSON), LARGE - 1, held)
        wire.send(body[-1:])
        assert outcomes([wire.answer()]) == ["stored=1"]


@pytest.mark.proof
def test_the_bodies_of_strangers_do_not_pile_up(registered: Registered) -> None:
    """Nobody waits for the garbage collector: thirty bodies would take half a gigabyte."""
    before, headers = resident_kib(registered.service.pid), webhook(WRONG, b"", time.time(), NDJSON)
    for _ in range(30):
        with ExitStack() as held:
            wire = registered.begun(headers, LARGE, held)
            assert wire.answer().status in {401, 429}
    assert resident_kib(registered.service.pid) - before < GROWTH_KIB
    assert outcomes([registered.signed("after")]) == ["stored=1"]


def test_a_sender_who_takes_half_of_the_room_leaves_the_rest_to_others(registered: Registered) -> None:
    with ExitStack() as held:
        mine = [registered.begun({"X-API-Key": registered.key}, LARGE - 1, held) for _ in range(3)]
        (refused,), _, _ = select([wire.socket for wire in mine], [], [], 10)
        own = next(wire for wire in mine if wire.socket is refused)
        answer = own.answer()
        assert (answer.status, answer.outcome, answer.headers["retry-after"]) == (503, "overloaded", "1")
        assert outcomes([registered.keyed("another's", registered.other_key)]) == ["stored=1"]
        mine.remove(own)
        for wire in mine:
            wire.send(b"\n")
        assert outcomes([wire.answer() for wire in mine]) == ["malformed_body"] * 2
    assert outcomes([registered.keyed("room-again")]) == ["stored=1"]
    assert registered.service.metrics().by_label("postback_conservation_drift", "check") == {}
