"""Owns the database and the intake that the tests of this folder watch."""

from tests.support.engines import path, sqlite_ledger
from tests.support.watched_intake import watched

__all__ = ["path", "sqlite_ledger", "watched"]
