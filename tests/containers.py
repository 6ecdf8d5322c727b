"""Real engines for tests: a store of their own, a base image made here, a registry on loopback."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import closing, suppress
from pathlib import Path

import platformdirs
import pytest
from filelock import FileLock

from tests.conftest import NEED_ALL

#: The base that an unchanged ``FROM`` asks for, though no registry is reached.
BASE = "docker.io/library/python:3.11-slim"
#: A small Debian with Python, as a tar of its files.
RECIPE = [
    "mmdebstrap",
    "--quiet",
    "--variant=apt",
    "--include=python3,python3-pip,python3-venv,python-is-python3,ca-certificates",
    *(
        f"--dpkgopt=path-exclude=/usr/share/{name}/*"
        for name in ("man", "doc", "locale", "info", "pixmaps")
    ),
    '--customize-hook=rm -f "$1"/usr/lib/python3.11/EXTERNALLY-MANAGED',
    '--customize-hook=find "$1"/usr/lib/python3* -name __pycache__ -prune -exec rm -rf {} +',
    "bookworm",
]
#: What lets an engine run where there is neither systemd nor every right of root; its locks are
#: files, as those in memory would be shared by all stores, and each new store resets them.
CONF = """\
[containers]
default_ulimits = ["nofile=20000:20000","nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
"""


def need_programs(*programs: str) -> None:
    """Skip where one is not installed, or may not be used; where CI has all, that is a failure."""
    absent = [name for name in programs if shutil.which(name) is None]
    if os.getuid() != 0:
        absent.append("root")
    if sys.version_info[:2] != (3, 11):  # the base image's, so that what is packaged here fits it
        absent.append("Python 3.11")
    if absent and NEED_ALL:
        raise AssertionError(f"The tests of containers need {', '.join(absent)}.")
    if absent:
        pytest.skip(f"needs {', '.join(absent)}")


def base_tar() -> Path:
    """The base image's files, made once for all clones of a machine: it takes a minute."""
    name = hashlib.sha256("\0".join(RECIPE).encode()).hexdigest()[:16]
    file = Path(platformdirs.user_cache_dir("mlops_magics")) / "tests" / f"base-{name}.tar"
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{file}.lock", timeout=280):
        if not file.is_file():
            made = file.with_suffix(".part.tar")
            subprocess.run([*RECIPE, str(made)], check=True)
            made.rename(file)
    return file


class Engines:
    """podman, buildah, skopeo and docker with a store and settings that are theirs alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        # What starts a container again refuses a path of more than 50 characters here.
        self.short = tempfile.mkdtemp(prefix="engine-")
        storage = f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/graph"\n'
        (folder / "storage.conf").write_text(storage + f'runroot = "{self.short}"\n')
        (folder / "containers.conf").write_text(CONF + f'tmp_dir = "{folder}/tmp"\n')
        self.environment = {
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        }

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run an engine's command, such as ``podman ps``."""
        done = subprocess.run(
            command, env={**os.environ, **self.environment}, capture_output=True, text=True
        )
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done

    def import_base(self) -> None:
        """Put the base image into the store, under the name that Dockerfiles ask for."""
        self.run("podman", "import", "--change", 'CMD ["python3"]', str(base_tar()), BASE)

    def clear(self) -> None:
        """End every container and remove the store."""
        self.run("podman", "rm", "--all", "--force", "--time", "0", check=False)
        self.run("podman", "rmi", "--all", "--force", check=False)
        self.run("umount", f"{self.folder}/graph/overlay", check=False)  # which podman leaves
        for path in (self.folder, self.short):
            shutil.rmtree(path, ignore_errors=True)


class Docker:
    """A docker daemon of the tests' own, with a store of its own."""

    def __init__(self, folder: Path) -> None:
        need_programs("docker", "dockerd")
        self.short = Path(tempfile.mkdtemp(prefix="docker-"))  # a socket's path may not be long
        self.environment = {"DOCKER_HOST": f"unix://{self.short}/socket"}
        folder.mkdir(parents=True, exist_ok=True)
        places = (
            *("--data-root", str(folder / "data"), "--exec-root", str(self.short / "run")),
            *("--pidfile", str(self.short / "pid")),
        )
        with open(folder / "docker.log", "ab") as log:
            self.process = subprocess.Popen(
                ["dockerd", *places, "--host", self.environment["DOCKER_HOST"]],
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + 60
        while self.run("version", check=False).returncode:
            if time.monotonic() > until or self.process.poll() is not None:
                self.stop()
                raise AssertionError((folder / "docker.log").read_text()[-2000:])
            time.sleep(0.1)

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of docker."""
        done = subprocess.run(
            ["docker", *arguments],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
        )
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done

    def stop(self) -> None:
        """End what runs in it, and the daemon."""
        left = self.run("ps", "--all", "--quiet", check=False).stdout.split()
        if left:
            self.run("rm", "--force", *left, check=False)
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.short, ignore_errors=True)


class Registry:
    """Debian's docker-registry on loopback; ``host:port`` is its name."""

    def __init__(self, folder: Path, users: Path | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            self.name = f"127.0.0.1:{free.getsockname()[1]}"
        asks = f"auth:\n  htpasswd: {{realm: tests, path: {users}}}\n" if users else ""
        (folder / "config.yml").write_text(
            f"version: 0.1\nlog: {{level: warn}}\nhttp: {{addr: '{self.name}'}}\n{asks}"
            f"storage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n"
        )
        with open(folder / "registry.log", "ab") as log:
            self.process = subprocess.Popen(
                ["docker-registry", "serve", str(folder / "config.yml")], stdout=log, stderr=log
            )
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with suppress(OSError, urllib.error.URLError):
                with suppress(urllib.error.HTTPError):  # 401 is an answer too
                    urllib.request.urlopen(f"http://{self.name}/v2/", timeout=2).close()
                return
            time.sleep(0.05)
        raise AssertionError((folder / "registry.log").read_text())

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
