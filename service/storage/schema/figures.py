"""Owns how the shares of the quarantine are read: the bytes of each, whatever the number of its slots."""

from sqlalchemy import BigInteger, Select, cast, func, select
from sqlmodel import col

from service.storage.schema.housekeeping import QuarantineShare


def share_figures() -> "Select[str, int]":
    """Return the query for each share and its bytes."""
    share = col(QuarantineShare.share)
    return select(share, cast(func.sum(col(QuarantineShare.bytes)), BigInteger)).group_by(share)
