"""What rows of a batch begin with alike, on every engine: kept once, read back whole, and gone with its last row."""

from dataclasses import replace
from datetime import timedelta

import pytest

from service.core.bodies import CSV
from service.core.mentions import Texts
from service.core.outcome import Outcome
from service.core.postback import Rejection
from service.storage.deletions.book import Reason
from service.storage.erasure import Whose
from service.storage.ledger import Ledger
from service.storage.reads.quarantine import Chosen
from service.storage.schema.tables import RejectedPostback
from tests.storage.share_figures import figures
from tests.support import builders
from tests.support.engines import Engine

HEADER = b"click_id,value," + b",".join(b"column_%03d" % number for number in range(150)) + b",ada@example.com"
LATER = builders.RECEIVED_AT.replace(year=2099)


def row(number: int, header: bytes = HEADER, sender: str = "ezmob", batch: str = "a" * 32) -> Rejection:
    changes = {"door": "batch", "path": "/postbacks", "request_id": f"{batch}-{number}"}
    raw = builders.posted(header + b"\nclick-%d,x" % number, CSV, **changes)
    return Rejection(raw, sender, Outcome.INVALID_VALUE, "", f"click-{number}")


def contents(engine: Engine) -> int:
    return int(str(engine.rows("SELECT count(*) FROM shared_input")[0][0]))


@pytest.fixture
def batch(ledger: Ledger) -> list[Rejection]:
    """Keep the rows of a batch, in two commits."""
    sent = [row(number) for number in range(1, 101)]
    ledger.commit(sent[:50])
    ledger.commit(sent[50:])
    return sent


def test_a_header_is_kept_once_and_each_row_is_read_back_as_it_was_sent(engine: Engine, batch: list[Rejection]) -> None:
    ((longest,),) = engine.rows("SELECT max(length(raw)) FROM rejected_postback")
    assert (contents(engine), int(str(longest)) < 20) == (1, True)
    found = [one for page in engine.database.quarantine().pages(Chosen(), oldest_first=True) for one in page]
    assert sorted(one.raw for one in found) == sorted(one.raw.as_sent() for one in batch)
    one = engine.database.quarantine().one(batch[7].raw.request_id)
    assert one
    assert one.raw == batch[7].raw.as_sent()


def test_it_is_in_its_senders_share_and_no_other_senders(
    engine: Engine, ledger: Ledger, batch: list[Rejection]
) -> None:
    assert figures(engine) == {"ezmob": measured(engine, "ezmob")}
    ledger.commit([row(1, sender="acme", batch="b" * 32)])
    assert contents(engine) == 2
    assert figures(engine)["acme"] == measured(engine, "acme")
    assert len(batch) * 1000 > figures(engine)["ezmob"]


def measured(engine: Engine, sender: str) -> int:
    sizes = (f"SELECT sum(length({column}) + 500) FROM {table} WHERE sender = '{sender}'" for column, table in KEPT)  # noqa: S608 - our own
    return sum(int(str(engine.rows(size)[0][0])) for size in sizes)


KEPT = (("raw", "rejected_postback"), ("content", "shared_input"))


def test_a_short_beginning_and_what_is_no_row_stay_as_they_are(engine: Engine, ledger: Ledger) -> None:
    whole = row(1)
    ledger.commit([row(1, b"click_id,value"), replace(whole, raw=whole.raw._replace(request_id="c" * 32))])
    assert contents(engine) == 0


def test_what_stands_in_the_shared_part_is_found_and_erased_with_all_its_rows(
    engine: Engine, batch: list[Rejection]
) -> None:
    texts = Texts(["ada@example.com"], personal=True)
    found = [one for some in engine.database.search().rejected(texts, lambda _: None) for one in some]
    assert len(found) == len(batch)
    erasure = engine.database.erasure()
    whose = Whose((), "ada@example.com")
    erasure.erase(whose, erasure.find(whose, lambda _: None), "me", builders.RECEIVED_AT)
    assert (engine.rows("SELECT count(*) FROM rejected_postback"), contents(engine)) == ([(0,)], 0)
    assert figures(engine) == {}


def test_it_goes_when_no_row_begins_with_it_any_more_and_nobody_used_it_just_now(
    engine: Engine, batch: list[Rejection]
) -> None:
    deletions = engine.database.deletions()
    found = deletions.old(RejectedPostback, LATER)
    deletions.remove(RejectedPostback, found.ids[:-1], Reason.AGE, builders.RECEIVED_AT)
    deletions.forget_unused(LATER)
    assert contents(engine) == 1
    deletions.remove(RejectedPostback, found.ids, Reason.AGE, builders.RECEIVED_AT)
    deletions.forget_unused(builders.RECEIVED_AT - timedelta(days=999))
    assert contents(engine) == 1
    deletions.forget_unused(LATER)
    assert contents(engine) == 0
    assert len(batch) == 100


def test_going_back_gives_each_row_its_whole_input(engine: Engine, ledger: Ledger, batch: list[Rejection]) -> None:
    ledger.close()
    engine.database.close()
    engine.database.migrations().down("0009")
    hexadecimal = "encode(raw, 'hex')" if engine.kind == "postgres" else "lower(hex(raw))"
    rows = engine.rows(f"SELECT {hexadecimal} FROM rejected_postback")  # noqa: S608 - our own
    assert sorted(str(raw) for (raw,) in rows) == sorted(one.raw.as_sent().hex() for one in batch)
    engine.database.migrations().up()
    ledger.open()
