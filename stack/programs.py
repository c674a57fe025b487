"""Owns what is started, with which options, in which order, and where each program says that it is ready."""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stack.configuration import LOOPBACK, REPOSITORY, Configuration, Ports

RETENTION = "35d"  # the objectives look back 30 days
_PACKAGES = {"prometheus": "prometheus", "prometheus-alertmanager": "prometheus-alertmanager"}  # Debian's


@dataclass(frozen=True, slots=True)
class Program:
    """One child process: how it is shown, started, and asked whether it is ready (200 on `ready`)."""

    name: str
    command: Sequence[str]
    ready: str
    url: str
    environment: Mapping[str, str] = field(default_factory=dict)


class Missing(Exception):  # noqa: N818 - what happened
    """A program is not installed; the message says how to get it."""


def programs(ports: Ports, files: Configuration, data: Path, service: Mapping[str, str]) -> list[Program]:
    """Return the programs in the order of starting; they are stopped in the opposite one.

    Whoever is told comes before who tells: the receiver, Alertmanager, Prometheus, and the service that they watch.
    Its `service` settings come on top of the ports. Raises Missing.
    """
    prometheus, alertmanager = (_binary(name) for name in ("prometheus", "prometheus-alertmanager"))
    return [
        _receiver(ports),
        _alertmanager(alertmanager, ports, files, data),
        _prometheus(prometheus, ports, files, data),
        _service(ports, service),
    ]


def _receiver(ports: Ports) -> Program:
    url = f"http://{LOOPBACK}:{ports.receiver}"
    command = [sys.executable, "-m", "stack.receiver", "--host", LOOPBACK, "--port", str(ports.receiver)]
    return Program("receiver", command, f"{url}/healthz", f"{url}/alerts", _python_environment())


def _alertmanager(binary: str, ports: Ports, files: Configuration, data: Path) -> Program:
    url = f"http://{LOOPBACK}:{ports.alertmanager}"
    command = [
        binary,
        f"--config.file={files.alertmanager}",
        f"--storage.path={data / 'alertmanager'}",
        f"--web.listen-address={LOOPBACK}:{ports.alertmanager}",
        f"--web.external-url={url}",
        "--cluster.listen-address=",  # one of them needs no cluster
        "--log.level=warn",
    ]
    return Program("alertmanager", command, f"{url}/-/ready", url)


def _prometheus(binary: str, ports: Ports, files: Configuration, data: Path) -> Program:
    url = f"http://{LOOPBACK}:{ports.prometheus}"
    command = [
        binary,
        f"--config.file={files.prometheus}",
        f"--storage.tsdb.path={data / 'prometheus'}",
        f"--storage.tsdb.retention.time={RETENTION}",
        "--storage.tsdb.retention.size=4GB",
        "--enable-feature=exemplar-storage",
        f"--web.listen-address={LOOPBACK}:{ports.prometheus}",
        f"--web.external-url={url}",
        "--log.level=warn",
    ]
    return Program("prometheus", command, f"{url}/-/ready", url)


def _service(ports: Ports, settings: Mapping[str, str]) -> Program:
    addresses = {
        "POSTBACK_HOST": LOOPBACK,
        "POSTBACK_PORT": str(ports.service),
        "POSTBACK_OPERATOR_HOST": LOOPBACK,
        "POSTBACK_OPERATOR_PORT": str(ports.operator),
    }
    return Program(
        "service",
        [sys.executable, "-m", "service", "run"],
        f"http://{LOOPBACK}:{ports.operator}/readyz",
        f"http://{LOOPBACK}:{ports.service}",
        {**_python_environment(), **addresses, **settings},
    )


def _python_environment() -> dict[str, str]:
    """Return what lets `python -m` find this tree from any working directory."""
    path = os.pathsep.join(filter(None, (str(REPOSITORY), os.environ.get("PYTHONPATH"))))
    return {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def _binary(name: str) -> str:
    found = shutil.which(name)
    if found is None and name == "prometheus-alertmanager":
        found = shutil.which("alertmanager")  # its name outside Debian
    if found is None:
        raise Missing(f"{name} is not installed: apt install {' '.join(_PACKAGES.values())}")
    return found
