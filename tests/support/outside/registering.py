"""Owns what an operator types, and waits for: commands that tell JSON, changes that a service follows, and searches."""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.support.outside.harness import Service, command, wait_for
from tests.support.outside.wire import Answer, Wire, request

FOLLOWED_SECONDS = 10.0  # what docs/senders.md promises of every change
JSON, FORM, NDJSON = "application/json", "application/x-www-form-urlencoded", "application/x-ndjson"


def told(directory: Path, url: str, *arguments: str) -> dict[str, Any]:
    """Return what a command tells as JSON."""
    ended = command(directory, url, *arguments, "--json")
    assert ended.returncode == 0, ended.stderr
    return dict(json.loads(ended.stdout))


def done(directory: Path, url: str, *arguments: str) -> None:
    """Run a command that must succeed."""
    ended = command(directory, url, *arguments)
    assert ended.returncode == 0, ended.stderr


def after(change: Callable[[], None], seen: Callable[[], bool | None]) -> float:
    """Change something, and return after how many seconds it was seen."""
    change()
    began = time.monotonic()
    wait_for(seen, FOLLOWED_SECONDS, every=0.1)
    return time.monotonic() - began


def sent(service: Service, asked: bytes) -> Answer:
    """Send bytes on a connection of their own; return the answer."""
    with Wire(service.public) as wire:
        return wire.exchange(asked)


def posted(path: str, body: bytes, content_type: str, headers: Mapping[str, str]) -> bytes:
    """Return a POST's bytes."""
    return request(path, method="POST", headers={"Content-Type": content_type, **headers}, body=body)


def places(directory: Path, secrets: Iterable[bytes], *pages: bytes) -> list[str]:
    """Return where one of the secrets is, in whatever case: files below a directory, and pages by number."""
    files = {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    held = [*files.items(), *((f"page {number}", page) for number, page in enumerate(pages))]
    wanted = [secret.lower() for secret in secrets]
    return [where for where, text in held if any(secret in text.lower() for secret in wanted)]
