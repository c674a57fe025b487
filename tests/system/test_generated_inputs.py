"""Owns the proof that no input gets a 5xx, and that whatever is answered `stored` is stored as it was sent."""

import json
import re
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.support.outside.harness import Service
from tests.support.outside.inputs import ANY_BYTES, INPUTS, Input, Pairs
from tests.support.outside.wire import Answer, Wire, request

pytestmark = [pytest.mark.system, pytest.mark.faults, pytest.mark.proof]

FIELDS = {"c": "click_id", "value": "value", "currency": "currency", "goal": "goal"} | dict.fromkeys(
    ("transaction_id", "txid"), "transaction_id"
)
WARM_UP = [  # every kind of answer once, so that every series exists
    *(Input(method, query) for method in ("GET", "POST") for query in (b"c=warm&value=1", b"c=warm&value=x")),
    Input("POST", b"", "text/html", b"c=warm"),
    Input("POST", b"c=warm&value=1", "text/html", b"c=warm"),  # whose body is not read
    *(Input(method, b"c=warm&value=1") for method in ("HEAD", "OPTIONS", "PUT", "DELETE", "PATCH")),
]


class Teller:
    """Sends inputs over one connection, checks each answer, and remembers what was answered."""

    def __init__(self, service: Service) -> None:
        self.outcomes: Counter[str] = Counter()
        self.sent = 0
        self._service = service
        self._wire = Wire(service.public)

    def close(self) -> None:
        """Hang up."""
        self._wire.socket.close()

    def tell(self, template: Input) -> None:
        """Send one input and check what is answered, and what is stored."""
        self.sent += 1
        sent = template.numbered(self.sent)
        answer = self._exchange(sent)
        assert answer.status < 500
        if sent.method not in ("GET", "POST"):
            assert (answer.status, answer.outcome) in ((405, None), (405, "unknown_path"))  # kept if it names a click
        if answer.outcome:
            self.outcomes[answer.outcome] += 1
        if answer.outcome == "stored":
            assert expected(sent.pairs()) == stored(self._service, answer)

    def _exchange(self, sent: Input) -> Answer:
        answer = self._wire.exchange(sent.as_bytes())
        if answer.headers.get("connection") == "close":  # what no HTTP parser takes ends the connection
            self.close()
            self._wire = Wire(self._service.public)
        return answer


def bare(text: str) -> str:
    """Return a text without the white space around it."""
    return re.sub(r"^[\s\u200b\u2060\ufeff]+|[\s\u200b\u2060\ufeff]+$", "", text)


def expected(pairs: Pairs) -> dict[str, object]:
    """Return what a conversion must hold that was sent as these parameters: of a field, the first that is not empty."""
    sent: dict[str, str] = {}
    params: dict[str, object] = {}
    for name, text in pairs:
        if name in FIELDS:
            if not bare(sent.get(name, "")) or (name == "value" and sent[name] == "NaN" and bare(text)):
                sent[name] = text
        else:
            earlier = params.get(name, [])
            params[name] = [*(earlier if isinstance(earlier, list) else [earlier]), text] if name in params else text
    row: dict[str, str] = {}
    for name, field in FIELDS.items():
        if bare(sent.get(name, "")):
            if field in row:
                params[name] = sent[name]
            if field not in row and field in ("click_id", "goal", "transaction_id"):
                params |= {name: sent[name]} if bare(sent[name]) != sent[name] else {}
                sent[name] = bare(sent[name])
            row.setdefault(field, sent[name])
    code = row.get("currency", "").strip(" ").upper() or None
    if code != row.get("currency"):
        params["currency"] = row["currency"]
    micros = round(Decimal(row["value"].strip(" ")).scaleb(6))  # half to even
    return {"goal": "", "transaction_id": "", **row, "currency": code, "params": params, "value_micros": micros}


def stored(service: Service, answer: Answer) -> dict[str, object]:
    """Return the conversion that this answer says was stored."""
    ((*fields,),) = service.sql(
        "SELECT click_id, goal, transaction_id, value, currency, params, value_micros "
        "FROM conversion WHERE request_id = ?",
        answer.request_id,
    )
    names = ("click_id", "goal", "transaction_id", "value", "currency", "params", "value_micros")
    row = dict(zip(names, fields, strict=True))
    return row | {"params": json.loads(str(row["params"]))}


def test_no_input_is_answered_5xx_and_what_is_stored_is_what_was_sent(
    tmp_path: Path,
    form: str,
    figures: Callable[[str], None],
) -> None:
    with Service(tmp_path) as service, closing(Teller(service)) as teller:
        for template in WARM_UP:
            teller.tell(template)
        service.metrics()  # the scrape has series of its own, from the second on
        series = len(service.metrics())

        @settings(
            max_examples=100_000 if form == "long" else 2_000,
            derandomize=form == "short",
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(INPUTS)
        def tell(template: Input) -> None:
            teller.tell(template)

        tell()
        figures(f"{teller.sent} inputs, no 5xx, {dict(teller.outcomes)}")
        assert len(service.metrics()) == series
        assert service.metrics().by_label("postback_received_total", "outcome") == teller.outcomes
        assert kept(service) == teller.outcomes


def kept(service: Service) -> dict[str, int]:
    """Return how many postbacks of each outcome the database holds."""
    rows = service.sql(
        "SELECT 'stored', count(*) FROM conversion UNION ALL SELECT 'duplicate', count(*) FROM duplicate "
        "UNION ALL SELECT outcome, count(*) FROM rejected_postback GROUP BY outcome"
    )
    return {str(outcome): int(str(count)) for outcome, count in rows if count}


def test_bytes_that_are_no_http_harm_nobody(tmp_path: Path, form: str) -> None:
    with Service(tmp_path) as service:

        @settings(
            max_examples=5_000 if form == "long" else 200,
            derandomize=form == "short",
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(ANY_BYTES)
        def tell(sent: bytes) -> None:
            assert not [status for status in statuses(service, sent) if status >= 500]

        tell()
        assert service.postback("afterwards").outcome == "stored"
        counted = service.metrics().by_label("postback_received_total", "outcome")
        assert kept(service) == counted


def statuses(service: Service, sent: bytes) -> list[int]:
    """Send bytes, and nothing after them; return the status of every answer."""
    with Wire(service.public) as wire:
        received = bytearray()
        with suppress(ConnectionError):
            wire.send(sent)
            wire.socket.shutdown(socket.SHUT_WR)
            while data := wire.socket.recv(65536):
                received += data
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]


def test_a_raw_hash_sign_does_not_make_one_conversion_of_two(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        answers = [service.get(f"/postback?value=1&c=order#{number}") for number in (1, 2)]
        accepted = [answer for answer in answers if answer.status == 200]
        assert [answer.outcome for answer in accepted] == ["stored"] * len(accepted)


def test_raw_bytes_beyond_ascii_in_a_query_get_their_outcome(tmp_path: Path) -> None:
    """Not allowed in HTTP, and sent all the same: with a parser's bare 400 nobody would ever hear of them."""
    with Service(tmp_path) as service, Wire(service.public) as wire:
        accepted = wire.exchange(request("/postback?c=caf\u00e9&value=1&sub=\u65e5"))
        broken = wire.exchange(request(b"/postback?c=caf\xe9&value=1"))
        posted = wire.exchange(request("/postback?c=\u00fc", method="POST", body="value=1&sub=\u00e4".encode()))
        outcomes = [answer.outcome for answer in (accepted, broken, posted)]
        assert outcomes == ["stored", "invalid_encoding", "stored"]  # the posted body kept its length
        assert wire.exchange(request("/postback?c=after&value=1")).outcome == "stored"
        stored = service.sql("SELECT click_id, params FROM conversion WHERE click_id <> 'after'")
        assert stored == [("caf\u00e9", '{"sub":"\u65e5"}'), ("\u00fc", '{"sub":"\u00e4"}')]
        assert service.sql("SELECT raw FROM rejected_postback ORDER BY id") == [
            (b"GET /postback?c=caf%E9&value=1",),
        ]
