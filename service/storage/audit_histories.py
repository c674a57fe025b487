"""Owns the questions of an audit about rows that must fit each other: a key's history and order, tests, whole batches.

Each is one statement, so it sees one moment. Only what is there is compared: rows without their conversion are orphans.
"""

import json
from functools import cache, partial
from typing import NamedTuple

from service.core.lifecycle import APPEAL, steps
from service.core.outcome import Outcome
from service.core.postback import TEST, TEST_VALUES, says_test
from service.storage.audit import KEPT, TABLES, Audit
from service.storage.deletions.book import Reason
from service.storage.schema.registry import CHANGE, CONVERSION, DUPLICATE, KEY, REJECTED

# How many seconds a row may have arrived before its conversion. One postback is answered within 2 s, and clocks differ.
# The rows of a batch have one moment and wait for many commits; imports and replays bring moments of their own.
MARGINS = {"postback": 10, "pixel": 10, "batch": 300}


class Broken(NamedTuple):
    """What is wrong with the histories of so many keys, and the request id of a change of one of them."""

    fault: str
    keys: int
    example: str


class Reversed(NamedTuple):
    """How many rows of an outcome arrived before what they repeat or change, and the request id of one of them.

    `drained` are those where one of the two waited in a spool; `drained_example` is one of them.
    """

    rows: int
    drained: int
    example: str
    drained_example: str


def broken_histories(audit: Audit) -> list[Broken]:
    """Return what docs/status.md does not allow: numbers with gaps, repeated statuses, statuses that may not follow."""
    return [Broken(str(fault), int(str(keys)), str(example)) for fault, keys, example in audit.rows(_histories())]


def reversed_order(audit: Audit) -> dict[str, Reversed]:
    """Return by outcome the rows that arrived longer than a margin before the row that they repeat or change.

    What is kept as rejected has no goal and transaction_id of its own: it is wrong before all of its click id.
    """
    pairs = {
        Outcome.UPDATED: f"{_keyed(CHANGE.name, audit)} UNION {_keyed(CHANGE.name, audit, CHANGE.name)}",
        Outcome.DUPLICATE: _keyed(DUPLICATE.name, audit),
        Outcome.CONFLICT: _rejected(Outcome.CONFLICT, audit),
        Outcome.ILLEGAL_TRANSITION: _rejected(Outcome.ILLEGAL_TRANSITION, audit, _NOT_RETAINED),
    }
    found = {}
    for outcome, pair in pairs.items():
        ((rows, drained, example, drained_example),) = audit.rows(f"{_COUNTED} FROM ({pair}) AS turned")
        found[outcome.value] = Reversed(int(str(rows)), int(str(drained)), str(example), str(drained_example))
    return found


def replayed_as_real(audit: Audit) -> dict[str, str]:
    """Return the rows of replays that are no tests, by the kept inputs that may say so: request ids, both of them."""
    rows = " UNION ALL ".join(
        f"SELECT request_id FROM {table.name} WHERE door = 'replay' AND is_test = FALSE"  # noqa: S608 - our own names
        for table in (CONVERSION, CHANGE, DUPLICATE)
    )
    says, shares = (audit.contains.format(raw=raw, text=TEST) for raw in ("kept.raw", "shared_input.content"))
    # A key's mark has the word in it as well.
    found = audit.rows(f"""
        SELECT kept.request_id, replay.request_id FROM replay
        JOIN ({rows}) AS made ON made.request_id = replay.request_id
        JOIN {REJECTED.name} AS kept ON kept.request_id = replay.rejected_request_id
        LEFT JOIN shared_input ON shared_input.digest = kept.shared WHERE {says} OR {shares}
    """)  # noqa: S608 - our own names
    return {str(rejected): str(request_id) for rejected, request_id in found}


def contradicted_replays(audit: Audit) -> list[str]:
    """Return the request ids of rows of replays whose outcome is not the one that was noted of the replay."""
    rows = " UNION ALL ".join(
        f"SELECT request_id, '{KEPT[table]}' AS outcome FROM {table} WHERE door = 'replay'"  # noqa: S608 - our own names
        if table in KEPT
        else f"SELECT request_id, outcome FROM {table} WHERE door = 'replay'"  # noqa: S608 - our own names
        for table in TABLES
    )
    found = audit.rows(f"""
        SELECT made.request_id FROM replay JOIN ({rows}) AS made ON made.request_id = replay.request_id
        LEFT JOIN {REJECTED.name} AS kept ON kept.request_id = replay.rejected_request_id
        WHERE made.outcome <> replay.outcome OR kept.replay_outcome <> replay.outcome ORDER BY 1
    """)  # noqa: S608 - our own names
    return [str(request_id) for (request_id,) in found]


def marked_as_tests(audit: Audit) -> list[str]:
    """Return the request ids of rows that are no tests, although the parameters that are kept with them say so."""
    found = []
    for table in (CONVERSION.name, CHANGE.name):
        for request_id, params in audit.rows(_marked(table)):
            sent = json.loads(str(params)).get(TEST, "")
            if says_test(sent):
                found.append(str(request_id))
    return found


def refused_and_stored(audit: Audit) -> list[str]:
    """Return the request ids of batches that were refused as a whole, and of which rows are there all the same."""
    rows = " UNION ALL ".join(
        f"SELECT substr(request_id, 1, {_ID}) FROM {table} WHERE door = 'batch' AND length(request_id) > {_ID}"  # noqa: S608 - our own names
        for table in TABLES
    )
    whole = f"door = 'batch' AND length(request_id) = {_ID}"
    found = audit.rows(f"SELECT request_id FROM {REJECTED.name} WHERE {whole} AND request_id IN ({rows}) ORDER BY 1")  # noqa: S608 - our own names
    return [str(request_id) for (request_id,) in found]


def _same_key(table: str, other: str) -> str:
    return " AND ".join(f"{table}.{column} = {other}.{column}" for column in KEY)


@cache
def _histories() -> str:
    allowed = ", ".join(f"'{before or ''}>{status}'" for before, status in steps())
    appealed, approved = APPEAL
    key = ", ".join(KEY)
    before = "lag(one.conversion_status) OVER (PARTITION BY {key} ORDER BY one.number)"
    place = "row_number() OVER (PARTITION BY {key} ORDER BY one.number)"
    of_one = ", ".join(f"one.{column}" for column in KEY)
    is_approval = "CASE WHEN {table}.conversion_status = '{status}' THEN 1 ELSE 0 END"
    first, later = (is_approval.format(table=table, status=approved) for table in (CONVERSION.name, "one"))
    approvals = f"{first} + sum({later}) OVER (PARTITION BY {of_one} ORDER BY one.number)"
    return f"""
        SELECT fault, count(*), min(request_id) FROM (
            SELECT fault, {key}, min(request_id) AS request_id FROM (
                SELECT {key}, request_id, CASE
                    WHEN number <> place THEN 'numbers'
                    WHEN status = before THEN 'repeated'
                    WHEN coalesce(before, '') || '>' || status NOT IN ({allowed}) THEN 'not allowed'
                    WHEN before = '{appealed}' AND status = '{approved}' AND approvals > 1 THEN 'not allowed'
                END AS fault
                FROM (
                    SELECT {of_one}, one.request_id, one.number, one.conversion_status AS status,
                        coalesce({before.format(key=of_one)}, conversion.conversion_status) AS before,
                        {place.format(key=of_one)} AS place, {approvals} AS approvals
                    FROM {CHANGE.name} AS one LEFT JOIN conversion ON {_same_key("conversion", "one")}
                ) AS history
            ) AS judged WHERE fault IS NOT NULL GROUP BY fault, {key}
        ) AS broken GROUP BY fault ORDER BY fault
    """  # noqa: S608 - our own names


def _before(audit: Audit) -> str:
    """Return the condition that a row `later` arrived longer than its margin before the row `first`."""
    since = partial(audit.earlier.format, moment="first.received_at")
    arrived = " OR ".join(
        f"later.door = '{door}' AND later.received_at < {since(seconds=margin)}" for door, margin in MARGINS.items()
    )
    return f"later.received_at < first.received_at AND first.door NOT IN ('import', 'replay') AND ({arrived})"


def _keyed(table: str, audit: Audit, before: str = CONVERSION.name) -> str:
    """Return the request ids of a table's rows that came before those of the table `before`, and which were drained."""
    joined = f"{table} AS later JOIN {before} AS first ON {_same_key('first', 'later')}"
    previous = "" if before == CONVERSION.name else " AND first.number = later.number - 1"
    return f"SELECT later.request_id, {_DRAINED} AS drained FROM {joined}{previous} WHERE {_before(audit)}"  # noqa: S608 - our own names


def _rejected(outcome: Outcome, audit: Audit, also: str = "") -> str:
    return f"""
        SELECT later.request_id, max({_DRAINED}) AS drained FROM {REJECTED.name} AS later JOIN conversion AS first
          ON first.sender = later.sender AND first.is_test IN (FALSE, TRUE) AND first.click_id = later.click_id
        WHERE later.outcome = '{outcome.value}' {also}
        GROUP BY later.request_id HAVING min(CASE WHEN {_before(audit)} THEN 1 ELSE 0 END) = 1
    """  # noqa: S608 - our own names


def _marked(table: str) -> str:
    params = """lower(replace(CAST(params AS TEXT), '": ', '":'))"""
    marks = [f'"{value}"' for value in TEST_VALUES] + ["["]
    said = " OR ".join(f"{params} LIKE '%\"{TEST}\":{mark}%'" for mark in marks)
    return f"SELECT request_id, CAST(params AS TEXT) FROM {table} WHERE is_test = FALSE AND ({said}) ORDER BY 1"  # noqa: S608 - our own names


_ID = 32  # hex digits of a request; the rows of its batch have a number behind it
_DRAINED = "CASE WHEN later.drained_at IS NULL AND first.drained_at IS NULL THEN 0 ELSE 1 END"
# Retention takes the conversion of a conflict only after that, but it does not look at refused changes.
_NOT_RETAINED = f"""AND NOT EXISTS (
    SELECT 1 FROM deletion WHERE table_name = 'conversion' AND reason = '{Reason.AGE.value}'
      AND first_received_at <= later.received_at)"""  # noqa: S608 - our own names
_COUNTED = """
    SELECT count(*) FILTER (WHERE drained = 0), count(*) FILTER (WHERE drained = 1),
        min(request_id) FILTER (WHERE drained = 0), min(request_id) FILTER (WHERE drained = 1)
"""
