"""Owns the databases that the tests of this folder write to."""

from tests.support.engines import engine, ledger, lent, path, postgres_url, server, sqlite_ledger
from tests.support.postgres_ledger import both_ways

__all__ = ["both_ways", "engine", "ledger", "lent", "path", "postgres_url", "server", "sqlite_ledger"]
