"""Owns `python -m dashboards.build`: writes generated/*.json, or with --check shows what writing would change."""

import difflib
import json
import sys
from pathlib import Path

from dashboards.intake import intake
from dashboards.overview import overview
from dashboards.sdk import JSONEncoder
from dashboards.service import service

GENERATED = Path(__file__).parent / "generated"
DASHBOARDS = (overview, intake, service)


def built() -> dict[str, str]:
    """Return each file's name and text; the same code gives the same bytes."""
    files = {}
    for make in DASHBOARDS:
        dashboard = make()
        text = json.dumps(dashboard, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False)
        files[f"{dashboard.uid}.json"] = text + "\n"
    return files


def differences(directory: Path = GENERATED) -> str:
    """Return as a diff what writing would change in a directory; empty if nothing."""
    new, old = built(), written(directory)
    return "".join(
        line
        for name in sorted(new.keys() | old.keys())
        for line in difflib.unified_diff(
            old.get(name, "").splitlines(keepends=True), new.get(name, "").splitlines(keepends=True), name, name
        )
    )


def written(directory: Path = GENERATED) -> dict[str, str]:
    """Return the files that are there."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(directory.glob("*.json"))}


def write(directory: Path = GENERATED) -> None:
    """Write the files, and remove those of dashboards that are no more."""
    directory.mkdir(exist_ok=True)
    files = built()
    for name in written(directory).keys() - files.keys():
        (directory / name).unlink()
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Return the exit code: 1 if --check found a difference, 2 for anything that is not --check."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python -m dashboards.build [--check]\n")
        return 2
    if not arguments:
        write()
        return 0
    difference = differences()
    sys.stdout.write(difference)
    return 1 if difference else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
