"""Owns what one check found, and how the findings of several checks or processes are put together."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from service.core.unavailable import ErrorKind, StorageError


class State(StrEnum):
    """The result of a check; only `wrong` makes the examination fail."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"
    NOT_CHECKED = "not_checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: the name of the check, its result, a sentence, and what to do unless the result is ok."""

    name: str
    state: State
    sentence: str
    advice: str = ""


_ABSENT = {  # the checks of the engine say why
    ErrorKind.NO_DATABASE: "there is no database",
    ErrorKind.RESTORING: "there is no database until a restore has replaced it",
    ErrorKind.PG_CONNECTION: "the server does not answer",
    ErrorKind.PG_SHUTDOWN: "the server does not answer",
}

Check = Callable[[], Finding]


def ok(name: str, sentence: str) -> Finding:
    """Return a finding that nothing is wrong."""
    return Finding(name, State.OK, sentence)


def warning(name: str, sentence: str, advice: str) -> Finding:
    """Return a finding of what may become wrong."""
    return Finding(name, State.WARNING, sentence, advice)


def wrong(name: str, sentence: str, advice: str) -> Finding:
    """Return a finding of what is wrong."""
    return Finding(name, State.WRONG, sentence, advice)


def not_checked(name: str, sentence: str, advice: str = "") -> Finding:
    """Return a finding that a check could not be made, and why."""
    return Finding(name, State.NOT_CHECKED, sentence, advice)


def graded(name: str, sentence: str, advice: str, *, bad: bool, doubtful: bool) -> Finding:
    """Return `wrong` if it is bad, else `warning` if it is doubtful, else `ok`."""
    if bad:
        return wrong(name, sentence, advice)
    return warning(name, sentence, advice) if doubtful else ok(name, sentence)


def worst_of(each: Sequence[Iterable[Finding]], whose: Sequence[str]) -> Iterator[Finding]:
    """Yield one finding a check from those of several processes: the worst, with the names of the processes."""
    worst = [State.WRONG, State.WARNING, State.NOT_CHECKED, State.OK]
    for findings in zip(*each, strict=True):
        state = min((finding.state for finding in findings), key=worst.index)
        chosen = [(finding, name) for finding, name in zip(findings, whose, strict=True) if finding.state is state]
        first = chosen[0][0]
        if len(findings) == 1:
            yield first
        elif state is State.OK:
            yield ok(first.name, f"each of {len(findings)} workers: {first.sentence}")
        else:
            sentence = "; ".join(f"{name}: {finding.sentence}" for finding, name in chosen)
            yield Finding(first.name, state, sentence, first.advice)


def unreadable(name: str, error: StorageError) -> Finding:
    """Return the finding for a question that the database did not answer."""
    if error.kind == ErrorKind.INTERRUPTED:
        return not_checked(name, "would have taken too long", "Ask again with --deep, at a quiet time.")
    if error.kind in _ABSENT:
        return not_checked(name, _ABSENT[error.kind])
    return wrong(name, str(error), "See PostbackStorageErrors in the runbook; restore the database if it is damaged.")


def guarded(checks: Iterable[tuple[str, Check]]) -> Iterator[Finding]:
    """Run checks that read the database, each on its own: the failure of one must not hide the next."""
    for name, check in checks:
        try:
            yield check()
        except StorageError as error:
            yield unreadable(name, error)
