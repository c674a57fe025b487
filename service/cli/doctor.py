"""Owns the command `doctor`: is anything wrong with this installation, and what to do about it."""

from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.printing import Json, print_json
from service.cli.setting_up import refuse, settings_or_refuse

if TYPE_CHECKING:
    from service.operations.examine.case import Case, Choices

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
_AcceptClock = Annotated[
    bool,
    typer.Option("--accept-clock", help="This machine's clock is right: retention deletes by it again, from now on."),
]


def doctor(  # noqa: PLR0913 - each parameter is one option of the command
    *,
    operator_url: _OperatorUrl = None,
    public_url: _PublicUrl = None,
    timeout: _Timeout = 3.0,
    deep: _Deep = False,
    probe: _Probe = False,
    offline: _Offline = False,
    accept_clock: _AcceptClock = False,
    as_json: Json = False,
) -> None:
    """Examine this installation: one line for each check, and what to do.

    Compares settings, running process, database file, clocks, certificates
    and the public URL. Run it with the service's own settings, as its user,
    while it serves: it only reads, and stores nothing without --probe or
    --accept-clock.

    Example: python -m service doctor --public-url https://track.example.com

    JSON keys: healthy, wrong, warnings, not_checked (counts), rows {outcome:
    rows}, checks [{name state sentence advice}]; a state is ok, warning,
    wrong or not_checked.

    Exit code: 0 nothing is wrong (read the warnings), 1 something is wrong,
    2 bad usage or configuration.
    """
    from service.cli import doctor_report
    from service.operations.examine.case import Choices
    from service.operations.examine.examination import examine

    if probe and offline:
        refuse(["--probe sends a postback and --offline sends nothing: use one of them"])
    choices = Choices(tuple(operator_url or ()), public_url, timeout, deep, probe, offline, accept_clock)
    report = examine(_case(choices), doctor_report.print_nothing if as_json else doctor_report.print_finding)
    if as_json:
        print_json(report.summary())
    else:
        doctor_report.print_summary(report)
    raise typer.Exit(0 if report.healthy else 1)


def _case(choices: "Choices") -> "Case":
    from service.operations.examine.case import Case
    from service.settings import slips

    settings = settings_or_refuse()
    if not (choices.operator_urls or choices.offline or settings.operator_port):
        refuse(["POSTBACK_OPERATOR_PORT=0 is any free port: say which with --operator-url, or use --offline"])
    return Case.of(settings, slips(), choices)
