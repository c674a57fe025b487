"""Owns the look for known vulnerabilities in what is installed to serve; to find some is a failure.

pip-audit calls a package that its service does not tell about "skipped", and then ends as if all were well. So what was
not audited is said in plain words; it is no failure, because not every machine can reach the service.
"""

import json
import subprocess
import sys

_LOCK = "requirements-parquet.lock"  # requirements.lock, and what the extra adds


def main() -> int:
    """Audit, say what was found and what could not be looked at."""
    command = [sys.executable, "-m", "pip_audit", "-r", _LOCK, "--disable-pip", "--require-hashes", "--format", "json"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    try:
        packages = json.loads(ended.stdout)["dependencies"]
    except (ValueError, KeyError):
        reason = (ended.stderr.strip().splitlines() or ["no answer"])[-1]
        print(f"NOT AUDITED: pip-audit could not ask its advisory service: {reason}")
        return 0
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    found = [(package, flaw) for package in packages for flaw in package.get("vulns", ())]
    for package, flaw in found:
        mended = ", ".join(flaw["fix_versions"]) or "no version yet"
        print(f"{package['name']} {package['version']}: {flaw['id']}, mended in {mended}")
    if skipped:
        print(f"NOT AUDITED: the advisory service told nothing about {len(skipped)} of {len(packages)} packages")
    print(f"{len(packages) - len(skipped)} packages audited, {len(found)} known vulnerabilities")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
