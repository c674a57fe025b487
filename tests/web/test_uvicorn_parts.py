"""What the wire uses of uvicorn is this and no more; a version that nobody tried is not installed."""

import re
import tomllib
from pathlib import Path

import uvicorn

from service.web import wire

SOURCES = {path.name: path.read_text() for path in Path(wire.__file__).parent.glob("*.py")}
USED_OF_CONFIG = {"loaded_app", "asgi_version", "ssl", "backlog", "http_protocol_class"}
USED_OF_STATE = {"connections", "tasks", "default_headers"}


def used(pattern: str, *files: str) -> set[str]:
    """Return what the pattern's group finds in these files, or in all."""
    return {
        found for name, text in SOURCES.items() if name in (files or SOURCES) for found in re.findall(pattern, text)
    }


def test_the_modules_of_uvicorn_are_its_config_and_its_server() -> None:
    assert used(r"^(?:from|import) (uvicorn[\w.]*)") | used(r"\n(?:from|import) (uvicorn[\w.]*)") == {
        "uvicorn",
        "uvicorn.config",
        "uvicorn.server",
    }
    assert used(r"from uvicorn[\w.]* import (.+)") == {"Config", "ServerState"}


def test_a_connection_uses_what_it_is_given() -> None:
    files = ("connection.py", "bounded_connection.py", "http_server.py")
    assert used(r"\b_?config\.(\w+)", *files) == USED_OF_CONFIG
    assert used(r"\b(?:_|server_)state\.(\w+)", *files) == USED_OF_STATE


def test_uvicorn_has_it() -> None:
    config = uvicorn.Config("tests.support.in_memory:echo", lifespan="off", log_config=None)
    config.load()
    server = uvicorn.Server(config)
    assert all(hasattr(config, name) for name in USED_OF_CONFIG)
    assert all(hasattr(server.server_state, name) for name in USED_OF_STATE)
    assert {"startup", "on_tick", "capture_signals", "shutdown", "serve"} <= set(dir(server))


def test_the_next_minor_version_is_not_taken_untried() -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    bounds = [one for one in project["dependencies"] if re.match(r"(uvicorn|httptools)\b", one)]
    assert len(bounds) == 2
    assert all(re.search(r",<\d+\.\d+$", one) for one in bounds)
