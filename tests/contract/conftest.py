"""Owns how the tests of this folder run commands."""

from tests.support.commands import at_terminal, bare, service

__all__ = ["at_terminal", "bare", "service"]
