"""Owns a real OAuth server as a program: its start and end, its commands, and the tokens that it gives."""

import asyncio
import json
import subprocess
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypedDict
from urllib.parse import urlsplit

import httpx2
import pytest

from service.auth.oauth.issuer import Issuer
from tests.support.documents import REPOSITORY
from tests.support.fakes import in_time
from tests.support.outside.tools import need_issuer

_PROGRAM = REPOSITORY / "tests" / "oauth" / "issuer.js"
_PATIENCE = 60.0  # on a busy machine


class _Said(TypedDict):
    issuer: str
    audience: str
    kids: list[str]


@dataclass
class RealIssuer:
    """The running server: oidc-provider, with a client for each algorithm, which is named after it."""

    process: Process
    issuer: Issuer
    kids: list[str]

    async def command(self, word: str) -> None:
        """Change the keys: `rotate` replaces them, `overlap` adds new ones that sign from now on."""
        assert self.process.stdin
        self.process.stdin.write(f"{word}\n".encode())
        self.kids = (await _said(self.process))["kids"]

    async def token(self, client: str = "RS256", **changes: str | None) -> str:
        """Return an access token by the client credentials grant; without a `resource` it is opaque."""
        form = {"grant_type": "client_credentials", "scope": "postback", "resource": self.issuer.audience, **changes}
        fields = {name: value for name, value in form.items() if value is not None}
        async with httpx2.AsyncClient(auth=(client, "secret"), trust_env=False) as http:
            answer = await in_time(http.post(f"{self.issuer.url}/token", data=fields))
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    @property
    def port(self) -> int:
        """Return where it listens."""
        return urlsplit(self.issuer.url).port or 0


@asynccontextmanager
async def real_issuer(port: int = 0) -> AsyncIterator[RealIssuer]:
    """Run the server; it is killed at the end. Skips the test, or fails it, where it is not installed."""
    need_issuer()
    process = await asyncio.create_subprocess_exec(
        "node", str(_PROGRAM), str(port), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        said = await _said(process)
        yield RealIssuer(process, Issuer(said["issuer"], said["audience"]), said["kids"])
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _said(process: Process) -> _Said:
    """Return the next line that is ours; the server's own notices are not JSON."""
    assert process.stdout
    async with asyncio.timeout(_PATIENCE):
        while line := await process.stdout.readline():
            if line.startswith(b"{"):
                said: _Said = json.loads(line)
                return said
    pytest.fail("the issuer ended")
