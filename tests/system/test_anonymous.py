"""Seen from outside, over a real socket: no answer tells which program, or which version of it, gave it."""

import re
from pathlib import Path

import pytest

from tests.support.outside.harness import Service
from tests.support.outside.wire import Wire, request

pytestmark = pytest.mark.system

TELLING = r"uvicorn|starlette|python|httptools|sqlite"
ASKED = [
    request("/postback?c=a&value=1.50"),
    request("/postback?c=a"),
    request("/postback", method="POST", headers={"Content-Type": "application/json"}, body=b"{"),
    request("/pixel.gif?c=a"),
    request("/postbacks", method="POST", headers={"Content-Type": "text/plain"}, body=b"x"),
    request("/healthz"),
    request("/metrics"),
    request("/"),
    request("/postback", method="TRACE"),
    b"not HTTP\r\n\r\n",
]


def test_no_answer_of_the_public_listener_names_a_program_or_a_version(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        (version,) = service.metrics().by_label("postback_build_info", "version")
        telling = re.compile(f"{TELLING}|{re.escape(version)}", re.IGNORECASE)
        for asked in ASKED:
            with Wire(service.public) as wire:
                wire.send(asked)
                answer = wire.answer()
            told = f"{dict(answer.headers)} {answer.body.decode('latin-1')}".replace(
                answer.headers.get("x-request-id", "-"), ""
            )
            assert not {"server", "x-powered-by", "via"} & answer.headers.keys(), asked
            assert not telling.search(told), told
