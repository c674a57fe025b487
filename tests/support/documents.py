"""Owns the reading of what the repository promises in prose: the tables of its documents."""

from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
Row = list[str]


def document(name: str) -> str:
    """Return the text of one of the documents."""
    return (REPOSITORY / "docs" / name).read_text(encoding="utf-8")


def table(name: str, first_header: str) -> list[Row]:
    """Return the rows of the table whose first column is headed so: cells as they stand, without outer backticks."""
    lines = document(name).splitlines()
    start = next(number for number, line in enumerate(lines) if _cells(line)[:1] == [first_header])
    rows = []
    for line in lines[start + 2 :]:  # below the header and its rule
        if not line.startswith("|"):
            break
        rows.append(_cells(line))
    return rows


def words(name: str, first_header: str) -> list[str]:
    """Return the first column of such a table."""
    return [row[0] for row in table(name, first_header)]


def _cells(line: str) -> Row:
    if not line.startswith("|"):
        return []
    escaped = line.strip().strip("|").replace(r"\|", "\0")
    cells = [cell.strip().replace("\0", "|") for cell in escaped.split("|")]
    return [
        cell[1:-1] if cell.startswith("`") and cell.endswith("`") and cell.count("`") == 2 else cell for cell in cells
    ]
