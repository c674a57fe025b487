"""Owns the check of instructions: the ratios in the repository, how far a measured one may be, and what is told."""

import json
from collections.abc import Mapping
from pathlib import Path

FILE = Path(__file__).parents[1] / "load" / "instructions.json"
ALLOWED, WORTH_RENEWING = 1.05, 0.90  # of the ratio in the repository
_TOO_DEAR = (
    "TOO DEAR: {name}: {measured:.3f} times the instructions of bare Starlette; "
    "allowed are {allowed:.3f}, the {known:.3f} of tests/load/instructions.json and 5 %"
)
_CHEAPER = "cheaper: {name}: {measured:.3f} times bare Starlette; the repository still says {known:.3f}: renew it"
_AS_KNOWN = "as known: {name}: {measured:.3f} times bare Starlette; the repository says {known:.3f}"
WHAT_TO_DO = (
    "Where it went: .venv/bin/python -m tests.load.bytecodes, before and after the change. "
    "To renew: .venv/bin/python -m tests.load.instructions --write (tests/README.md#instructions)"
)


def judge(measured: Mapping[str, float], known: Mapping[str, float]) -> tuple[list[str], bool]:
    """Return a sentence for each ratio and what to do, if any; and whether none is too dear.

    Raises KeyError for a ratio that is not known.
    """
    forms = {name: _form(ratio, known[name]) for name, ratio in measured.items()}
    sentences = [
        form.format(name=name, measured=measured[name], known=known[name], allowed=known[name] * ALLOWED)
        for name, form in forms.items()
    ]
    advice = [] if set(forms.values()) == {_AS_KNOWN} else [WHAT_TO_DO]
    return sentences + advice, _TOO_DEAR not in forms.values()


def _form(measured: float, known: float) -> str:
    if measured > known * ALLOWED:
        return _TOO_DEAR
    return _CHEAPER if measured < known * WORTH_RENEWING else _AS_KNOWN


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
