"""Container engines: what is asked of podman, buildah and docker, and what they say."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from mlops_magics.errors import StepFailed, UnknownName, WrongUsage
from mlops_magics.serving.package.images import layouts

#: Seconds for one command; a large base image takes its time.
LONGEST = 600
#: What the machine calls its architecture → what images call it.
ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def here() -> str:
    """This machine's architecture, as images call it."""
    return ARCHITECTURES.get(platform.machine().lower(), platform.machine().lower())


class Engine:
    """A program that keeps images and runs them.

    Images come as the archives of ``docker save``, and go as such or in docker's words: of an OCI
    layout podman leaves out the health check.
    """

    name: ClassVar[str]
    #: Asks whether it has an image.
    look: ClassVar[Sequence[str]] = ("image", "inspect")

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """One command.

        Raises
        ------
        StepFailed
            If it fails; in the engine's own words.
        """
        try:
            done = subprocess.run(
                [self.name, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=LONGEST,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise StepFailed(f"{self.name} {arguments[0]} failed: {error}.", _WITHOUT) from error
        if check and done.returncode:
            raise StepFailed(f"{self.name} {arguments[0]} failed: {said(done)}.", _WITHOUT)
        return done

    def knows(self, image: str) -> str:
        """What an image of its store is called by its content; empty if it is not there."""
        done = self.run(*self.look, image, check=False)
        if done.returncode:
            return ""
        about = json.loads(done.stdout)
        about = about[0] if isinstance(about, list) else about
        return str(about.get("Id") or about["FromImageID"])

    def save(self, image: str, archive: Path) -> None:
        """Write an image of its store as an archive."""
        self.run("save", "--output", str(archive), image)

    def load(self, layout: Path, tag: str) -> None:
        """Take an image into its store, under a tag."""
        with layouts.as_docker_archive(layout, tag) as archive:
            self.run("load", "--quiet", "--input", str(archive))

    def tag(self, image: str, tag: str) -> None:
        """Give an image of its store one more tag."""
        self.run("tag", image, tag)

    def answer(self, image: str, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command in a container of an image: no network, nothing can be written."""
        return self.run(*_CLOSED, image, *command, check=False)

    def remove(self, image: str) -> None:
        """Forget an image's tag; that it is gone already is no error."""
        self.run("rmi", image, check=False)


class _OfFolders(Engine):
    """One that reads a folder too: it takes from there only the layers that it does not have."""

    def load(self, layout: Path, tag: str) -> None:
        """Take an image into its store, under a tag."""
        with layouts.as_directory(layout) as folder:
            pulled = self.run("pull", "--quiet", f"dir:{folder}").stdout.split()[-1]
        self.tag(pulled, tag)


class Podman(_OfFolders):
    """https://podman.io"""

    name = "podman"


class Buildah(_OfFolders):
    """https://buildah.io"""

    name = "buildah"
    look: ClassVar[Sequence[str]] = ("inspect", "--type", "image")

    def save(self, image: str, archive: Path) -> None:
        """Write an image of its store as an archive."""
        self.run("push", "--quiet", image, f"docker-archive:{archive}")

    def answer(self, image: str, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command in a container of an image, with what keeps it to itself."""
        container = self.run("from", "--pull-never", image).stdout.strip()
        try:
            isolated = ("--isolation", "chroot", "--cap-drop", "all", "--user", "10001")
            return self.run("run", *isolated, container, "--", *command, check=False)
        finally:
            self.run("rm", container, check=False)


class Docker(Engine):
    """https://www.docker.com"""

    name = "docker"


#: A container that says a word and ends has no health, and podman's timers need systemd.
_CLOSED = (
    "run", "--rm", "--read-only", "--network", "none", "--cap-drop", "all", "--no-healthcheck"
)  # fmt: skip
_WITHOUT = "Mend it, choose another --engine, or build with --engine none."
ENGINES: dict[str, type[Engine]] = {e.name: e for e in (Podman, Buildah, Docker)}


def find(wanted: str = "") -> Engine | None:
    """The engine of that name, or the first that works; ``None`` where there is none.

    Raises
    ------
    UnknownName
        If no engine is called so.
    WrongUsage
        If the one that is asked for is not installed, or does not work: says why.
    """
    if wanted == "none":
        return None
    if wanted:
        if wanted not in ENGINES:
            raise UnknownName("engine", wanted, [*ENGINES, "none"])
        if why := broken(ENGINES[wanted]()):
            raise WrongUsage(why, _WITHOUT)
        return ENGINES[wanted]()
    return next((e() for e in ENGINES.values() if not broken(e())), None)


def broken(engine: Engine) -> str:
    """Why an engine can't be used; empty if it can."""
    if shutil.which(engine.name) is None:
        return f"{engine.name} is not installed here."
    try:
        done = engine.run("info", check=False)
    except StepFailed as error:
        return error.message
    if done.returncode == 0:
        return ""
    words = said(done)
    if "permission denied" in words.lower():
        return f"{engine.name} may not be used by this user: {words}."
    return f"{engine.name} does not work here: {words}."


def said(done: subprocess.CompletedProcess[str]) -> str:
    """The last thing that a command said."""
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    return (lines or [f"exit code {done.returncode}, without a word"])[-1][:300].rstrip(".")
