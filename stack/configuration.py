"""Owns which configuration the stack runs on: the committed files in alerts/, with other targets for other ports."""

import dataclasses
import socket
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
ALERTS = REPOSITORY / "alerts"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Ports:
    """The port of each listener, all on loopback; 0 stands for any free one until `chosen`."""

    service: int = 8000
    operator: int = 8001
    prometheus: int = 9090
    alertmanager: int = 9093
    receiver: int = 9095

    def chosen(self) -> "Ports":
        """Return the same with a free port for each 0. Raises PortTaken when one of the others is in use."""
        wanted = dataclasses.asdict(self)
        held = {}
        try:
            for name, port in wanted.items():
                held[name] = _held(name, port)
            return Ports(**{name: listening.getsockname()[1] for name, listening in held.items()})
        finally:
            for listening in held.values():
                listening.close()


class PortTaken(Exception):  # noqa: N818 - what happened
    """A port is in use, or not ours; the message says which and what to do."""


def _held(name: str, port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port))
        listening.listen(1)  # without it, a port in use by SO_REUSEADDR sockets could be bound
    except OSError as error:
        listening.close()
        raise PortTaken(
            f"port {port} ({name}) cannot be used: {error.strerror}. End what listens there, or choose another with "
            f"--{name}-port (0 takes any free one)"
        ) from error
    return listening


@dataclass(frozen=True, slots=True)
class Configuration:
    """The files that Prometheus and Alertmanager are started with."""

    prometheus: Path
    alertmanager: Path


def configuration(ports: Ports, directory: Path, alerts: Path = ALERTS) -> Configuration:
    """Return the files in `alerts` for the default ports; for others, a twin of them in `directory`.

    In the twin prometheus.yml and the rules are links to the original ones, so that only the two files with targets
    differ, and for another receiver its port in alertmanager.yml, where Alertmanager knows no other way.
    """
    default = Ports()
    own_targets = (ports.operator, ports.alertmanager) == (default.operator, default.alertmanager)
    alertmanager = alerts / "alertmanager.yml"
    if ports.receiver != default.receiver:
        alertmanager = directory / "alertmanager.yml"
        text = (alerts / "alertmanager.yml").read_text(encoding="utf-8")
        alertmanager.write_text(text.replace(f":{default.receiver}/", f":{ports.receiver}/"), encoding="utf-8")
    prometheus = alerts / "prometheus.yml" if own_targets else _twin(ports, directory, alerts)
    return Configuration(prometheus, alertmanager)


def _twin(ports: Ports, directory: Path, alerts: Path) -> Path:
    for original in (alerts / "prometheus.yml", *alerts.glob("*.rules.yml")):
        (directory / original.name).symlink_to(original)
    targets = directory / "targets"
    targets.mkdir()
    for name, port in (("postback", ports.operator), ("alertmanager", ports.alertmanager)):
        (targets / f"{name}.yml").write_text(f'- targets: ["{LOOPBACK}:{port}"]\n', encoding="utf-8")
    return directory / "prometheus.yml"
