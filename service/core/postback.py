"""Owns what a postback is: the raw input, the parsed fact, and what is kept of one that was not accepted."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Literal, NamedTuple, get_args
from urllib.parse import unquote

from service.core.legible import legible
from service.core.lifecycle import Status
from service.core.outcome import Diagnosis, Outcome

Door = Literal["postback", "pixel", "batch", "import", "replay"]
DOOR_NAMES: tuple[Door, ...] = get_args(Door)

POSTBACK_PATHS = ("/postback", "/conversion")  # the guide's path and EZmob's own: the same door
PIXEL_PATH = "/pixel.gif"  # the guide's alternative, called by browsers
BATCH_PATH = "/postbacks"
HEALTH_PATH = "/healthz"
DOORS: Mapping[str, Door] = {**dict.fromkeys(POSTBACK_PATHS, "postback"), PIXEL_PATH: "pixel", BATCH_PATH: "batch"}
NO_STATUS = "the conversion is known, and "  # begins the detail of a status word that was judged by what is stored
METHODS: Mapping[Door, tuple[str, ...]] = {"postback": ("GET", "POST"), "pixel": ("GET",), "batch": ("POST",)}
NO_METHOD = "there is no method "  # begins the detail of what came to a door by a method that it does not take
MAX_KEPT_BYTES = 64 * 1024  # of a URL or body that is too large to accept
INCOMPLETE = b"x-incomplete"  # our own header in what is kept: the body is not whole
TEST_KEY = b"x-test-key"  # another of ours: what proved its sender was a test key

TEST = "test"  # this parameter, from any sender, marks a postback that must not be counted as real
TEST_VALUES = ("1", "true", "yes", "on")  # small and capital letters are the same

Params = Mapping[str, str | list[str]]
ConversionKey = tuple[str, bool, str, str, str]


def says_test(sent: str | list[str]) -> bool:
    """Tell whether one of the marks that were sent makes it a test: in doubt it counts nowhere."""
    return any(text.strip().lower() in TEST_VALUES for text in ([sent] if isinstance(sent, str) else sent))


class RawPostback(NamedTuple):
    """What arrived at a door, not yet parsed. A tuple, because one is made for every request.

    `complete` is False when the sender hung up before the end of the body; `forwarded` says that a proxy was involved.
    `is_test`: it came with a test key, so it is a test whatever it says of itself.
    """

    door: Door
    method: str
    path: str
    query: bytes
    content_type: str
    content_encoding: str
    body: bytes
    complete: bool
    host: bytes
    forwarded: bool
    client_ip: str
    received_at: datetime
    request_id: str
    trace_id: str
    is_test: bool = False

    def as_sent(self) -> bytes:
        """Return the input as an HTTP message's bytes: request line, what describes the body, the body.

        An incomplete body (cut here, or cut when it came) is marked as such, so no replay takes it for a whole one.
        What came with a test key is marked as well, in the head, where no sender can write.
        """
        line = f"{self.method} {self.path}".encode("utf-8", "surrogateescape")
        if self.query:
            line += b"?" + self.query[:MAX_KEPT_BYTES]
        if not self.body and self.complete and not self.is_test:
            return line
        head = b"\r\ncontent-type: " + self.content_type.encode("latin-1", "replace")
        if self.content_encoding:
            head += b"\r\ncontent-encoding: " + self.content_encoding.encode("latin-1", "replace")
        body = self.legible()
        if not self.complete or max(len(self.body), len(body)) > MAX_KEPT_BYTES:
            head += b"\r\n" + INCOMPLETE + b": true"
        if self.is_test:
            head += b"\r\n" + TEST_KEY + b": true"
        return line + head + b"\r\n\r\n" + body[:MAX_KEPT_BYTES]

    def legible(self) -> bytes:
        """Return what is kept of the body: one that was packed is unpacked, though its head still says how it came."""
        return legible(self.body[: MAX_KEPT_BYTES + 1], self.content_encoding, MAX_KEPT_BYTES + 1)


class Postback(NamedTuple):
    """A valid postback: `value` is the text as sent, `value_micros` the same amount in millionths, exact everywhere.

    `status_parameter` names the one of `params` that says a status in a word that its sender has not set up.
    """

    raw: RawPostback
    sender: str
    is_test: bool
    click_id: str
    goal: str
    transaction_id: str
    value: str
    value_micros: int
    currency: str | None
    params: Params
    diagnosis: Diagnosis | None = None  # what looks odd in it, although it was accepted
    conversion_status: Status | None = None  # None: none was sent, or none that is known
    status_parameter: str | None = None

    @property
    def key(self) -> ConversionKey:
        """The identity of the conversion (law 3): the same key is the same conversion."""
        return (self.sender, self.is_test, self.click_id, self.goal, self.transaction_id)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A postback that was not accepted, as it is kept; `click_id` is the one it claimed, if that could be read.

    `hint` is what its sender should do, in its own names; nothing where the outcome says that.
    """

    raw: RawPostback
    sender: str | None
    outcome: Outcome
    detail: str
    click_id: str | None
    diagnosis: Diagnosis | None = None
    is_test: bool = False
    retry_after: int = 1  # seconds
    key_id: str | None = None  # of the key that was shown, where the sender was refused
    hint: str = ""
    value: str | None = None  # what was sent as such, for the log line
    sampled_out: bool = False  # a stranger's, of which too much comes: it is counted, and not kept

    @property
    def came_from(self) -> str | None:
        """The address that tells whose it may be, where the sender was refused; a pixel's is a visitor's, so none."""
        refused = self.sender is None or self.outcome in _REFUSED
        return self.raw.client_ip or None if refused and self.raw.door != "pixel" else None


_REFUSED = frozenset({Outcome.UNAUTHENTICATED, Outcome.FORBIDDEN})


def door_path(path: str) -> str | None:
    """Return the door's path that a path means; None: it means no door.

    Slashes at its end or doubled, and upper case, make no difference: people paste URLs together.
    """
    return _DOOR_PATHS.get("/".join(filter(None, path.lower().split("/"))))


_DOOR_PATHS = {path[1:]: path for path in DOORS}


def missed_door(method: str, path: str) -> str | None:
    """Say why a request reaches no door; None: it reaches one. `path` is as it was sent."""
    means = door_path(unquote(path))
    if means is None:
        return f"there is no door at {path[:80]!a}"
    taken = METHODS[DOORS[means]]
    return None if method in taken else f"{NO_METHOD}{method[:20]} at {means}: it takes {' and '.join(taken)}"


def is_whole_batch(door: str, request_id: str) -> bool:
    """Tell whether it is a batch as a whole, which is answered so if it was refused; the request id of a row has -N."""
    return door == "batch" and "-" not in request_id


def sent_status(door: str, outcome: Outcome, request_id: str = "", detail: str = "") -> int:
    """Return the HTTP status that a door sends: a pixel's is always 200, because a browser must not show an error.

    What came by another method has the outcome of what came by another path, and 405.
    """
    if detail and outcome is Outcome.UNKNOWN_PATH and detail.startswith(NO_METHOD):
        return HTTPStatus.METHOD_NOT_ALLOWED.value
    if door == "postback":  # most are
        return outcome.status
    if door == "pixel":
        return 200
    return outcome.whole_status if is_whole_batch(door, request_id) else outcome.status


def answered(outcome: Outcome, detail: str, *, drained: bool) -> Outcome:
    """Return the outcome that the sender was told: `spooled`, if it was judged only when it left the spool.

    A status word that is not set up is judged by what is stored, or before, of a sender that wants it rejected.
    """
    judged = outcome.acknowledged or (outcome is Outcome.INVALID_STATUS and detail.startswith(NO_STATUS))
    return Outcome.SPOOLED if drained and judged else outcome


def answered_status(door: str, outcome: Outcome, request_id: str, detail: str = "") -> int | None:
    """Return the HTTP status of the answer; None for an import or a replay, which have no HTTP answer."""
    return None if door in {"import", "replay"} else sent_status(door, outcome, request_id, detail)
