"""Owns the reading of docker-compose.yml."""

from typing import Any

import yaml

from tests.support.documents import REPOSITORY

COMPOSE = REPOSITORY / "docker-compose.yml"
Described = dict[str, Any]


def described() -> Described:
    """Return the compose file."""
    read: Described = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return read


SERVICES: dict[str, Described] = described()["services"]
