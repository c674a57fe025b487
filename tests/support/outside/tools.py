"""Owns the programs and rights that some proofs need: a test that lacks one is skipped, or fails where it must run."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

_ISSUER = Path(__file__).parents[2] / "oauth"
_OLDEST_NODE = 20


def need(*programs: str) -> None:
    """Skip the test without these programs; with POSTBACK_REQUIRE_TOOLS=1 fail it."""
    for program in programs:
        if shutil.which(program, path=search_path()) is None:
            lack(f"{program} is not installed")


def need_strace() -> None:
    """Skip or fail the test where processes cannot be traced."""
    need("strace")
    if not _tracing_works():
        lack("strace may not trace here")


def need_mounts() -> None:
    """Skip or fail the test where no file system can be made and mounted."""
    need("mkfs.ext4", "mount", "umount", "losetup")
    if os.geteuid() != 0:
        lack("only root mounts file systems")


def need_issuer() -> None:
    """Skip or fail the test without the OAuth server that `make issuer` installs."""
    need("node")
    version = call("node", "--version").strip()
    if int(version.removeprefix("v").partition(".")[0]) < _OLDEST_NODE:
        lack(f"node is {version}; {_OLDEST_NODE} or newer is needed")
    if not (_ISSUER / "node_modules" / "oidc-provider").is_dir():
        lack("the test issuer is not installed: `make issuer` (needs npm)")


def lack(reason: str) -> None:
    """Skip the test for want of something; with POSTBACK_REQUIRE_TOOLS=1 fail it."""
    if os.environ.get("POSTBACK_REQUIRE_TOOLS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def search_path() -> str:
    """Return PATH with the directories where administrators' programs are."""
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def call(*command: str) -> str:
    """Run a program to its end; return what it printed. Raises CalledProcessError."""
    environment = {**os.environ, "PATH": search_path(), "LC_ALL": "C"}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60).stdout


@cache
def _tracing_works() -> bool:
    traced = ["strace", "-f", "--seccomp-bpf", "-o", os.devnull, "-e", "trace=fdatasync", "true"]
    return subprocess.run(traced, check=False, capture_output=True, timeout=60).returncode == 0
