"""Owns the command `send`: its options, its progress bar and its exit code; the sending itself is the player's."""

from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from service.cli.printing import say
from service.cli.progress import progress
from service.cli.send.values import MACROS, repeats
from service.core.retry import RetryPolicy

if TYPE_CHECKING:
    from service.cli.send.player import Plan
    from service.cli.send.tally import Tally

_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells count

_Url = Annotated[
    str,
    typer.Argument(
        metavar="URL", help=f"Template of the postback; macros: {' '.join(f'{{{name}}}' for name in MACROS)}."
    ),
]
_Count = Annotated[int, typer.Option("--count", "-n", min=1, help="How many postbacks.")]
_Rate = Annotated[float, typer.Option(help="Postbacks begun each second; 0: as fast as they are answered.")]
_Concurrency = Annotated[int, typer.Option("--concurrency", "-c", min=1, help="Connections, one postback on each.")]
_Timeout = Annotated[float, typer.Option(help="Seconds for an attempt as a whole.")]
_Retry = Annotated[bool, typer.Option("--retry", help="Try again after 5xx, time-outs and lost connections.")]
_Attempts = Annotated[int, typer.Option(min=1, help="With --retry: attempts in all for one postback.")]
_RetryBase = Annotated[float, typer.Option(help="With --retry: longest first wait, seconds; doubles each time.")]
_RetryCap = Annotated[float, typer.Option(help="With --retry: longest wait, seconds, Retry-After included.")]
_Value = Annotated[str | None, typer.Option(help="A fixed {value} instead of random amounts.")]
_Seed = Annotated[int | None, typer.Option(help="The same ids and amounts as every run with this seed.")]
_Header = Annotated[list[str] | None, typer.Option(metavar="'NAME: VALUE'", help="Add a header; repeatable.")]
_Insecure = Annotated[bool, typer.Option("--insecure", help="Accept any TLS certificate: for trials only.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


def send(  # noqa: PLR0913 - each parameter is one option of the command
    url: _Url,
    *,
    count: _Count = 1,
    rate: _Rate = 0.0,
    concurrency: _Concurrency = 1,
    timeout: _Timeout = 2.0,
    retry: _Retry = False,
    attempts: _Attempts = 5,
    retry_base: _RetryBase = 0.5,
    retry_cap: _RetryCap = 30.0,
    value: _Value = None,
    seed: _Seed = None,
    header: _Header = None,
    insecure: _Insecure = False,
    json: _Json = False,
) -> None:
    """Play the sender: GET postbacks made from a template, report their fate.

    A retry repeats the very same URL. A postback waiting for its retry keeps
    its connection.

    JSON keys: requested, sent, accepted, failed, abandoned, attempts, retries,
    duration_s, rate_per_s, max_lag_ms (null without --rate), latency_ms {p50
    p90 p99 max}, outcomes and retried [{status outcome error count}], errors
    {error: example}, answer {status outcome error request_id text} (null
    unless --count is 1). Always sent = sum of outcomes, retries = sum of
    retried, attempts = sent + retries.

    Example: python -m service send 'http://127.0.0.1:8000/postback?c={click_id}&value={value}' --count 10

    Exit code: 0 every postback was finally answered 2xx, 1 some were not,
    2 bad usage, 130 interrupted.
    """
    from service.cli.send.player import Plan, parse_header

    try:
        policy = RetryPolicy(max_attempts=attempts if retry else 1, base=retry_base, cap=retry_cap)
        headers = tuple(map(parse_header, header or ()))
        plan = Plan(url, count, rate, concurrency, timeout, policy, value, seed, headers, insecure)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    _send(plan, as_json=json)


def _send(plan: "Plan", *, as_json: bool) -> NoReturn:
    """Send the postbacks of the plan, print what became of them, and end with the exit code."""
    from service.cli.send import report
    from service.cli.send.tally import Tally

    if plan.count > 1 and repeats(plan.template):
        say("note: no {click_id} and no {transaction_id}: one key for all postbacks, expect duplicates", err=True)
    tally = Tally(requested=plan.count)
    interrupted = _interrupted(plan, tally)
    say(*([report.as_json(tally)] if as_json else report.as_text(tally)))
    raise typer.Exit(_INTERRUPTED if interrupted else int(tally.accepted < plan.count))


def _interrupted(plan: "Plan", tally: "Tally") -> bool:
    """Play the plan to its end or to Ctrl-C, and return whether it was Ctrl-C."""
    import asyncio

    from service.cli.send.player import play

    try:
        with progress("sending", plan.count) if plan.count > 1 else nullcontext(lambda _: None) as advance:
            asyncio.run(play(plan, tally, lambda: advance(1)))
    except KeyboardInterrupt:
        return True
    return False
