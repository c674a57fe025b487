"""Owns `python -m deploy.rules`: writes kubernetes/rules.yaml from alerts/*.rules.yml; --check shows the change."""

import difflib
import sys
from pathlib import Path

import yaml

HERE = Path(__file__).parent
ALERTS = HERE.parent / "alerts"
WRITTEN = HERE / "kubernetes" / "rules.yaml"
_HEAD = "# Generated from alerts/*.rules.yml by `make dashboards`. Comments are there; do not edit here.\n"


def built(alerts: Path = ALERTS) -> str:
    """Return the PrometheusRule that holds every group of every file; the same files give the same text."""
    groups = [
        {**group, "rules": [{**rule, "expr": str(rule["expr"])} for rule in group["rules"]]}  # 0.999 alone is refused
        for path in sorted(alerts.glob("*.rules.yml"))
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    ]
    labels = {"app.kubernetes.io/name": "postback"}
    manifest = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "postback", "labels": labels},
        "spec": {"groups": groups},
    }
    return _HEAD + yaml.safe_dump(manifest, sort_keys=False, width=120, allow_unicode=True)


def main(arguments: list[str], written: Path = WRITTEN) -> int:
    """Return the exit code: 1 if --check found a difference, 2 for anything that is not --check."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python -m deploy.rules [--check]\n")
        return 2
    if not arguments:
        written.write_text(built(), encoding="utf-8")
        return 0
    old = written.read_text(encoding="utf-8") if written.exists() else ""
    difference = "".join(
        difflib.unified_diff(
            old.splitlines(keepends=True), built().splitlines(keepends=True), written.name, written.name
        )
    )
    sys.stdout.write(difference)
    return 1 if difference else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
