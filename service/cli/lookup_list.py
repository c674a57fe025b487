"""Owns `lookup --file`: whether each click id of a list is stored, and if not, why."""

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from service.cli.printing import print_json, say
from service.cli.progress import progress
from service.cli.setting_up import configured_database, readable_or_refuse, settings_or_refuse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.operations.lookup_list import Sought


def look_up_file(path: Path, click_id_column: str | None, columns: "Sequence[str]", *, as_json: bool) -> NoReturn:
    """Tell of each click id of a list, and end the command: with 0 if all are stored, else with 1."""
    from service.operations.files.row_file import RowFile
    from service.operations.files.spreadsheet.saying import options_of
    from service.operations.lookup_list import ListLookup
    from service.operations.reconciling.partner_list import PartnerList, Said

    options = options_of(columns=columns)
    spool_directory = settings_or_refuse().spool_dir
    with (
        readable_or_refuse(path),
        configured_database() as database,
        progress("reading", None, in_bytes=True) as advance,
        progress("searching", None) as searched,
    ):
        listed = PartnerList(RowFile(path, "csv"), Said(click_id_column), options, only_ids=True)
        lookup = ListLookup(database, spool_directory, searched, listed)
        members, missing, stored = [], 0, 0
        for one in lookup.answers(advance):
            stored, missing = (stored, missing + 1) if one.since is None else (stored + 1, missing)
            if as_json:
                members.append({"click_id": one.click_id, "stored": one.since is not None, **_told(one)})
            else:
                say(_line(one))
    counts = {"stored": stored, "missing": missing, "nameless": lookup.nameless}
    if as_json:
        print_json({"read_as": listed.read_as, **counts, "click_ids": members})
    else:
        say(f"read as: {listed.read_as}")
        nameless = f"; {lookup.nameless:,} rows have no click id" if lookup.nameless else ""
        say(f"{stored + missing:,} click ids: {stored:,} stored, {missing:,} not{nameless}")
    raise typer.Exit(int(missing + lookup.nameless > 0))


def _told(one: "Sought") -> dict[str, object]:
    return {"since": one.since, "reason": one.reason or None}


def _line(one: "Sought") -> str:
    told = f"stored, {one.since:%Y-%m-%d %H:%M:%S} UTC" if one.since else f"NOT stored: {one.reason}"
    return f"{one.click_id}: {told}"
