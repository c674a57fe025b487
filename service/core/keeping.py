"""Owns why a rejected postback is counted and not kept."""

from enum import StrEnum


class NotKept(StrEnum):
    """Why its input is not there; the value is a metric's label."""

    SAMPLED = "sampled"  # a stranger's, and its address or all strangers send more than is kept
    STRANGERS_FULL = "strangers_full"  # a stranger's, and theirs have no room left
    SENDER_FULL = "sender_full"  # a known sender's, which has more than its part, and room is not made fast enough
