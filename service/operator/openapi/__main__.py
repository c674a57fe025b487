"""Owns `python -m service.operator.openapi`: writes docs/openapi*.json; --check shows what would change."""

import difflib
import json
import sys
from pathlib import Path

from service.operator.openapi.document import operator_document
from service.web.openapi.document import public_document

_DOCS = Path(__file__).parents[3] / "docs"


def built() -> dict[str, str]:
    """Return the text of each file; the same tables and words give the same text."""
    documents = {"openapi.json": public_document(), "openapi-operator.json": operator_document()}
    return {name: json.dumps(document, indent=1, ensure_ascii=False) + "\n" for name, document in documents.items()}


def main(arguments: list[str], folder: Path = _DOCS) -> int:
    """Return the exit code: 1 if --check found a difference, 2 for anything that is not --check."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python -m service.operator.openapi [--check]\n")
        return 2
    changed = False
    for name, text in built().items():
        path = folder / name
        if not arguments:
            path.write_text(text, encoding="utf-8")
            continue
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        changed |= old != text
        sys.stdout.writelines(
            difflib.unified_diff(old.splitlines(keepends=True), text.splitlines(keepends=True), name, name)
        )
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
