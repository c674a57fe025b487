"""Owns the service that operator tests talk to."""

from tests.web.conftest import served

__all__ = ["served"]
