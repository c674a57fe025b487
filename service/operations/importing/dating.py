"""Owns the column of a file that says when each of its postbacks was received, for import and for replay."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from service.core.bodies import CSV
from service.core.decoding import decode_csv, decode_json, decode_moment
from service.core.mistakes import rejection_of
from service.core.outcome import Outcome, Rejected
from service.core.postback import Postback, RawPostback, Rejection
from service.core.sender import Sender
from service.core.verdict import Understood
from service.operations.files.spreadsheet.dates import DateOrder

_AHEAD = timedelta(minutes=5)  # what another machine's clock may be ahead of ours; more is a mistake in the file
_FUTURE = "more than 5 minutes in the future"
_NO_TIME = "is no ISO 8601 time: "
_EXAMPLES: Mapping[DateOrder, str] = {"dmy": "31.1.2026", "mdy": "1/31/2026", "ymd": "2026/1/31"}
_REFUSED = re.compile(rf"(.+) is (?:absent|there more than once|no ISO 8601 time: .*|not between .*|{_FUTURE}: .*)")


class Dating:
    """Gives each row the moment that its own column names."""

    def __init__(self, column: str, sender: Sender, order: DateOrder | None = None) -> None:
        """Begin; `order` is that of local dates, which are ISO 8601 by now if they could be read."""
        self._column = column
        self._sender = sender
        self._order = order

    def __call__(self, one: Understood) -> Understood:
        """Return the row with its moment; one that names none that can be is rejected."""
        match one:
            case Postback():
                try:
                    return one._replace(raw=self._dated(one.raw, one.params.get(self._column)))
                except Rejected as refused:
                    refused.detail += self._unread(refused.detail)
                    return self._rejected(replace(rejection_of(one.raw, self._sender, refused), hint=self._hint()))
            case Rejection():
                return self._rejected(one)
            case _:
                return one

    def _unread(self, detail: str) -> str:
        return f", and no date as {self._order}" if self._order and _NO_TIME in detail else ""

    def _hint(self) -> str:
        local = "" if self._order is None else f", or as a date such as {_EXAMPLES[self._order]}"
        return f"Write {self._column} as ISO 8601, such as 2026-01-31T14:05:00Z{local}; not in the future."

    def _rejected(self, rejection: Rejection) -> Rejection:
        """Return a rejected row with its own moment, where that can be read: a replay keeps it."""
        raw = rejection.raw
        try:
            pairs = decode_csv(raw.body) if raw.content_type == CSV else decode_json(raw.body)
            return replace(rejection, raw=self._dated(raw, dict(pairs).get(self._column)))
        except Rejected:
            return rejection

    def _dated(self, raw: RawPostback, text: str | list[str] | None) -> RawPostback:
        return raw._replace(received_at=_moment(text, self._column, raw))


def column_refused(detail: str) -> str | None:
    """Return the column for which an import rejected a row with this detail; None if it was for something else."""
    refused = _REFUSED.fullmatch(detail)
    return refused[1] if refused else None


def _moment(text: str | list[str] | None, column: str, raw: RawPostback) -> datetime:
    """Return the moment that a row names. Raises `Rejected`: it names none, or one that cannot have been yet."""
    if not isinstance(text, str):
        raise Rejected(Outcome.MALFORMED_BODY, f"{column} is {'there more than once' if text else 'absent'}")
    try:
        moment = decode_moment(text)
    except ValueError as error:
        raise Rejected(Outcome.MALFORMED_BODY, f"{column} is {error}") from None
    if moment > raw.received_at + _AHEAD:
        raise Rejected(Outcome.MALFORMED_BODY, f"{column} is {_FUTURE}: {text[:40]!a}")
    return moment
