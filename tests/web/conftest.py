"""Owns the service that web tests talk to."""

from tests.support.served import served

__all__ = ["served"]
