"""Owns the limits that panels draw: the objectives of alerts/slo.rules.yml (a test compares) and its burn rates."""

AVAILABILITY = 0.999
LATENCY = 0.99
LATENCY_SECONDS = 0.25
BURN_TICKET, BURN_PAGE = 1.0, 14.4
