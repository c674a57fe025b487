"""Owns what a row is that leaves as a file: its columns, and what may be in them."""

from collections.abc import Mapping

Cell = str | int | None
Members = Mapping[str, object]  # a row: JSON values by column, the same columns in the same order in every row
Types = Mapping[str, object]  # the columns of rows, in order, and what is in each, as an annotation says it
