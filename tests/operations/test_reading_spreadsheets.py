"""How a spreadsheet is read is part of its import, on every engine: nothing is stored twice, the rest is replayed."""

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from backports import zstd

from service.core.presets import EZMOB, PRESETS
from service.core.sender import Sender
from service.operations.errors import WrongValues
from service.operations.files.row_file import RowFile, UnreadableFile
from service.operations.files.spreadsheet.reading import Options
from service.operations.files.spreadsheet.saying import options_of
from service.operations.importing.file import ImportFile
from service.operations.replay_author import Author
from service.storage.ledger import Ledger
from service.storage.reads.conversions import Wanted
from service.storage.schema.tables import ImportedFile
from tests.support.engines import Engine
from tests.support.imported import imported, outcomes
from tests.support.replayed import replayed

PLAIN = b'c,value\na,1.50\nb,"1,5"\nc,$2\n'
GERMAN = "c;value;when;conversion_status\r\na;1.234,50 €;31.01.2026;lead0\r\nb;2,50 €;31.01.2026;\r\n".encode("cp1252")
KEITARO = PRESETS["keitaro"]
LEADS = replace(EZMOB, statuses={"lead0": "pending"})


def given(  # noqa: PLR0913 - what an import can be given
    tmp_path: Path,
    content: bytes,
    options: Options = Options(),  # noqa: B008 - it cannot be changed
    *,
    name: str = "sheet.csv",
    sender: Sender = EZMOB,
    moments: str | None = None,
) -> ImportFile:
    (tmp_path / name).write_bytes(content)
    return ImportFile(RowFile(tmp_path / name, "csv"), moments, sender=sender, options=options)


def test_what_versions_before_could_read_has_the_names_that_they_gave_it(tmp_path: Path) -> None:
    named = hashlib.sha256(b"import csv ezmob point \n" + PLAIN).hexdigest()[:32]
    assert given(tmp_path, PLAIN).request_id == named


@pytest.mark.parametrize(
    ("options", "same"),
    [
        (Options(delimiter=","), True),
        (Options(encoding="utf-8"), True),
        (Options(numbers="comma"), True),
        (Options(numbers="point"), False),
        (Options(encoding="cp1252"), True),
        (Options(columns={"c": "c"}), True),
    ],
)
def test_who_says_what_would_be_understood_anyway_gives_the_same_file(
    tmp_path: Path, options: Options, *, same: bool
) -> None:
    content = b'c,value\na,"1,5"\n'
    assert (given(tmp_path, content, options).request_id == given(tmp_path, content).request_id) is same


def columns(**ours: str) -> Options:
    return Options(columns=ours)


GOAL = replace(EZMOB, fields={**EZMOB.fields, "g": "goal"})


@pytest.mark.parametrize(
    ("content", "sender", "ways", "same"),
    [
        ("Klick,value\na,1\n", EZMOB, [columns(Klick="c"), columns(Klick="click_id")], True),
        ("Klick,value\na,1\n", EZMOB, [columns(Klick="c"), columns(Klick="click_id", value="value")], True),
        ("c,value\na,1\n", EZMOB, [Options(), columns(c="click_id"), columns(value="value", c="c")], True),
        ("Click-ID,value\na,1\n", EZMOB, [Options(), columns(**{"Click-ID": "c"})], True),
        ("c,value,Ziel\na,1,x\n", GOAL, [columns(Ziel="g"), columns(Ziel="goal")], True),
        ("c,value,Ziel\na,1,x\n", EZMOB, [Options(), columns(Ziel="Ziel")], True),
        ("c,value,Ziel\na,1,x\n", EZMOB, [Options(), columns(Ziel="note"), columns(Ziel="remark")], False),
        ("subid,Geld\na,1\n", KEITARO, [columns(Geld="payout"), columns(Geld="value"), columns(Geld="revenue")], True),
        ("subid,A,revenue\na,1,2\n", KEITARO, [columns(A="payout"), columns(A="revenue")], False),
        ("c,value\na,1\n", EZMOB, [Options(), Options(encoding="cp1252"), Options(encoding="ascii")], True),
        ("Klick,value\na,1\n", EZMOB, [columns(Klick="c"), Options(encoding="ascii", columns={"Klick": "c"})], True),
        ("c;value\na;1,5 \u20ac\n", EZMOB, [Options(), Options(encoding="cp1254")], True),
        ("c;value;x\na;1,5;\xfd\n", EZMOB, [Options(encoding="cp1254"), Options(encoding="iso8859-9")], True),
        ("c;value;x\na;1,5;\xfd\n", EZMOB, [Options(), Options(encoding="cp1254")], False),
        ("c,value\na,1.234\n", EZMOB, [Options(), Options(encoding="ascii")], True),
    ],
)
def test_what_is_said_in_other_words_is_the_same_import(
    tmp_path: Path, content: str, sender: Sender, ways: list[Options], *, same: bool
) -> None:
    names = [given(tmp_path, content.encode("cp1252"), way, sender=sender).request_id for way in ways]
    assert len({*names}) == (1 if same else len(ways))


def test_the_column_of_moments_is_the_same_under_its_old_name_and_its_new_one(tmp_path: Path) -> None:
    said = columns(Datum="when")
    names = {
        given(tmp_path, b"c,value,Datum\na,1,2026-01-31\n", said, moments=it).request_id for it in ("Datum", "when")
    }
    assert len(names) == 1


def test_said_in_other_words_a_file_counts_once_where_each_row_counts(
    engine: Engine, ledger: Ledger, tmp_path: Path
) -> None:
    every = replace(EZMOB, duplicates="sum")
    content = b"Klick,value\na,1\nb,2\n"
    for number, said in enumerate((columns(Klick="c"), Options(encoding="ascii", columns={"Klick": "click_id"}))):
        rows = given(tmp_path, content, said, sender=every)
        imported(rows, engine.database, ledger, tmp_path / f"{number}.csv")
    assert engine.rows("SELECT count(*), sum(value_micros) FROM conversion") == [(2, 3_000_000)]


def test_what_a_version_before_began_is_read_as_it_read_it(engine: Engine, ledger: Ledger, tmp_path: Path) -> None:
    """It did not know decimal commas or signs: those rows were rejected, and stay so."""
    begun = given(tmp_path, PLAIN).to_begin(datetime.now(UTC)).model_dump()
    rules = {name: rule for name, rule in begun["rules"].items() if name != "reading"}
    engine.database.imports().begin(ImportedFile(**{**begun, "rules": rules}))
    imported(given(tmp_path, PLAIN), engine.database, ledger, tmp_path / "report.csv")
    assert outcomes(tmp_path / "report.csv") == ["stored", "invalid_value", "invalid_value"]


EARLIER = ("edition", "foreign", "returns")  # what a reading did not say before sums between rows were known


def begun_before(engine: Engine, rows: ImportFile, **changed: object) -> None:
    """Note it as a version did that knew no sums between rows, and no cells that are made text."""
    begun = rows.to_begin(datetime.now(UTC)).model_dump()
    reading = {name: told for name, told in begun["rules"]["reading"].items() if name not in EARLIER} | changed
    engine.database.imports().begin(ImportedFile(**{**begun, "rules": {**begun["rules"], "reading": reading}}))


def test_what_a_version_began_that_knew_no_sums_between_rows_keeps_its_rows_and_their_numbers(
    engine: Engine, ledger: Ledger, tmp_path: Path
) -> None:
    content = b'c,value\na,1\nSubtotal,1\n"=""0123""",2\nb,3\n'
    begun_before(engine, given(tmp_path, content))
    rows = given(tmp_path, content)
    imported(rows, engine.database, ledger, tmp_path / "report.csv")
    assert outcomes(tmp_path / "report.csv") == ["stored"] * 4
    found = engine.rows("SELECT click_id, request_id FROM conversion")
    assert sorted(found) == [
        ('="0123"', f"{rows.request_id}-3"),
        ("Subtotal", f"{rows.request_id}-2"),
        ("a", f"{rows.request_id}-1"),
        ("b", f"{rows.request_id}-4"),
    ]


def test_what_a_version_began_that_guessed_an_amount_is_the_same_import_and_no_other_is_begun_so(
    engine: Engine, ledger: Ledger, tmp_path: Path
) -> None:
    content, said = b"Nr,value\na,1.234\nb,5\n", columns(Nr="c")
    with pytest.raises(UnreadableFile, match="say --numbers"):
        imported(given(tmp_path, content, said), engine.database, ledger, tmp_path / "none.csv")
    begun_before(engine, given(tmp_path, content, said))
    assert imported(given(tmp_path, content, said), engine.database, ledger, tmp_path / "report.csv") == (
        0,
        {"stored": 2},
    )
    assert engine.rows("SELECT value_micros FROM conversion ORDER BY 1") == [(1_234_000,), (5_000_000,)]


def test_it_is_read_again_as_when_its_import_was_begun(engine: Engine, ledger: Ledger, tmp_path: Path) -> None:
    comma = replace(EZMOB, numbers="comma")
    content = b"c;value\na;1.234\nb;5\n"
    first = imported(given(tmp_path, content, sender=comma), engine.database, ledger, tmp_path / "1.csv")
    again = imported(given(tmp_path, content, sender=EZMOB), engine.database, ledger, tmp_path / "2.csv")
    assert first == again == (0, {"stored": 2})
    assert engine.rows("SELECT value_micros FROM conversion ORDER BY 1") == [(5_000_000,), (1_234_000_000,)]


def test_a_row_that_was_rejected_is_replayed_as_the_conversion_that_it_is(
    engine: Engine, ledger: Ledger, tmp_path: Path
) -> None:
    none = replace(EZMOB, statuses={}, strict_status=True)
    rows = given(tmp_path, GERMAN, Options(dates="dmy"), sender=none, moments="when")
    _, tally = imported(rows, engine.database, ledger, tmp_path / "report.csv")
    assert tally == {"invalid_status": 1, "stored": 1}
    assert replayed(engine, ledger, Author("me", registered={"ezmob": LEADS}, sender=LEADS)) == ["stored"]
    found = engine.rows("SELECT click_id, value, value_micros, currency, received_at FROM conversion ORDER BY 1")
    assert found == [
        ("a", "1234.50", 1_234_500_000, "EUR", "2026-01-31 00:00:00.000000"),
        ("b", "2.50", 2_500_000, "EUR", "2026-01-31 00:00:00.000000"),
    ]


def test_what_was_sent_stays_beside_what_it_is_read_as(engine: Engine, ledger: Ledger, tmp_path: Path) -> None:
    rows = given(tmp_path, GERMAN, Options(dates="dmy"), sender=LEADS, moments="when")
    imported(rows, engine.database, ledger, tmp_path / "report.csv")
    params = [row.params for page in engine.database.conversions().pages(Wanted()) for row in page]
    assert params[1] == {"when": "2026-01-31T00:00:00", "value_as_sent": "2,50 €", "when_as_sent": "31.01.2026"}


@pytest.mark.parametrize(("pack", "name"), [(gzip.compress, "s.csv.gz"), (zstd.compress, "s.csv.zst")])
def test_a_packed_one_is_the_same(
    engine: Engine, ledger: Ledger, tmp_path: Path, pack: Callable[[bytes], bytes], name: str
) -> None:
    content = "c;value\na;1.234,50 €\n".encode("utf-16")
    plain, packed = given(tmp_path, content), given(tmp_path, pack(content), name=name)
    assert packed.request_id == plain.request_id
    assert imported(packed, engine.database, ledger, tmp_path / "report.csv")[1] == {"stored": 1}
    assert engine.rows("SELECT value_micros, currency FROM conversion") == [(1_234_500_000, "EUR")]


def test_labels_and_params_of_our_own_export(engine: Engine, ledger: Ledger, tmp_path: Path) -> None:
    """A label is what it was; what stands in other columns is kept as it stands there."""
    sender = replace(EZMOB, fields={**EZMOB.fields, "goal": "goal", "txid": "transaction_id"})
    content = b"click_id,value,goal,transaction_id,note\na,1,'=g,'-t,'=n\nb,1,g,t,n\n"
    imported(given(tmp_path, content, sender=sender), engine.database, ledger, tmp_path / "report.csv")
    rows = [row for page in engine.database.conversions().pages(Wanted()) for row in page]
    assert [(row.goal, row.transaction_id, row.params) for row in rows] == [
        ("=g", "-t", {"note": "'=n"}),
        ("g", "t", {"note": "n"}),
    ]


LONG = 60_000  # rows: more than are looked at


def test_what_comes_after_the_beginning_is_read_like_it_or_told(tmp_path: Path) -> None:
    rows = [f"click-{number:09},{number % 7}.50" for number in range(LONG)]
    rows += ['late-1,"$1,234.50"', 'late-2,"1,234"', 'late-3,"1,5"', "Total,9"]
    file = given(tmp_path, "\n".join(["c,value", *rows]).encode())
    last = [raw.body for group in file.groups() for raw in group.raws][LONG:]
    assert last == [
        b'c,value,value_as_sent\nlate-1,1234.50,"$1,234.50"',
        b'c,value,value_as_sent\nlate-2,1234,"1,234"',
        b'c,value\nlate-3,"1,5"',
    ]
    assert file.read_as == "commas, UTF-8, decimal points, header in line 1, 1 total row left out"


@pytest.mark.parametrize(
    ("delimiter", "late", "told"),
    [
        (",", '"1,234"', '"1,234 (thousands or a fraction: say --numbers)","1,234"'),
        (",", "1.234", ""),
        (";", "1.234", "1.234 (thousands or a fraction: say --numbers),1.234"),
        ("\t", "1,234", '"1,234 (thousands or a fraction: say --numbers)","1,234"'),
    ],
)
def test_where_nothing_decided_what_may_be_thousands_is_no_amount(
    tmp_path: Path, delimiter: str, late: str, told: str
) -> None:
    rows = [f"click-{number:09}{delimiter}{number % 7}" for number in range(LONG)]
    file = given(tmp_path, "\n".join([f"c{delimiter}value", *rows, f"late{delimiter}{late}"]).encode())
    last = [raw.body.decode() for group in file.groups() for raw in group.raws][LONG:]
    assert last == [f"c,value,value_as_sent\nlate,{told}" if told else f"c,value\nlate,{late}"]


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"delimiter": ";;"}, "delimiter"),
        ({"delimiter": '"'}, "delimiter"),
        ({"encoding": "klingon"}, "encoding"),
        ({"encoding": "base64"}, "encoding"),
        ({"columns": ["Click ID"]}, "columns"),
        ({"columns": ["=c"]}, "columns"),
    ],
)
def test_what_cannot_be_meant_is_refused(said: dict[str, object], field: str) -> None:
    with pytest.raises(WrongValues) as refused:
        options_of(**said)  # type: ignore[arg-type]  # one of them at a time
    assert [mistake.field for mistake in refused.value.mistakes] == [field]


def test_what_is_said_is_understood() -> None:
    said = options_of("tab", "UTF8", "comma", "dmy", ["Click=ID=c", " Payout = value "])
    assert said == Options("\t", "utf-8", "comma", "dmy", {"Click=ID": "c", "Payout": "value"})
