"""CI's look for known vulnerabilities: what is found fails, and what could not be looked at is said."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.documents import REPOSITORY

pytestmark = pytest.mark.processes

SOUND = {"name": "sound", "version": "1", "vulns": []}
FLAWED = {"name": "flawed", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}
UNKNOWN = {"name": "unknown", "skip_reason": "Dependency not found on PyPI and could not be audited"}
FOUND = "flawed 2: PYSEC-1, mended in 3"


@pytest.mark.parametrize(
    ("packages", "code", "told"),
    [
        pytest.param([SOUND], 0, ["1 packages audited, 0 known vulnerabilities"], id="sound"),
        pytest.param([SOUND, FLAWED], 1, [FOUND, "2 packages audited, 1 known vulnerabilities"], id="flawed"),
        pytest.param(
            [UNKNOWN, UNKNOWN],
            0,
            [
                "NOT AUDITED: the advisory service told nothing about 2 of 2 packages",
                "0 packages audited, 0 known vulnerabilities",
            ],
            id="nothing told",
        ),
        pytest.param(
            [UNKNOWN, FLAWED],
            1,
            [
                FOUND,
                "NOT AUDITED: the advisory service told nothing about 1 of 2 packages",
                "1 packages audited, 1 known vulnerabilities",
            ],
            id="told in part",
        ),
        pytest.param(
            None,
            0,
            ["NOT AUDITED: pip-audit could not ask its advisory service: no such host"],
            id="not reached",
        ),
    ],
)
def test_findings_fail_and_what_was_not_audited_is_said(
    tmp_path: Path, packages: list[dict[str, object]] | None, code: int, told: list[str]
) -> None:
    answer = "" if packages is None else json.dumps({"dependencies": packages, "fixes": []})
    stand_in = (
        f"import sys\nprint({answer!r})\nsys.exit('Traceback:\\nno such host')"  # pip-audit's own code says little
    )
    (tmp_path / "pip_audit.py").write_text(stand_in, encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, REPOSITORY / ".ci" / "audit.py"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout.splitlines()) == (code, told), ended.stderr
