"""The recipes of docs/signatures.md make what the service takes, copied out of the page as they stand."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from service.auth.signature import Secret, SignedRequest, check, check_query, new_secret, without_signature
from service.core.outcome import Rejected
from tests.support.documents import document
from tests.support.outside.tools import need

pytestmark = pytest.mark.processes

LANGUAGES: dict[str, Callable[[Path], list[str]]] = {
    "python": lambda script: [sys.executable, str(script)],
    "php": lambda script: ["php", str(script)],
    "bash": lambda script: ["bash", "-eu", "-o", "pipefail", str(script)],
}
TOOLS = {"python": (), "php": ("php",), "bash": ("bash", "openssl", "od", "tr", "cut")}


def recipes(language: str) -> list[str]:
    """Return the page's blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", document("signatures.md"), re.MULTILINE | re.DOTALL)


def cook(language: str, recipe: str, directory: Path, **environment: str) -> str:
    """Run a recipe; return what it printed."""
    need(*TOOLS[language])
    script = directory / "recipe"
    script.write_text(recipe, encoding="utf-8")
    command = LANGUAGES[language](script)
    variables = {**os.environ, **environment}
    return subprocess.run(command, env=variables, check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_recipe_signs_a_query_that_is_taken_in_five_lines(language: str, tmp_path: Path) -> None:
    secret, recipe = new_secret(), recipes(language)[0]
    url = urlsplit(cook(language, recipe, tmp_path, SECRET=secret.written()).strip())
    query = url.query.encode()
    check_query(query, [Secret(bytes(32)), secret], time.time())
    assert without_signature(query) == b"c=6f1c2a&value=1.50"
    with pytest.raises(Rejected, match="no secret matches"):
        check_query(query, [new_secret()], time.time())
    assert len(recipe.removeprefix("<?php\n").replace("\n\n", "\n").splitlines()) <= 5


def test_the_recipe_for_a_body_sends_what_is_taken(tmp_path: Path) -> None:
    received: list[tuple[list[tuple[bytes, bytes]], bytes]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            received.append(([(name.lower().encode(), text.encode()) for name, text in self.headers.items()], body))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"Success")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    secret = new_secret()
    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        serving = threading.Thread(target=server.handle_request, daemon=True)
        serving.start()
        url = f"http://127.0.0.1:{server.server_port}/postback"
        said = cook("python", recipes("python")[1], tmp_path, SECRET=secret.written(), URL=url, no_proxy="127.0.0.1")
        serving.join(60)
    ((headers, body),) = received
    content_type = dict(headers)[b"content-type"].decode()
    check(SignedRequest(b"", content_type, headers, body), [secret], time.time())
    assert (said, body) == ("Success\n", b'{"c": "6f1c2a", "value": "1.50"}')
