"""Owns `python -m service.telemetry.metrics FILE`: writes the catalogue's table over the one that a document has."""

import re
import sys
from pathlib import Path

from service.telemetry.metrics.catalogue import markdown_table

_TABLE = re.compile(r"^\| metric \|.*\n(?:\|.*\n)*", re.MULTILINE)


def main(arguments: list[str]) -> int:
    """Return the exit code: 2 when there is not exactly one file, or no table of metrics in it."""
    try:
        (path,) = map(Path, arguments)
        text, replaced = _TABLE.subn(lambda _: f"{markdown_table()}\n", path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        sys.stderr.write(f"usage: python -m service.telemetry.metrics FILE ({error})\n")
        return 2
    if not replaced:
        sys.stderr.write(f"{path} has no table that begins with | metric |\n")
        return 2
    path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
