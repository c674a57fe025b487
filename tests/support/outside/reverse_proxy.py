"""Owns nginx and Caddy in front of the service, configured by the very text of docs/reverse-proxy.md."""

import os
import re
import ssl
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.outside.harness import REPOSITORY, START_SECONDS, wait_for
from tests.support.outside.postgres import free_port
from tests.support.outside.strangers import certificate
from tests.support.outside.tools import need, search_path
from tests.support.outside.wire import Address, Answer, Wire, refused

NAME = "postbacks.example"


@dataclass
class ReverseProxy:
    """A running proxy; `directory` has everything that it writes."""

    address: Address
    trusted: Path
    directory: Path

    def exchange(self, asked: bytes, source: str = "127.0.0.1") -> Answer:
        """Send a request by TLS, on a connection of its own from some address of this machine."""
        tls = ssl.create_default_context(cafile=str(self.trusted))
        with Wire(self.address, timeout=60, tls=tls, source=source) as wire:
            return wire.exchange(asked)


@contextmanager
def reverse_proxy(kind: str, directory: Path, upstream: Address) -> Iterator[ReverseProxy]:
    """Run `nginx` or `caddy` before the service at `upstream`; ended by its own process id."""
    need(kind)
    directory.mkdir()
    cert, key = certificate(directory, 9, NAME, "localhost")
    address = "127.0.0.1", free_port()
    text = _moved(configuration(kind), kind, directory, address, upstream)
    with (directory / "output").open("wb") as output:
        process = subprocess.Popen(
            _COMMANDS[kind](directory, text),
            env={**os.environ, "PATH": search_path(), "HOME": str(directory)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        wait_for(lambda: process.poll() is not None or not refused(address) or None, START_SECONDS)
        assert process.poll() is None, (directory / "output").read_text(encoding="utf-8")
        yield ReverseProxy(address, cert, directory)
    finally:
        process.terminate()
        process.wait(START_SECONDS)
        key.unlink()


def configuration(kind: str) -> str:
    """Return the page's configuration."""
    page = (REPOSITORY / "docs" / "reverse-proxy.md").read_text(encoding="utf-8")
    (text,) = re.findall(rf"^```{kind}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return str(text)


def _moved(text: str, kind: str, directory: Path, address: Address, upstream: Address) -> str:
    """Put this test's addresses and files where the page has a production machine's, and change nothing else."""
    first = "\tauto_https disable_redirects\n"
    here = f"{first}\tadmin off\n\tdefault_bind {address[0]}\n\thttps_port {address[1]}\n"
    port = {"nginx": ("listen 443", f"listen {address[0]}:{address[1]}"), "caddy": (first, here)}
    moves: Mapping[str, str] = {
        **dict([port[kind]]),
        "127.0.0.1:8000": f"{upstream[0]}:{upstream[1]}",
        f"/etc/ssl/{NAME}.pem": str(directory / f"9-{NAME}.pem"),
        f"/etc/ssl/private/{NAME}.key": str(directory / f"9-{NAME}.key"),
        f"/var/log/{kind}/": f"{directory}/",
    }
    for old, new in moves.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def _nginx(directory: Path, text: str) -> list[str]:
    page, main = directory / "postback.conf", directory / "nginx.conf"
    page.write_text(text, encoding="utf-8")
    user = "user root;" if os.geteuid() == 0 else ""  # its workers would be nobody, who may not write here
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{kind}_temp_path {directory}/{kind};" for kind in kinds)
    main.write_text(
        f"{user} daemon off; pid {directory}/pid; events {{}} http {{ {temporary} include {page}; }}", encoding="utf-8"
    )
    return ["nginx", "-e", str(directory / "start.log"), "-p", str(directory), "-c", str(main)]


def _caddy(directory: Path, text: str) -> list[str]:
    page = directory / "Caddyfile"
    page.write_text(text, encoding="utf-8")
    return ["caddy", "run", "--config", str(page), "--adapter", "caddyfile"]


_COMMANDS: dict[str, Callable[[Path, str], list[str]]] = {"nginx": _nginx, "caddy": _caddy}
