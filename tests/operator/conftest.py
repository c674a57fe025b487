"""Owns the service that operator tests talk to."""

from tests.support.served import served

__all__ = ["served"]
