"""Reconciling: a partner's list beside what is stored, and why the two differ."""
