"""Two engines, one truth: whatever is sent, both accept and reject the same, store the same, and answer the same."""

import json
import random
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.core.outcome import Rejected
from service.core.parameters import MAX_BODY_BYTES, claimed
from service.core.parsing import claimed_click_id, parse
from service.core.postback import Postback, RawPostback, Rejection
from service.core.presets import EZMOB
from service.core.verdict import Entry, Verdict
from service.storage.ledger import Ledger
from tests.support import builders
from tests.support.engines import Engine, Row
from tests.support.outside.postgres import PostgresServer

EXAMPLES = 60
_TABLES = {
    "conversion": "sender, is_test, click_id, goal, transaction_id, value, value_micros, currency, "
    "CAST(params AS text), received_at, request_id, door, conversion_status",
    "status_change": "sender, is_test, click_id, goal, transaction_id, number, conversion_status, value, value_micros, "
    "currency, CAST(params AS text), received_at, request_id, door",
    "duplicate": "sender, is_test, click_id, goal, transaction_id, received_at, request_id, door",
    "rejected_postback": "received_at, door, sender, outcome, detail, click_id, raw, request_id",
}


class Both:
    """A ledger of each engine, and what both were told."""

    def __init__(self, engines: tuple[Engine, Engine], ledgers: tuple[Ledger, Ledger]) -> None:
        self.engines = engines
        self._ledgers = ledgers
        self._numbers = count()

    def commit(self, entries: list[Entry]) -> tuple[list[Verdict], list[Verdict]]:
        """Commit to both; return the verdicts of each."""
        first, second = (ledger.commit(entries) for ledger in self._ledgers)
        assert first.rows == second.rows
        return first.verdicts, second.verdicts

    def rows(self, table: str, last: int) -> tuple[list[Row], list[Row]]:
        """Return each engine's newest rows."""
        statement = f"SELECT {_TABLES[table]} FROM {table} ORDER BY request_id DESC LIMIT {last}"  # noqa: S608 - ours
        first, second = (engine.rows(statement) for engine in self.engines)
        return first, second

    def sender(self) -> str:
        """Return a name that nobody had before: its conversions start from nothing."""
        return f"sender-{next(self._numbers)}"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, server: PostgresServer) -> Iterator[Both]:
    sqlite = Engine(f"sqlite:///{tmp_path_factory.mktemp('agreement') / 'p.db'}")
    postgres = Engine(server.url(server.new_database("migrated")))
    with ExitStack() as stack:
        ledgers = (sqlite.database.ledger(), postgres.database.ledger())
        for ledger in ledgers:
            ledger.open()
            stack.enter_context(closing(ledger))
        yield Both((sqlite, postgres), ledgers)


def understood(raw: RawPostback, sender: str) -> Entry:
    """Do what intake does before storage."""
    try:
        return parse(raw, EZMOB)._replace(sender=sender)
    except Rejected as rejected:
        return Rejection(raw, sender, rejected.outcome, rejected.detail, claimed_click_id(claimed(raw), EZMOB))


def assert_agreement(both: Both, entries: list[Entry]) -> None:
    first, second = both.commit(entries)
    assert first == second
    for table in _TABLES:
        sqlite, postgres = both.rows(table, len(entries))
        assert sqlite == postgres


_TEXTS = st.one_of(
    st.sampled_from(
        ["a", "A", "b", "", "click-1", "é", "e\u0301", "ß", "ss", "İ", "i", "😀", "\U0010ffff", "%", "\\", "'"]
    ),
    st.text(max_size=40),
)
_BYTES = st.one_of(_TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")), st.binary(max_size=12))
_VALUES = st.sampled_from(
    [b"1", b"1.50", b"1.5", b"-0", b"0", b"999999999999.999999", b"-999999999999.999999", b"x", b"", b"1e3"]
)
_NAMES = st.sampled_from([b"goal", b"txid", b"currency", b"conversion_status", b"x", b"y", b"\xc3\xa9"])
_STATUSES = st.sampled_from([b"pending", b"lead", b"approved", b"SALE", b"rejected", b"refunded", b"", b"maybe"])
_CURRENCIES = st.sampled_from([b"EUR", b"USD", b"eur", b"XXY"])


@st.composite
def queries(draw: st.DrawFn) -> RawPostback:
    """Draw a GET: few click ids, so that keys repeat, and anything in the rest."""
    pairs = [(b"c", draw(_BYTES)), (b"value", draw(_VALUES))]
    texts = {b"currency": _CURRENCIES, b"conversion_status": _STATUSES}
    pairs += [(name, draw(texts.get(name, _BYTES))) for name in draw(st.lists(_NAMES, max_size=3))]
    return builders.raw(b"&".join(name + b"=" + quote_from_bytes(text).encode() for name, text in pairs))


@st.composite
def bodies(draw: st.DrawFn) -> RawPostback:
    """Draw a POST of JSON: escapes that are no text, control characters, deep or broken documents."""
    members = {"c": draw(_TEXTS), "value": draw(st.sampled_from(["1", "1.5", 1, None])), draw(_TEXTS): draw(_TEXTS)}
    body = json.dumps(members, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    return builders.posted(body[: draw(st.integers(len(body) - 1, len(body)))])


@pytest.mark.proof
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(batches=st.lists(st.lists(st.one_of(queries(), bodies()), min_size=1, max_size=8), min_size=1, max_size=3))
def test_whatever_is_sent_both_engines_do_the_same(both: Both, batches: list[list[RawPostback]]) -> None:
    sender = both.sender()
    for batch in batches:
        assert_agreement(
            both, [understood(raw._replace(request_id=builders.raw().request_id), sender) for raw in batch]
        )


@pytest.mark.parametrize(
    "characters", [range(0x21, 0x7F), range(0xA1, 0x800), range(0x4E00, 0xA000), range(0x1F300, 0x1FB00)]
)
def test_the_longest_key_and_the_longest_claim_fit_into_both(both: Both, characters: range) -> None:
    """PostgreSQL's index rows hold 2,704 bytes; random text, because it compresses what repeats."""
    choose = random.Random(7)  # noqa: S311 - a repeatable text, not a secret
    width = len(chr(characters[0]).encode())

    def text(limit: int) -> str:
        return "".join(chr(choose.choice(characters)) for _ in range(limit // width))

    sent = builders.postback()._replace(
        sender="s" * 255, click_id=text(512), goal=text(255), transaction_id=text(255), params={"x": text(8000)}
    )
    claimed = builders.rejection(click_id=text(512 * width))
    assert_agreement(both, [sent, claimed])


@pytest.mark.parametrize(
    "raw",
    [
        *(
            builders.raw(f"c=a&value=1&{sent}")
            for sent in ("x=%00", "x=M%FC", "%FF=1", "x=%&x=1", "txid=5+", "currency=null")
        ),
        *(builders.posted(b'{"c":"a","value":1,"x":%b}' % text) for text in (b'"\\u0000"', b'"\\ud800"', b'"\xfc"')),
    ],
    ids=lambda raw: (raw.query or raw.body).decode("latin-1"),
)
def test_what_is_kept_as_it_was_sent_is_kept_by_both(both: Both, raw: RawPostback) -> None:
    entry = understood(raw, both.sender())
    assert isinstance(entry, Postback)
    assert entry.params
    assert_agreement(both, [entry])


def test_the_largest_input_is_kept_by_both_byte_for_byte(both: Both) -> None:
    body = bytes(range(256)) * (MAX_BODY_BYTES // 256)
    assert_agreement(both, [understood(builders.posted(body), both.sender())])


def test_both_sort_and_compare_texts_byte_by_byte(both: Both, tmp_path: Path) -> None:
    assert tmp_path
    sender = both.sender()
    texts = ["Z", "a", "B", "_", "é", "e", "ﬀ", "😀", "\uffff", "-", "10", "9"]
    both.commit([builders.postback()._replace(sender=sender, click_id=text) for text in texts])
    statement = f"SELECT click_id FROM conversion WHERE sender = '{sender}' AND click_id > 'B' ORDER BY click_id"  # noqa: S608
    first, second = (engine.rows(statement) for engine in both.engines)
    assert first == second == [(text,) for text in sorted(texts) if text > "B"]
