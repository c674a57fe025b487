"""Owns the command `doctor`: is anything wrong with this installation, in plain words, and what to do about it."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.setting_up import refuse, settings_or_refuse

if TYPE_CHECKING:
    from service.operations.examine.case import Case, Finding

_READING_SECONDS = 10.0  # of one question to the database: a long read keeps the WAL from shrinking

_OperatorUrl = Annotated[
    list[str] | None,
    typer.Option(
        help="Operator listener of the running service, once for each worker; by default as the settings say."
    ),
]
_PublicUrl = Annotated[
    str | None,
    typer.Option(help="Address that senders use, e.g. https://track.example.com; by default the listener's."),
]
_Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds to wait for each connection and answer.")]
_Deep = Annotated[
    bool, typer.Option("--deep", help="Read everything, however long it takes: indexes too. At quiet times.")
]
_Probe = Annotated[
    bool,
    typer.Option(
        "--probe", help="Send one real postback without a value: a rejected row of click id postback-doctor-…"
    ),
]
_Offline = Annotated[bool, typer.Option("--offline", help="The service is stopped on purpose: look at files only.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")]


def doctor(  # noqa: PLR0913 - each parameter is one option of the command
    *,
    operator_url: _OperatorUrl = None,
    public_url: _PublicUrl = None,
    timeout: _Timeout = 3.0,
    deep: _Deep = False,
    probe: _Probe = False,
    offline: _Offline = False,
    as_json: _Json = False,
) -> None:
    """Examine this installation: one line for each check, and what to do.

    Compares settings, running process, database file, clocks, certificates
    and the public URL. Run it with the service's own settings, as its user,
    while it serves: it only reads, and stores nothing without --probe.

    Example: python -m service doctor --public-url https://track.example.com

    JSON keys: healthy, wrong, warnings, not_checked (counts), rows {outcome:
    rows}, checks [{name state sentence advice}]; a state is ok, warning,
    wrong or not_checked.

    Exit code: 0 nothing is wrong (read the warnings), 1 something is wrong,
    2 bad usage or configuration.
    """
    from service.cli import doctor_report
    from service.operations.examine.case import State

    if probe and offline:
        refuse(["--probe sends a postback and --offline sends nothing: use one of them"])
    case = _case(operator_url, public_url, timeout=timeout, deep=deep, probe=probe, offline=offline)
    rows: dict[str, int] = {}
    report = doctor_report.Report(as_json=as_json)
    for finding in _examine(case, rows):
        report.add(finding)
    report.end(rows)
    raise typer.Exit(int(report.count(State.WRONG) > 0))


def _case(  # noqa: PLR0913 - the options again
    operator_url: list[str] | None, public_url: str | None, *, timeout: float, deep: bool, probe: bool, offline: bool
) -> "Case":
    from service.operations.examine.case import Case
    from service.operations.examine.http import checked_url
    from service.operations.examine.public_listener import local_url
    from service.settings import unknown_settings
    from service.storage.database import database_at

    settings = settings_or_refuse()
    if not (operator_url or offline or settings.operator_port):
        refuse(["POSTBACK_OPERATOR_PORT=0 is any free port: say which with --operator-url, or use --offline"])
    ports = range(settings.operator_port, settings.operator_port + settings.workers)
    operators = operator_url or [local_url(settings.operator_host, port, tls=False) for port in ports]
    local = local_url(settings.host, settings.port, tls=settings.tls_cert is not None) if settings.port else None
    try:
        return Case(
            settings=settings,
            unknown_settings=unknown_settings(os.environ),
            database=database_at(settings.database_url),
            operator_urls=[] if offline else [checked_url(url) for url in operators],
            public_url=checked_url(public_url) if public_url else local,
            public_given=public_url is not None,
            timeout=timeout,
            seconds=None if deep else _READING_SECONDS,
            deep=deep,
            probe=probe,
        )
    except ValueError as error:
        refuse([str(error)])


def _examine(case: "Case", rows: dict[str, int]) -> "Iterator[Finding]":
    """Yield every finding, in the order of the report; the rows by outcome go into `rows`."""
    from service.operations.examine import clocks as doctor_time
    from service.operations.examine import configuration as doctor_configuration
    from service.operations.examine import conservation as doctor_conservation
    from service.operations.examine import database as doctor_schema
    from service.operations.examine import keys as doctor_keys
    from service.operations.examine import operator_listener as doctor_operator
    from service.operations.examine import public_listener as doctor_public
    from service.operations.examine import spool as doctor_spool

    yield doctor_configuration.settings(case)
    operators, reached = doctor_operator.reach(case)
    yield reached
    yield from doctor_configuration.same_database(case, operators)
    yield from doctor_operator.check(operators)
    yield from doctor_schema.check(case)
    yield from doctor_keys.check(case)
    counted, findings = doctor_conservation.check(case, operators)
    rows.update(counted)
    yield from findings
    yield from doctor_spool.check(case, operators)
    yield doctor_time.check_clock()
    yield from doctor_time.check_certificate(case, operators)
    yield from doctor_public.check(case, {operator.process for operator in operators})
