"""Owns the check of instructions: the ratios in the repository, how far a measured one may be, and what is told."""

import json
from collections.abc import Mapping
from pathlib import Path

FILE = Path(__file__).parents[1] / "load" / "instructions.json"
ALLOWED, WORTH_RENEWING = 1.05, 0.90  # of the ratio in the repository
_TOO_DEAR = (
    "TOO DEAR: {name} takes {measured:.3f} times the instructions of bare Starlette. Allowed are {allowed:.3f}: "
    "the {known:.3f} of tests/load/instructions.json and 5 %. "
    "To find the place: .venv/bin/python -m tests.load.bytecodes, before and after. "
    "If it is worth it: .venv/bin/python -m tests.load.instructions --write"
)
_CHEAPER = (
    "cheaper: {name} takes {measured:.3f} times the instructions of bare Starlette; the repository says {known:.3f}. "
    "Keep it so: .venv/bin/python -m tests.load.instructions --write"
)
_AS_KNOWN = "as known: {name}, {measured:.3f} times bare Starlette (the repository says {known:.3f})"


def judge(measured: Mapping[str, float], known: Mapping[str, float]) -> tuple[list[str], bool]:
    """Return a sentence for each ratio, and whether none is too dear. Raises KeyError for one that is not known."""
    dear = [name for name, ratio in measured.items() if ratio > known[name] * ALLOWED]
    return [_sentence(name, ratio, known[name]) for name, ratio in measured.items()], not dear


def _sentence(name: str, measured: float, known: float) -> str:
    allowed = known * ALLOWED
    form = _TOO_DEAR if measured > allowed else _CHEAPER if measured < known * WORTH_RENEWING else _AS_KNOWN
    return form.format(name=name, measured=measured, known=known, allowed=allowed)


def read_ratios(python: str, file: Path = FILE) -> dict[str, float]:
    """Return the ratios by name. Raises ValueError when they were taken with another Python than this one ("3.11")."""
    held = json.loads(file.read_text(encoding="utf-8"))
    if held["python"] != python:
        raise ValueError(
            f"{file.name} was measured with Python {held['python']} and this is {python}: nothing can be compared"
        )
    return {str(name): float(ratio) for name, ratio in held["ratios"].items()}


def write_ratios(python: str, measured: Mapping[str, float], file: Path = FILE) -> None:
    """Put measured ratios in the place of the known ones."""
    ratios = {name: round(ratio, 3) for name, ratio in measured.items()}
    file.write_text(json.dumps({"python": python, "ratios": ratios}, indent=2) + "\n", encoding="utf-8")
