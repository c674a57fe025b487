"""Owns the entry `python -m stack`."""

import argparse
import asyncio
import dataclasses
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from stack.configuration import ALERTS, Ports, PortTaken, configuration
from stack.programs import Missing, Program, programs
from stack.running import Failed, run

_ABOUT = """\
Runs the service with everything that watches it, on this machine and without Docker:

  service        takes postbacks        http://127.0.0.1:8000/postback?c=…&value=…
                 operator listener      http://127.0.0.1:8001/metrics, /readyz
  Prometheus     scrapes the service and evaluates the rules in alerts/
  Alertmanager   groups what fires and sends it on (alerts/alertmanager.yml)
  receiver       stands in for your pager: prints each alert, and shows the last ones at /alerts

The configuration files are the very ones that docker-compose.yml mounts. Everything listens on loopback. Lines of each
program come out with its name in front. Ctrl-C or SIGTERM stops all four, the service first.
"""
_HIGHEST_PORT = 65_535
_EXAMPLES = """\
examples:
  python -m stack                        the usual ports, everything kept in ./data
  python -m stack --free-ports           beside something that has these ports
  python -m stack --prometheus-port 0    any free port for one of them
  python -m stack --data /tmp/try        a place of its own for the database, the series and the silences

needs: prometheus and prometheus-alertmanager (apt install prometheus prometheus-alertmanager)
exit code: 0 after a signal, 1 when a program ended or did not become ready, 2 when it could not be started
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the stack until a signal; return the exit code."""
    chosen = _parser().parse_args(arguments)
    data = Path(chosen.data or "data").absolute()
    with tempfile.TemporaryDirectory(prefix="postback-stack-") as directory:
        try:
            ports = _ports(chosen).chosen()
            files = configuration(ports, Path(directory), Path(chosen.alerts).absolute())
            children = programs(ports, files, data, _settings(data if chosen.data else None))
            data.mkdir(parents=True, exist_ok=True)
        except (Missing, PortTaken, OSError) as error:
            return _failed(error, 2)
        try:
            asyncio.run(run(children, _announcement(children)))
        except (Failed, OSError) as error:
            return _failed(error, 1)
    return 0


def _failed(error: Exception, code: int) -> int:
    print(f"stack: {error}", file=sys.stderr)  # noqa: T201 - the one clear line
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stack",
        description=_ABOUT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for field in dataclasses.fields(Ports):
        text = f"port of the {field.name} listener (default: {field.default}; 0: any free one)"
        parser.add_argument(f"--{field.name}-port", type=_port, metavar="N", help=text)
    parser.add_argument("--free-ports", action="store_true", help="take any free port for every one not given")
    parser.add_argument("--alerts", metavar="DIR", default=ALERTS, help="another folder like alerts/, to try rules in")
    parser.add_argument("--data", metavar="DIR", help="where everything is kept (default: data)")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > _HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"{text} is no port: 0 to {_HIGHEST_PORT}")
    return int(text)


def _ports(chosen: argparse.Namespace) -> Ports:
    given = {field.name: getattr(chosen, f"{field.name}_port") for field in dataclasses.fields(Ports)}
    default = dict.fromkeys(given, 0) if chosen.free_ports else dataclasses.asdict(Ports())
    return Ports(**{name: default[name] if port is None else port for name, port in given.items()})


def _settings(data: Path | None) -> dict[str, str]:
    """Return settings of the service: its database in a given place, lines for people on a terminal."""
    settings = {}
    if data:
        settings["POSTBACK_DATABASE_URL"] = f"sqlite:///{data / 'postback.db'}"
    if sys.stdout.isatty():
        settings["POSTBACK_LOG_FORMAT"] = os.environ.get("POSTBACK_LOG_FORMAT", "console")
    return settings


def _announcement(children: Sequence[Program]) -> list[str]:
    urls = {child.name: child.url for child in children}
    (operator,) = (child.ready.removesuffix("/readyz") for child in children if child.name == "service")
    return [
        "ready",
        f"service       {urls['service']}   curl '{urls['service']}/postback?c=my-first-click&value=1.50'",
        f"operator      {operator}/metrics",
        f"prometheus    {urls['prometheus']}   the alerts: {urls['prometheus']}/alerts",
        f"alertmanager  {urls['alertmanager']}",
        f"receiver      {urls['receiver']}   what was paged",
    ]


if __name__ == "__main__":
    sys.exit(main())
