"""Owns how a difference is told, so that a person understands it: the key, its history in real time, and the model."""

from collections import Counter
from collections.abc import Sequence

from tests.support.outside.model.checking import Difference
from tests.support.outside.model.history import NEVER_ENDED, Erasure, Operation
from tests.support.outside.model.rules import Said, judge

_MOST = 60  # lines of one history


def tell(differences: Sequence[Difference], most: int = 5) -> str:
    """Return all kinds with their counts, and the shortest histories in full."""
    kinds = Counter(difference.kind for difference in differences)
    lines = [f"{len(differences)} differences: " + ", ".join(f"{count} {kind}" for kind, count in kinds.items())]
    shortest: dict[str, Difference] = {}
    for difference in sorted(differences, key=lambda one: len(one.operations)):
        shortest.setdefault(difference.kind, difference)
    rest = [one for one in differences if one not in shortest.values()]
    lines += [tell_one(difference) for difference in [*shortest.values(), *rest][:most]]
    return "\n\n".join(lines)


def tell_one(difference: Difference) -> str:
    """Return one difference: what is wrong, the history with answers and rows, and what the model says to its end."""
    events: list[Operation | Erasure] = [*difference.operations, *difference.erasures]
    events.sort(key=_begin)
    begin = _begin(events[0]) if events else 0.0
    lines = [f"{difference.kind}: {difference.sentence}", f"  key {difference.key}"]
    lines += [f"  {_line(event, begin)}" for event in events[:_MOST]]
    if order := difference.order:
        lines.append(f"  the longest order: {' '.join(order.placed) or 'nothing'}")
        lines.append(f"  it leaves: {[_words(said) for said in order.conversion]}")
        lines += [f"  then {one.tag} would be {judge(order.conversion, one.said)[0]}" for one in order.stuck]
    return "\n".join(lines)


def _begin(event: Operation | Erasure) -> float:
    return event.sent if isinstance(event, Operation) else event.began


def _line(event: Operation | Erasure, begin: float) -> str:
    if isinstance(event, Erasure):
        said = "done" if event.surely else "perhaps"
        return f"{_span(event.began, event.ended, begin)} erase: {said}{_at(event.at, begin)}"
    row = event.row
    found = f"{row.table} {row.number or ''} {row.outcome}, received{_at(row.received_at, begin)}" if row else "no row"
    where = f"{event.door} {event.group}#{event.place}" if event.group else event.door
    said = _words(event.said) + (" (flawed)" if event.rejected else "")
    told = event.answer or "nobody told"
    span = _span(event.sent, event.answered, begin)
    return f"{span} {event.tag} {event.host or 'command'} {where}: {said} → {told}; {found} [{event.request_id}]"


def _span(began: float, ended: float, begin: float) -> str:
    until = "…" if ended == NEVER_ENDED else f"{ended - begin:.3f}"
    return f"{began - begin:8.3f} to {until:>8}"


def _at(moment: float | None, begin: float) -> str:
    return "" if moment is None else f" at {moment - begin:.3f}"


def _words(said: Said) -> str:
    amount = "no value" if said.amount is None else f"{said.amount} {said.currency or ''}".strip()
    return f"{said.status or said.word or 'no status'}, {amount}"
