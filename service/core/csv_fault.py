"""Owns what is said of a record of CSV that cannot be read."""

import csv


def csv_fault(error: csv.Error) -> str:
    """Say what is wrong with a record; the reader's own words for a line end in it are about opening files."""
    if "new-line character" in str(error):
        return r"a line end within a row: quote it, or end lines with \n or \r\n"
    return str(error)[:200]
