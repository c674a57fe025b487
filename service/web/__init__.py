"""Owns HTTP: doors that turn requests into raw postbacks, and everything the two listeners answer."""
