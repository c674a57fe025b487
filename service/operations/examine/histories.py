"""Owns the checks of rows that must fit each other: a key's history and its order, tests, and refused batches."""

from collections.abc import Iterator
from functools import partial

from service.core.parameters import claimed
from service.core.parsing import claims_test
from service.operations.examine.case import Case
from service.operations.examine.findings import Finding, graded, guarded
from service.operations.kept_input import raw_again
from service.storage.audit_histories import (
    MARGINS,
    broken_histories,
    contradicted_replays,
    marked_as_tests,
    refused_and_stored,
    replayed_as_real,
    reversed_order,
)
from service.storage.schema.tables import RejectedPostback

CHECKS = ("histories", "order", "replays", "tests_apart", "refused_batches")
_FAULTS = {
    "numbers": "changes that are not numbered 1, 2, 3",
    "repeated": "a change to the status that there was",
    "not allowed": "a status that may not follow the one before",
}


def check(case: Case) -> Iterator[Finding]:
    """Yield the findings."""
    checks = (_histories, _order, _replays, _tests_apart, _refused_batches)
    yield from guarded((name, partial(one, case)) for name, one in zip(CHECKS, checks, strict=True))


def _histories(case: Case) -> Finding:
    with case.audit() as audit:
        found = broken_histories(audit)
    told = [f"{_FAULTS[one.fault]} in {one.keys} keys (request id {one.example})" for one in found]
    sentence = "; ".join(told) or "every change of a status may follow the one before it"
    advice = "Changed by hand, or by an older version (docs/status.md): `lookup` shows the history of their click ids."
    return graded("histories", sentence, advice, bad=bool(found), doubtful=False)


def _order(case: Case) -> Finding:
    with case.audit() as audit:
        found = reversed_order(audit)
    told = [f"{one.rows} rows of {word} ({one.example})" for word, one in found.items() if one.rows]
    drained = [f"{one.drained} of {word} ({one.drained_example})" for word, one in found.items() if one.drained]
    if told:
        sentence = f"{', '.join(told)} arrived over {MARGINS['postback']} s before what they repeat or change"
        advice = "A clock was wrong, or they are another conversion's, which is gone: `lookup` shows when each came."
    elif drained:
        sentence = f"of what waited in a spool, {', '.join(drained)} arrived before what they repeat or change"
        advice = "Spools of several hosts are drained in no common order: see `lookup`, if a status matters."
    else:
        return graded(
            "order", "every conversion arrived before what repeats or changes it", "", bad=False, doubtful=False
        )
    return graded("order", sentence, advice, bad=bool(told), doubtful=True)


def _replays(case: Case) -> Finding:
    with case.audit() as audit:
        found = contradicted_replays(audit)
    sentence = (
        f"{len(found)} replays became something else than is noted of them ({found[0]})"
        if found
        else "every replay became what is noted of it"
    )
    advice = "Changed by hand, or judged twice by an older version (law 2): compare the row with the table `replay`."
    return graded("replays", sentence, advice, bad=bool(found), doubtful=False)


def _tests_apart(case: Case) -> Finding:
    with case.audit() as audit:
        found, replayed = marked_as_tests(audit), replayed_as_real(audit)
    quarantine = case.database.quarantine()
    found += [made for kept, made in replayed.items() if _is_test(quarantine.one(kept))]
    number = len(set(found))
    sentence = f"{number} rows of tests are counted as real ({min(found)})" if found else "no test is counted as real"
    advice = "An older version stored them so: erase their click ids, and tell whoever was billed."
    return graded("tests_apart", sentence, advice, bad=bool(found), doubtful=False)


def _is_test(kept: RejectedPostback | None) -> bool:
    """Tell whether a kept input is a test's; None: it is deleted meanwhile, and nobody can tell."""
    if kept is None:
        return False
    try:
        raw = raw_again(kept)
    except ValueError:  # not written by us
        return False
    return raw.is_test or claims_test(claimed(raw))


def _refused_batches(case: Case) -> Finding:
    with case.audit() as audit:
        found = refused_and_stored(audit)
    sentence = (
        f"{len(found)} batches were refused as a whole, and rows of them are there ({found[0]})"
        if found
        else "no row is there of a batch that was refused as a whole"
    )
    advice = "Their senders were told that nothing was stored: compare by request_id, which begins the rows' ids."
    return graded("refused_batches", sentence, advice, bad=bool(found), doubtful=False)
