"""The search for what names a text, on every engine: through every stretch, and only what names it."""

import gzip
from collections.abc import Iterator
from datetime import timedelta
from itertools import chain

import pytest

from service.core.mentions import Texts
from service.core.outcome import Outcome
from service.core.postback import RawPostback, Rejection
from service.core.verdict import Entry
from service.storage.ledger import Ledger
from service.storage.reads.search import Naming
from tests.support import builders
from tests.support.engines import Engine

LATER = builders.RECEIVED_AT + timedelta(hours=1)
ROWS = 50


def nobody(_: int) -> None:
    """Hear of progress, and forget it."""


def rejections() -> Iterator[Entry]:
    for number in range(ROWS):
        raw = builders.raw(
            f"clickid=click-{number:03}&value=1", received_at=LATER if number >= ROWS // 2 else builders.RECEIVED_AT
        )
        yield Rejection(raw, None, Outcome.MISSING_CLICK_ID, "absent", None)


def found(pages: Iterator[list[Naming]]) -> list[str]:
    return sorted(one.text for one in chain.from_iterable(pages))


@pytest.mark.parametrize("stretch_rows", [7, ROWS, ROWS + 1])
def test_each_row_is_looked_at_once_however_long_a_stretch_is(
    engine: Engine, ledger: Ledger, stretch_rows: int
) -> None:
    ledger.commit(list(rejections()))
    ledger.commit([builders.postback(f"c=stored-{number}&value=1&x=click-{number:03}") for number in range(ROWS)])
    every = [f"click-{number:03}" for number in range(ROWS)]
    reads = engine.database.search(stretch_rows)
    assert found(reads.rejected(Texts(every), nobody)) == every
    assert found(reads.stored(Texts(every), nobody)) == every
    for click_id in every[:: ROWS // 4]:
        assert found(reads.rejected(Texts([click_id]), nobody)) == [click_id]
        assert found(reads.stored(Texts([click_id]), nobody)) == [click_id]
    assert found(reads.rejected(Texts(every), nobody, LATER)) == every[ROWS // 2 :]
    assert found(reads.rejected(Texts(every), nobody, LATER + timedelta(seconds=1))) == []
    assert found(reads.rejected(Texts(["", "click"]), nobody)) == []


def test_an_empty_database_has_nothing(engine: Engine, ledger: Ledger) -> None:
    assert ledger
    reads = engine.database.search()
    assert found(reads.rejected(Texts(["click-1"]), nobody)) == found(reads.stored(Texts(["click-1"]), nobody)) == []


ODD = [
    ("é-Jane@Example.com", "%C3%A9-Jane%40Example.com"),
    ("Jane@Example.com", "jane@example.COM"),
    ("jane doe", "Jane+Doe"),
    ("ÉMILE", "%C3%A9mile"),
    ("@@@@", "%40%40@@"),
    ("jane", "x%00jane"),
    ("jane@example.com", "jane@%65xample.com"),
]


@pytest.mark.parametrize(("text", "written"), ODD)
def test_a_persons_text_is_found_however_it_is_written(engine: Engine, ledger: Ledger, text: str, written: str) -> None:
    """The database passes over rows; none of those that name it may be among them."""
    raw = builders.raw(f"c=other-click&email={written}".encode())
    posted = builders.posted(f"\0email={written}".encode(), "application/x-www-form-urlencoded")
    ledger.commit([Rejection(one, None, Outcome.MISSING_VALUE, "absent", "other-click") for one in (raw, posted)])
    texts = Texts([text], personal=True)
    assert found(engine.database.search().rejected(texts, nobody)) == [text, text]
    if "%00" not in written:
        ledger.commit([builders.postback(f"c=other-click&value=1&email={written}")])
        assert found(engine.database.search().stored(texts, nobody)) == [text]


@pytest.mark.parametrize(
    "raw",
    [
        builders.posted(b'{"m":"\\u006aane"'),
        builders.posted(gzip.compress(b'{"m":"jane"}'), content_encoding="gzip"),
        builders.raw("m=%4aane"),
    ],
)
def test_what_is_written_otherwise_is_not_passed_over(engine: Engine, ledger: Ledger, raw: RawPostback) -> None:
    ledger.commit([Rejection(raw, None, Outcome.MALFORMED_BODY, "", None)])
    assert found(engine.database.search().rejected(Texts(["jane"], personal=True), nobody)) == ["jane"]
