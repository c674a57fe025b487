"""Owns the image: built from the Dockerfile by buildah without an engine, and run as a hardened container would be.

The published base cannot be fetched everywhere, so the base here is the same Debian release by debootstrap.
A long form: it downloads that and the wheels.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.outside.asking import ask
from tests.support.outside.harness import EXIT_SECONDS, REPOSITORY, read_database, wait_for
from tests.support.outside.tools import need, search_path

pytestmark = pytest.mark.system

DOWNLOAD_SECONDS = 600
BASE, IMAGE, REVISION = "localhost/python-base:bookworm", "localhost/postback-receiver:test", "0123456789ab"
UID = 10001
# What an engine does for `read_only`, `cap_drop: [ALL]`, `no-new-privileges`, `tmpfs` and a volume, in its own words.
NAMESPACES = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
CONTAINER = """
set -eu
mount --bind "$ROOT" "$ROOT"
mount --bind "$DATA" "$ROOT/data"
mount -t proc proc "$ROOT/proc"
mount -t tmpfs -o size=16m,mode=1777 tmpfs "$ROOT/tmp"
mount --rbind /dev "$ROOT/dev"
mount -o remount,bind,ro "$ROOT"
if touch "$ROOT/opt/app/written" 2>/dev/null; then echo "the root can be written" >&2; exit 99; fi
exec chroot "$ROOT" setpriv "$@"
"""


def run(*command: str | Path, **environment: str) -> str:
    """Run a program to its end; return what it printed. Fails the test with what it said."""
    ended = subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**os.environ, "PATH": search_path(), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=DOWNLOAD_SECONDS,
    )
    assert ended.returncode == 0, f"{shlex.join(map(str, command))}\n{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}"
    return ended.stdout.strip()


class Buildah:
    """buildah with a storage of its own, which asks no registry."""

    def __init__(self, directory: Path) -> None:
        images, state = str(directory / "images"), str(directory / "run")
        self._storage = ["--root", images, "--runroot", state, "--storage-driver", "vfs"]
        self._policy = directory / "policy.json"
        self._policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}', encoding="ascii")

    def __call__(self, verb: str, *arguments: str | Path) -> str:
        """Run one of its commands; return what it printed."""
        signed = ["--signature-policy", str(self._policy)] if verb in ("from", "commit", "build") else []
        return run("buildah", *self._storage, verb, *signed, *arguments)


class Image:
    """The built image: its settings, and its files at `root`."""

    def __init__(self, buildah: Buildah) -> None:
        self.config: dict[str, Any] = json.loads(buildah("inspect", "--type", "image", IMAGE))["Docker"]["config"]
        self.root = Path(buildah("mount", buildah("from", "--pull-never", IMAGE)))

    def words(self, command: Sequence[str], **settings: str) -> list[str]:
        """Return setpriv's words for a command as the image's user, with the image's environment and `settings`."""
        user, group = self.config["User"].split(":")
        identity = ["--reuid", user, "--regid", group, "--clear-groups"]
        rights = ["--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]
        changed = [f"POSTBACK_{name}={value}" for name, value in settings.items()]
        return [
            *identity, *rights, "env", "-i", "-C", self.config["WorkingDir"], *self.config["Env"], *changed, *command
        ]  # fmt: skip

    def main(self) -> list[str]:
        """Return what starts in a container."""
        return [*self.config["Entrypoint"], *self.config["Cmd"]]


@pytest.fixture(scope="module")
def image(form: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """Build the base and the image; what that took is removed at the end."""
    if form != "long":
        pytest.skip("the long form: POSTBACK_SOAK=1")
    need("buildah", "debootstrap", "unshare", "setpriv", "chroot")
    if os.geteuid() != 0:
        pytest.skip("only root builds in a chroot")
    directory = tmp_path_factory.mktemp("image")
    buildah = Buildah(directory)
    _build_base(buildah)
    (directory / "wheels").mkdir()
    locked = ["--require-hashes", "--no-deps", "-r", str(REPOSITORY / "requirements.lock")]
    run(sys.executable, "-m", "pip", "download", "-q", *locked, "-d", directory / "wheels")
    (directory / "pip.conf").write_text("[global]\nno-index = true\nfind-links = /wheels\n", encoding="ascii")
    buildah(
        "build", "--isolation", "chroot", "--format", "docker", "--pull-never", "--tag", IMAGE,
        "--build-arg", f"BASE={BASE}", "--build-arg", f"REVISION={REVISION}",
        "--volume", f"{directory / 'wheels'}:/wheels:ro", "--volume", f"{directory / 'pip.conf'}:/etc/pip.conf:ro",
        REPOSITORY,
    )  # fmt: skip
    yield Image(buildah)
    shutil.rmtree(directory)


def _build_base(buildah: Buildah) -> None:
    container = buildah("from", "scratch")
    root = buildah("mount", container)
    run("debootstrap", "--variant=minbase", "--include=python3,python3-venv", "bookworm", root)
    (Path(root) / "usr/bin/python").symlink_to("python3")
    buildah("commit", container, BASE)


class Container:
    """The image's own command, process 1 of its own namespace, on a root that cannot be written."""

    def __init__(self, image: Image, directory: Path, **settings: str) -> None:
        self._out = directory / "out"
        self.data = directory / "data"
        self.data.mkdir()
        os.chown(self.data, UID, UID)  # as a fresh named volume takes it from the image
        with self._out.open("wb") as out:
            self._outer = subprocess.Popen(
                [*NAMESPACES, "sh", "-c", CONTAINER, "sh", *image.words(image.main(), **settings)],
                env={"PATH": search_path(), "ROOT": str(image.root), "DATA": str(self.data)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def pid(self) -> int:
        """Return the process id of the service, as this machine sees it."""
        children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children").read_text(encoding="ascii")
        return int(children)

    def text(self) -> str:
        """Return all that was printed until now."""
        return self._out.read_text(encoding="utf-8")

    def listening(self) -> dict[str, str]:
        """Wait for the line that says where the service listens."""

        def found() -> dict[str, str] | None:
            assert self._outer.poll() is None, self.text()
            complete = (line for line in self.text().splitlines(keepends=True) if line.endswith("\n"))
            lines = [json.loads(line) for line in complete]
            return next((line for line in lines if line["event"] == "listening"), None)

        return wait_for(found, 60)

    def wait(self, seconds: float) -> int:
        """Wait for the end; return the exit code."""
        return self._outer.wait(seconds)

    def stop(self) -> None:
        """End it, whatever state it is in."""
        self._outer.kill()
        self._outer.wait(60)


@contextmanager
def running(image: Image, directory: Path, **settings: str) -> Iterator[Container]:
    """Run a container, and end it whatever happens."""
    container = Container(image, directory, **settings)
    try:
        yield container
    finally:
        container.stop()


def status(pid: int) -> Mapping[str, str]:
    """Return what the kernel says of a process."""
    return dict(re.findall(r"(\w+):\s+(.+)", Path(f"/proc/{pid}/status").read_text(encoding="utf-8")))


def test_the_image_says_how_it_is_run(image: Image) -> None:
    config = image.config
    assert config["User"] == f"{UID}:{UID}"
    assert image.main() == ["python", "-m", "service", "run"]
    assert config["Volumes"] == {"/data": {}}
    assert config["ExposedPorts"].keys() == {"8000/tcp", "8001/tcp"}
    assert config["Labels"]["org.opencontainers.image.revision"] == REVISION
    assert config["Healthcheck"]["Test"][:3] == ["CMD", "python", "-c"]


def test_the_user_owns_nothing_in_the_image_but_data(image: Image) -> None:
    owned = run("find", image.root, "-xdev", "-uid", str(UID))
    assert owned == str(image.root / "data")
    assert (image.root / "data").stat().st_mode & 0o7777 == 0o750


def test_the_image_holds_the_locked_packages_and_no_installer(image: Image) -> None:
    packages = (image.root / "opt/venv/lib/python3.11/site-packages").glob("*.dist-info")
    held = {re.sub(r"[-_.]+", "-", path.name.split("-")[0]).lower() for path in packages}
    lock = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
    locked = set(re.findall(r"^([a-z0-9-]+)(?:\[.*\])?==", lock, re.MULTILINE))
    assert {"uvicorn", "sqlmodel"} <= held <= locked
    assert not {"pip", "setuptools"} & held


def test_without_a_key_the_image_alone_does_not_start_and_says_why(image: Image, tmp_path: Path) -> None:
    with running(image, tmp_path) as container:
        assert container.wait(60) == 2
        (line,) = container.text().splitlines()
        assert "POSTBACK_HOST=0.0.0.0: no API key is registered" in line


def test_it_stores_on_a_read_only_root_as_10001_is_healthy_and_stops_when_asked(
    image: Image, tmp_path: Path, figures: Callable[[str], None]
) -> None:
    with running(image, tmp_path, AUTH="open", PORT="0", OPERATOR_PORT="0") as container:
        said = container.listening()
        assert said["revision"] == REVISION
        kernel = status(container.pid())
        assert (kernel["Uid"].split(), kernel["Gid"].split()) == ([str(UID)] * 4, [str(UID)] * 4)
        assert (int(kernel["CapEff"], 16), int(kernel["CapBnd"], 16), kernel["NoNewPrivs"]) == (0, 0, "1")
        assert kernel["NSpid"].split()[-1] == "1"

        public, operator = (int(said[name].rpartition(":")[2]) for name in ("public", "operator"))
        assert ask(f"http://localhost:{public}/postback?c=in-a-container&value=1.50") == (200, "Success")
        assert ask(f"http://127.0.0.1:{operator}/readyz")[0] == 200
        assert read_database(container.data / "postback.db", "SELECT click_id, value_micros FROM conversion") == [
            ("in-a-container", 1_500_000)
        ]
        check = image.config["Healthcheck"]["Test"][1:]
        asked = ["chroot", str(image.root), "setpriv", *image.words(check, OPERATOR_PORT=str(operator))]
        assert run(*asked) == ""

        os.kill(container.pid(), signal.SIGTERM)
        assert container.wait(EXIT_SECONDS) == 0
        assert '"event":"stopped"' in container.text()
        assert subprocess.run(asked, check=False, capture_output=True, timeout=60).returncode == 1
        figures(f"uid {UID}, no capability, read-only root: stored, healthy, exit code 0 as process 1")
