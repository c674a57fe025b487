"""An option or argument that is empty, as a shell's variable may be, is bad usage: it means neither all nor a name."""

import pytest
from typer.testing import CliRunner

from service.cli import app


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("empty", ["", "  "])
@pytest.mark.parametrize(
    "command",
    [
        ["lookup"],
        ["erase", "--dry-run"],
        ["erase", "--dry-run", "--text"],
        ["deletions", "--click-id"],
        ["deletions", "--text"],
        ["export", "--click-id"],
        *(["rejected", "list", option] for option in ("--sender", "--click-id", "--key-id", "--address")),
        *(["replay", "--dry-run", option] for option in ("--sender", "--click-id", "--key-id", "--address", "--as")),
        ["reprocess", "--sender", "acme", "--since", "7d", "--dry-run", "--click-id"],
        ["reprocess", "--since", "7d", "--dry-run", "--sender"],
        ["reconcile", "rows.csv", "--sender"],
        ["import", "rows.csv", "--sender"],
        ["check", "/postback?c=a", "--sender"],
    ],
    ids=" ".join,
)
def test_what_is_empty_is_bad_usage(command: list[str], empty: str) -> None:
    ended = CliRunner().invoke(app, [*command, empty])
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "it is empty" in ended.stderr
