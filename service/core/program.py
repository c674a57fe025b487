"""Owns how this program was started: the name that messages call it by, and the command that starts it again."""

import sys
from pathlib import Path

INSTALLED = Path(sys.argv[0]).name == "postback"  # else it runs from a checkout
FROM_CHECKOUT = "python -m service"
PROGRAM = "postback" if INSTALLED else FROM_CHECKOUT


def same_program() -> tuple[str, ...]:
    """Return the command that starts this program again, from the same place and with the same interpreter."""
    return (sys.executable, sys.argv[0]) if INSTALLED else (sys.executable, "-m", "service")
