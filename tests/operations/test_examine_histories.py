"""What doctor says of replays, on every engine: tests stay apart, and each replay became what is noted of it."""

import pytest

from service.core.postback import RawPostback
from service.operations.examine import histories
from service.operations.examine.case import Case, Choices
from service.operations.examine.findings import Finding
from service.settings import Settings
from service.storage.ledger import Ledger
from tests.support import builders
from tests.support.engines import Engine
from tests.support.replayed import FORM, refused, replayed


def found(engine: Engine, name: str) -> Finding:
    """Return one finding; nothing else may be found."""
    case = Case(Settings.model_construct(), [], engine.database, [], None, Choices())
    findings = {finding.name: finding for finding in histories.check(case)}
    assert {one.name for one in findings.values() if one.state != "ok"} <= {name}
    return findings[name]


@pytest.mark.parametrize(
    ("raw", "is_test"),
    [
        (builders.raw("c=a&value=1"), False),
        (builders.raw("c=a&value=1&note=test=1&test=0"), False),
        (builders.raw("c=a&value=1&test=0&test=1"), True),
        (builders.raw("c=a&value=1&test=1"), True),
        (builders.posted(b"c=a&value=1&test=true", FORM), True),
        (builders.posted(b'{"c":"a","value":1,"test":true}'), True),
        (builders.raw("c=a&value=1", is_test=True), True),
        (builders.posted(b'{"c":"a","value":1}', is_test=True), True),
    ],
)
def test_a_replayed_test_is_no_conversion_that_counts(
    engine: Engine, ledger: Ledger, raw: RawPostback, *, is_test: bool
) -> None:
    ledger.commit([refused("", raw=raw)])
    assert replayed(engine, ledger) == ["stored"]
    assert found(engine, "tests_apart").state == "ok"
    engine.change("UPDATE conversion SET is_test = FALSE")
    assert found(engine, "tests_apart").state == ("wrong" if is_test else "ok")


def test_an_input_that_nobody_can_read_tells_nothing(engine: Engine, ledger: Ledger) -> None:
    ledger.commit([refused("c=a&value=1&test=1")])
    assert replayed(engine, ledger) == ["stored"]
    engine.change("UPDATE conversion SET is_test = FALSE")
    kind = "BLOB" if engine.kind == "sqlite" else "BYTEA"
    engine.change(f"UPDATE rejected_postback SET raw = CAST('test' AS {kind})")  # noqa: S608 - our own
    assert found(engine, "tests_apart").state == "ok"


@pytest.mark.parametrize(
    "planted",
    [
        "UPDATE replay SET outcome = 'duplicate' WHERE outcome = 'stored'",
        "UPDATE rejected_postback SET replay_outcome = 'conflict' WHERE replay_outcome = 'stored'",
    ],
)
def test_a_replay_that_became_something_else_than_is_noted_is_wrong(
    engine: Engine, ledger: Ledger, planted: str
) -> None:
    ledger.commit([refused("c=a&value=1"), refused("c=a&value=2"), refused("c=a&value=1")])
    assert replayed(engine, ledger) == ["stored", "conflict", "duplicate"]
    assert found(engine, "replays").state == "ok"
    engine.change(planted)
    assert found(engine, "replays").state == "wrong"


def test_one_that_is_under_way_contradicts_nothing(engine: Engine, ledger: Ledger) -> None:
    ledger.commit([refused("c=a&value=1")])
    replayed(engine, ledger)
    engine.change("UPDATE replay SET outcome = NULL")
    engine.change("UPDATE rejected_postback SET replay_outcome = NULL")
    assert found(engine, "replays").state == "ok"
