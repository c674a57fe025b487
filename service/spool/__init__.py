"""Owns the spool: what the database does not take in time waits in a local durable journal, and follows later."""
