"""Owns the databases that the tests of this folder write to."""

from tests.support.engines import engine, ledger, lent, path, postgres_url, server, sqlite_ledger

__all__ = ["engine", "ledger", "lent", "path", "postgres_url", "server", "sqlite_ledger"]
