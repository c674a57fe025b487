"""Owns a real OAuth server beside the service: its start and end, its commands, and tokens that a sender asks for."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.support.outside.harness import REPOSITORY
from tests.support.outside.tools import need, need_issuer

_PROGRAM = REPOSITORY / "tests" / "oauth" / "issuer.js"


@dataclass
class OAuthServer:
    """The running server: a client for each algorithm, which is named after it."""

    process: subprocess.Popen[str]
    url: str
    audience: str

    def command(self, word: str) -> None:
        """Change what it does: `rotate` replaces its keys, `late` ends its tokens before it gives them."""
        assert self.process.stdin
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        _said(self.process)

    def token(self, client: str = "RS256", **changes: str | None) -> str:
        """Return an access token, asked for as docs/oauth.md says; without a `resource` it is opaque."""
        need("curl")
        form = {"grant_type": "client_credentials", "scope": "postback", "resource": self.audience, **changes}
        fields = [part for name, value in form.items() if value is not None for part in ("-d", f"{name}={value}")]
        asked = ["curl", "-s", "--noproxy", "*", "-u", f"{client}:secret", *fields, f"{self.url}/token"]
        answer = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=60).stdout
        return str(json.loads(answer)["access_token"])

    def die(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait(60)


@contextmanager
def oauth_server() -> Iterator[OAuthServer]:
    """Run the server; it is killed at the end. Skips the test, or fails it, where it is not installed."""
    need_issuer()
    pipe = subprocess.PIPE
    with subprocess.Popen(
        ["node", str(_PROGRAM)], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            said = _said(process)
            yield OAuthServer(process, said["issuer"], said["audience"])
        finally:
            process.kill()


def _said(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Return the next line that is ours; the server's own notices are not JSON."""
    assert process.stdout
    return dict(json.loads(next(line for line in process.stdout if line.startswith("{"))))
