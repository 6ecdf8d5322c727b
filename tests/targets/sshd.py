"""A real OpenSSH server on loopback, with a key and a configuration of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import NEED_ALL

DAEMON = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def need() -> None:
    """Skip where it is not installed; where CI has all, that is a failure."""
    absent = [name for name in ("ssh", "ssh-keygen", "rsync") if shutil.which(name) is None]
    absent += [] if DAEMON else ["sshd"]
    if absent and NEED_ALL:
        raise AssertionError(f"The tests of devices need {', '.join(absent)}.")
    if absent:
        pytest.skip(f"needs {', '.join(absent)}")


class Devices:
    """One server, which plays as many devices as are wanted: a folder each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        folder.chmod(0o700)
        for key in ("host", "user"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)]
            subprocess.run(command, check=True)
        shutil.copy(folder / "user.pub", folder / "authorized_keys")
        with closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        (folder / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey {folder}/host\n"
            f"AuthorizedKeysFile {folder}/authorized_keys\nPidFile none\nStrictModes no\n"
            "PasswordAuthentication no\nPermitRootLogin prohibit-password\nUsePAM no\n"
            "MaxStartups 100\nSubsystem sftp internal-sftp\n"
        )
        (folder / "ssh_config").write_text(
            f"Host pi-*\n  HostName 127.0.0.1\n  Port {self.port}\nHost *\n"
            f"  User {getpass.getuser()}\n  IdentityFile {folder}/user\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {folder}/known\n  StrictHostKeyChecking accept-new\n"
        )
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # it insists
        assert DAEMON is not None
        with (folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [DAEMON, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=log
            )
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with closing(socket.socket()) as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError((folder / "log").read_text())

    @property
    def config(self) -> str:
        return str(self.folder / "ssh_config")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
