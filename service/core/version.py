"""Owns the version of the service and the revision it was built from."""

import os
from pathlib import Path

VERSION = "0.1.0"


def revision() -> str:
    """Return the commit this runs from: `POSTBACK_REVISION` (baked into an image), else the checkout's HEAD."""
    if baked := os.environ.get("POSTBACK_REVISION"):
        return baked
    git = Path(__file__).parents[2] / ".git"
    try:
        head = (git / "HEAD").read_text().strip()
        return ((git / head.removeprefix("ref: ")).read_text().strip() if head.startswith("ref: ") else head)[:12]
    except OSError:
        return "unknown"
