"""Owns how `send` reports a run: as text for a person, or as one JSON object for a program."""

import json
from typing import TYPE_CHECKING

from service.cli.printing import raw_lines

if TYPE_CHECKING:
    from service.cli.send.tally import Answer, OutcomeRow, Tally


def as_json(tally: "Tally") -> str:
    """Render the summary's keys and, for a single postback, its `answer`."""
    answer = None
    if tally.requested == 1 and tally.last:
        last = tally.last
        answer = {"status": last.status, "outcome": last.outcome, "error": last.error}
        answer |= {"request_id": last.request_id, "text": last.text}
    return json.dumps({**tally.summary(), "answer": answer})


def as_text(tally: "Tally") -> list[str]:
    """Return lines: a single postback's answer, counts, latency, and one line for each kind of answer."""
    summary = tally.summary()
    latency = summary["latency_ms"]
    named = {"p50": latency["p50"], "p90": latency["p90"], "p99": latency["p99"], "max": latency["max"]}
    late = "" if summary["max_lag_ms"] is None else f", at most {summary['max_lag_ms']:.1f} ms behind schedule"
    lines = _answer(tally.last) if tally.requested == 1 and tally.last else []
    lines += [
        "sent      {sent} of {requested}: {accepted} accepted, {failed} not, {abandoned} cut off".format(**summary),
        "attempts  {attempts}, of which {retries} were tried again".format(**summary),
        "duration  {duration_s:.3f} s, {rate_per_s:.1f}/s".format(**summary) + late,
        "latency   " + ", ".join(f"{name} {_or_dash(number)}" for name, number in named.items()) + " ms",
        *_table("last answer", summary["outcomes"]),
        *_table("tried again after", summary["retried"]),
    ]
    if summary["errors"]:
        lines += ["", *(f"{word}: {text}" for word, text in summary["errors"].items())]
    return lines


def _answer(answer: "Answer") -> list[str]:
    if answer.status is None:
        return [f"no answer: {answer.error}", ""]
    heading = f"HTTP {answer.status} {answer.outcome or '(no X-Postback-Outcome)'} {answer.request_id or ''}"
    return [heading.rstrip(), *raw_lines(answer.text.rstrip().encode()), ""]


def _table(title: str, rows: "list[OutcomeRow]") -> list[str]:
    if not rows:
        return []
    body = [
        f"{_or_dash(row['status']):6}  {row['error'] or row['outcome'] or '-':24}  {row['count']:>9}" for row in rows
    ]
    return ["", f"{'status':6}  {title:24}  {'postbacks':>9}", *body]


def _or_dash(number: float | None) -> str:
    return "-" if number is None else f"{number}"
