"""Owns the way from a database URL to a location: which engine, and where."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

_LOOKS_LIKE = "it looks like sqlite:///data/postback.db or postgresql://user:password@host/postback"


@dataclass(frozen=True, slots=True)
class SqliteFile:
    """A file on this machine, with one writing process."""

    path: Path


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A database on a server, or on one of several: connection parameters as libpq names them, a password among them.

    `name` is for people and holds no password.
    """

    name: str
    parameters: Mapping[str, str] = field(repr=False)


Location = SqliteFile | PostgresServer
_POSTGRES = re.compile(r"(?:postgres|postgresql|postgresql\+psycopg)://")


def location_of(url: str) -> Location:
    """Return what a database URL stands for. Raises ValueError, which never repeats the URL: it may hold a password."""
    if prefix := _POSTGRES.match(url):
        return _server_of(f"postgresql://{url[prefix.end() :]}")
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ValueError(f"not a database URL; {_LOOKS_LIKE}") from None
    if parsed.get_backend_name() != "sqlite":
        raise ValueError(f"only SQLite and PostgreSQL are supported; {_LOOKS_LIKE}")
    if not parsed.database or parsed.database == ":memory:":
        raise ValueError("an in-memory database keeps nothing: name a file, as in sqlite:///data/postback.db")
    return SqliteFile(Path(parsed.database))


def _server_of(url: str) -> PostgresServer:
    """Read the URL as libpq does (manual, 34.1.1.2): several hosts, sockets, and every parameter it knows."""
    from psycopg import ProgrammingError  # noqa: PLC0415 - 60 ms that SQLite's users need not wait for
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415 - same

    try:
        parameters = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    except ProgrammingError:
        raise ValueError(
            "not a URL that PostgreSQL's client library understands (percent-encode what is special in a password); "
            "it looks like postgresql://user:password@host:5432/postback"
        ) from None
    hosts = parameters.get("host", "").split(",")
    ports = parameters.get("port", "").split(",")
    if not all(port == "" or port.isdecimal() for port in ports):
        raise ValueError("a port of PostgreSQL's is a number, as in postgresql://user:password@host:5432/postback")
    if len(hosts) > 1:
        parameters.setdefault("target_session_attrs", "read-write")  # a standby cannot store anything
    shown = [f"{host}:{port}" if port else host for host, port in zip_longest(hosts, ports, fillvalue=ports[-1])]
    return PostgresServer(f"postgresql://{','.join(shown)}/{parameters.get('dbname', '')}", parameters)
