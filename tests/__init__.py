"""Owns nothing: makes `tests.system` importable under --import-mode=importlib."""
