"""Owns the column of a file that says when each of its postbacks was received, for import and for replay."""

import re
from dataclasses import replace
from datetime import datetime, timedelta

from service.core.bodies import CSV
from service.core.decoding import decode_csv, decode_json, decode_moment
from service.core.mistakes import rejection_of
from service.core.outcome import Outcome, Rejected
from service.core.postback import Postback, RawPostback, Rejection
from service.core.sender import Sender
from service.core.verdict import Understood

_AHEAD = timedelta(minutes=5)  # what another machine's clock may be ahead of ours; more is a mistake in the file
_FUTURE = "more than 5 minutes in the future"
_REFUSED = re.compile(rf"(.+) is (?:absent|there more than once|no ISO 8601 time: .*|not between .*|{_FUTURE}: .*)")


class Dating:
    """Gives each row the moment that its own column names."""

    def __init__(self, column: str, sender: Sender) -> None:
        self._column = column
        self._sender = sender

    def __call__(self, one: Understood) -> Understood:
        """Return the row with its moment; one that names none that can be is rejected."""
        match one:
            case Postback():
                try:
                    return one._replace(raw=self._dated(one.raw, one.params.get(self._column)))
                except Rejected as refused:
                    return self._rejected(rejection_of(one.raw, self._sender, refused))
            case Rejection():
                return self._rejected(one)
            case _:
                return one

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
