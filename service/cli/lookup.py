"""Owns the command `lookup`: did a click id arrive, when, how often, and what did we answer."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.choosing import not_empty
from service.cli.lookup_list import look_up_file
from service.cli.printing import print_json, say
from service.cli.progress import progress
from service.cli.setting_up import configured_database, refuse, settings_or_refuse, storage_or_refuse
from service.cli.spreadsheets import ClickIds, Columns
from service.core.postback import answered_status

if TYPE_CHECKING:
    from service.operations.lookup import Arrival, Correction, Depth, Found, Named

_AWAY = "nothing waits in this host's spool under this id: ask again when the database answers"


_CLICK_ID = typer.Argument(help="The click id exactly as it was sent.", callback=not_empty)
_INDEXED = typer.Option("--indexed", help="Ask the indexes only: what was rejected is not searched. Always fast.")
_EVERYWHERE = typer.Option("--everywhere", help="Search what is stored, too: goals, transaction ids, parameters.")
_FILE = typer.Option(metavar="IDS.CSV", help="Look up every click id of a list: a spreadsheet, or a column of them.")


def lookup(  # noqa: PLR0913 - the options
    click_id: Annotated[str | None, _CLICK_ID] = None,
    *,
    file: Annotated[Path | None, _FILE] = None,
    click_id_column: ClickIds = None,
    columns: Columns = None,
    indexed: Annotated[bool, _INDEXED] = False,
    everywhere: Annotated[bool, _EVERYWHERE] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: one object with all arrivals.")] = False,
) -> None:
    """Tell whether a conversion arrived, when, how often, what we answered, and its status.

    What came under the click id is found by indexes. If it is not stored, what
    was rejected is searched for what names it otherwise: that reads up to 1 GiB
    (POSTBACK_REJECTED_MAX_BYTES), and --indexed leaves it out. --everywhere
    reads that and all that is stored: a minute or so for 10 million. With
    --file each click id of a list is told in one line, or in click_ids; of its
    columns only the click ids are read.

    What waits in this host's spool is told too, also while the database is away.

    JSON keys: click_id, stored, spooled, conversions, arrivals [{received_at
    outcome status sender door request_id detail is_test answered
    drained_at}], named [{those, parameter click_id}], corrections, erased_at,
    searched (index rejected everywhere).
    A click id may begin with a dash; before two dashes write -- and a space.

    Example: python -m service lookup my-first-click

    Exit 0: it is stored, or waits in the spool. 1: neither (it never came, or was rejected: then why). 2: else.
    """
    from service.operations.lookup import Depth

    if file is not None and click_id is None:
        look_up_file(file, click_id_column, columns or (), as_json=as_json)
    if click_id is None or file is not None:
        refuse(["say a click id, or --file with a list of them"])
    if click_id_column or columns:
        refuse(["--click-id-column and --columns say what is in a list: say --file, too"])
    if indexed and everywhere:
        refuse(["--indexed searches nothing, --everywhere all there is: give one of them"])
    depth = Depth.INDEX if indexed else Depth.EVERYWHERE if everywhere else Depth.REJECTED
    found = _found(click_id, depth)
    if found.unknown:
        say(f"what waits in the spool only; the database cannot be asked: {found.unknown}", err=True)
    if as_json:
        print_json(found.members())
    else:
        say(*(_lines(found) if found.arrivals or found.named else [_nothing(found)]))
    raise typer.Exit(0 if found.accepted else 1)


def _found(click_id: str, depth: "Depth") -> "Found":
    from service.operations.lookup import look_up

    with (
        configured_database() as database,
        storage_or_refuse(*([_AWAY] if database.shared else [])),
        progress("searching", None) as advance,
    ):
        return look_up(database, settings_or_refuse().spool_dir, click_id, depth, advance)


def _nothing(found: "Found") -> str:
    looked = {
        "index": "none had this click id; what was rejected was not searched",
        "rejected": "none had this click id, and none that was rejected names it",
        "everywhere": "nothing that is kept names it",
    }
    state = "never arrived" if found.erased_at is None else f"{_erased(found.erased_at)}, and nothing of it is kept"
    return f"{found.click_id}: {state} ({looked[found.searched.value]})"


def _erased(at: datetime) -> str:
    return f"erased, {at:%Y-%m-%d %H:%M:%S} UTC"


def _lines(found: "Found") -> Iterator[str]:
    click_id, others = found.click_id, len(found.named)
    if found.arrivals:
        yield f"{click_id}: {_state(found)}; arrived {_times(found)}"
    else:
        yield f"{click_id}: {_state(found)} under this click id; named {_number(others)} otherwise"
    advice = "" if found.stored else _advice(found)
    if found.erased_at:
        yield f"  {_erased(found.erased_at)}: what came of it before may be gone"
    for arrival in found.arrivals:
        yield f"  {_came(arrival)}  {_answer(arrival)}: {_detail(arrival, advice)}  {_ids(arrival)}"
    yield from map(_correction, found.corrections)
    if len(found.now) > 1 or found.corrections or any(one.conversion_status for one in found.now):
        yield from _current(found)
    if found.arrivals and others:
        yield f"named {_number(others)} more, not as the click id:"
    for one in found.named:
        yield f"  {_came(one.arrival)}  {_otherwise(one, advice)}  {_ids(one.arrival)}"
    if found.searched.value == "index" and not found.unknown:
        yield "not searched: what was rejected and names it otherwise (--everywhere does)"
    if advice:
        yield f"What to do: {advice}"


def _advice(found: "Found") -> str:
    """Return what to do about the last arrival: as its detail says, or else as its outcome does."""
    from service.core.hints import kept_hint
    from service.core.outcome import Family, advice_in

    last = found.arrivals[-1] if found.arrivals else found.named[-1].arrival
    if not found.arrivals and last.outcome.family is Family.ACCEPTED:
        return f"look up {found.named[-1].click_id or ''}, which it was stored as"
    return advice_in(last.detail) or kept_hint(last.outcome, last.door)


def _detail(arrival: "Arrival", advice: str) -> str:
    """Return what was wrong, without the advice that is told at the end."""
    return arrival.detail.removesuffix(f". {advice}") if advice else arrival.detail


def _ids(arrival: "Arrival") -> str:
    """Say whose it is, and its request_id."""
    return f"sender {arrival.sender or 'unknown'}  [{arrival.request_id}]"


def _came(arrival: "Arrival") -> str:
    when = arrival.received_at.isoformat(" ", "milliseconds").removesuffix("+00:00")
    return f"{when} UTC  {arrival.door}"


def _otherwise(one: "Named", advice: str) -> str:
    """Say as what it arrived, and what became of that postback."""
    arrival = one.arrival
    place = f"arrived as parameter {one.parameter}" if one.parameter else "named in its raw input"
    whose = "" if one.click_id is None else f" of click id {one.click_id}"
    detail = f": {_detail(arrival, advice)}" if arrival.detail else ""
    return f"{place}{whose}, {arrival.outcome.family.value}: {_answer(arrival)}{detail}"


def _number(times: int) -> str:
    return "once" if times == 1 else f"{times} times"


def _times(found: "Found") -> str:
    """Say how often it arrived; what a replay came from may be deleted by now, and arrived all the same."""
    replays = sum(arrival.is_replay for arrival in found.arrivals)
    number = max(1, len(found.arrivals) - replays)
    times = _number(number)
    return f"{times}, replayed" if replays else times


def _answer(arrival: "Arrival") -> str:
    """Say what was answered, and where that was before it was judged, what became of it."""
    status = answered_status(arrival.door, arrival.answered, arrival.request_id, arrival.detail)
    answer = f"{status} {arrival.answered.value}" if status else arrival.answered.value
    if arrival.answered is arrival.outcome or arrival.drained_at is None:
        return answer
    when = arrival.drained_at.isoformat(" ", "milliseconds").removesuffix("+00:00")
    return f"{answer}, and at {when} UTC {arrival.outcome.value}"


def _current(found: "Found") -> Iterator[str]:
    from service.core.verdict import worth
    from service.operations.reconciling.operation import decimal

    for one in found.now:
        labels = {"goal": one.goal, "transaction_id": one.transaction_id}
        told = "".join(f", {name} {label}" for name, label in labels.items() if label)
        test = ", a test" if one.is_test else ""
        yield f"  now: {one.conversion_status or 'no status'}, {worth(one)}{told}{test}"
    sums: dict[tuple[str, str], list[int]] = defaultdict(list)
    for one in found.now:
        if not one.is_test:
            sums[one.conversion_status or "no status", one.currency or "(no currency)"].append(one.value_micros)
    for (status, currency), values in sums.items():
        if len(values) > 1:
            yield f"  together: {status}, {len(values)} conversions of {decimal(sum(values))} {currency}"


def _state(found: "Found") -> str:
    if found.only_tests:
        return "stored as a test only, and counts nowhere"
    return "stored" if found.stored else "accepted, in the spool" if found.spooled else "NOT stored"


def _correction(one: "Correction") -> str:
    """Tell how one thing that was sent is read now."""
    from service.core.verdict import worth

    status = f"{one.conversion_status}, " if one.conversion_status else ""
    read = f"{status}{worth(one)}"
    when = f"{one.corrected_at:%Y-%m-%d %H:%M:%S}"
    return f"  {when} UTC  corrected by {one.corrected_by}: {read} ({one.reason})"
