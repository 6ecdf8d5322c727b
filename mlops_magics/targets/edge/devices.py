"""A device: a folder for releases, on this machine or behind ssh, and commands run beside it."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mlops_magics.errors import StepFailed, WrongUsage

#: Seconds that a command on a device may take, sending files apart.
LONGEST = 300
#: Seconds in which a device must take the connection.
CONNECTING = 10
#: What ssh itself exits with when it could not connect.
NO_CONNECTION = 255

_HOST = re.compile(r"(?:[A-Za-z0-9_][\w.\-]*@)?[A-Za-z0-9_\[][\w.\-:\]]*")


class DeviceFailed(StepFailed):
    """A command on a device did not succeed; the message is the rest of a sentence."""


@dataclass(frozen=True)
class Done:
    """How a command on a device ended."""

    code: int
    output: str
    log: str

    @property
    def said(self) -> str:
        """Its last words."""
        lines = (self.log.strip() or self.output.strip()).splitlines()
        return lines[-1].strip()[:300].rstrip(".") if lines else f"exit code {self.code}"


@dataclass(frozen=True, kw_only=True)
class Device:
    """A place for releases.

    Attributes
    ----------
    host : str
        ``user@name`` as ssh takes it; empty for a folder of this machine.
    path : str
        The folder; over ssh from the user's home folder, unless it begins with ``/``.
    config : str
        A file for ``ssh -F``: keys, ports, jump hosts.
    python : str
        The Python there that may have onnxruntime.
    """

    path: str
    host: str = ""
    port: int = 0
    config: str = ""
    python: str = "python3"

    @property
    def name(self) -> str:
        """As sentences call it."""
        return self.host or self.path

    @property
    def url(self) -> str:
        """Where its present release is; the port is ssh's business."""
        if not self.host:
            return f"{Path(self.path).as_uri()}/current"
        return f"ssh://{self.host}/{self.path.lstrip('/')}/current"

    def ssh(self) -> list[str]:
        """The command that leads to it; it never asks for a password, as nobody may be there."""
        config = ["-F", self.config] if self.config else []
        port = ["-p", str(self.port)] if self.port else []
        alive = ["-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4"]
        waits = ["-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECTING}"]
        return ["ssh", *config, *port, *waits, *alive]

    def command(self, script: str, *, make: bool = False) -> list[str]:
        """The command that runs a line of POSIX shell in its folder, made first if wanted."""
        folder = shlex.quote(self.path)
        line = f"{f'mkdir -p {folder} && ' if make else ''}cd {folder} && {{ {script}; }}"
        if not self.host:
            return ["sh", "-c", line]
        # The user's own shell there may be any; it has to pass one quoted word on.
        return [*self.ssh(), self.host, f"exec sh -c {shlex.quote(line)}"]

    def run(self, script: str, *, given: str = "", make: bool = False) -> Done:
        """Run a line of shell in its folder.

        Parameters
        ----------
        given : str
            What it reads.
        make : bool
            Make the folder first.

        Raises
        ------
        DeviceFailed
            If the device can't be reached, or does not answer in time.
        """
        command = self.command(script, make=make)
        try:
            done = subprocess.run(
                command, input=given, capture_output=True, text=True, timeout=LONGEST
            )
        except subprocess.TimeoutExpired:
            raise DeviceFailed(f"did not answer within {LONGEST} s") from None
        except FileNotFoundError:
            raise DeviceFailed("can't be reached: there is no ssh on this machine") from None
        found = Done(done.returncode, done.stdout, done.stderr)
        if self.host and done.returncode == NO_CONNECTION:
            raise DeviceFailed(f"can't be reached: {found.said}")
        return found

    def must(self, script: str, doing: str, *, given: str = "", make: bool = False) -> str:
        """Run a line of shell that has to succeed; what it wrote.

        Raises
        ------
        DeviceFailed
            If it does not; says in doing what.
        """
        done = self.run(script, given=given, make=make)
        if done.code != 0:
            raise DeviceFailed(f"failed to {doing}: {done.said}")
        return done.output


def of(options: Mapping[str, str], name: str) -> list[Device]:
    """The devices that the options name.

    Parameters
    ----------
    name : str
        The deployment's, which is part of the folder's name where nothing else is said.

    Raises
    ------
    WrongUsage
        If they name none, or both a folder and devices, or a device can't be read.
    """
    folder, listed = options.get("folder", ""), options.get("devices", "")
    if bool(folder) == bool(listed):
        raise WrongUsage(
            "The target edge needs a folder or devices, one of them.",
            "Say -o folder PATH, or -o devices FILE (a line each: user@host, or "
            "ssh://user@host:port/path), or -o devices HOST,HOST.",
        )
    if folder:
        python = options.get("python", sys.executable)
        return [Device(path=str(Path(folder).expanduser().absolute()), python=python)]
    config = options.get("ssh-config", "")
    if config and not Path(config).expanduser().is_file():
        raise WrongUsage(f"There is no file {config}.", "-o ssh-config takes a file for ssh -F.")
    config = str(Path(config).expanduser().absolute()) if config else ""
    path = options.get("path", f"mlops/{name}")
    found = [
        _device(text, path, config, options.get("python", "python3")) for text in _listed(listed)
    ]
    if not found:
        raise WrongUsage(f"{listed} names no device.", "Write one a line: user@host.")
    places = [(d.host, d.port, d.path) for d in found]
    for place in places:
        if places.count(place) > 1:
            raise WrongUsage(f"The device {place[0]} is named twice.", "Name it once.")
    if shutil.which("ssh") is None:
        raise WrongUsage(
            "Devices are reached by ssh, which is not installed here.",
            "Install OpenSSH's client, or copy by hand from -o folder PATH.",
        )
    return found


def _listed(text: str) -> Sequence[str]:
    """The entries of a file, without comments; or of the text itself, parted by commas."""
    file = Path(text).expanduser()
    if file.is_file():
        lines = [line.partition("#")[0].strip() for line in file.read_text().splitlines()]
        return [line for line in lines if line]
    if "/" in text and "://" not in text:
        raise WrongUsage(f"There is no file {text}.", "-o devices takes a file or HOST,HOST.")
    return [part.strip() for part in text.split(",") if part.strip()]


def _device(text: str, path: str, config: str, python: str) -> Device:
    parts = urlsplit(text if "://" in text else f"ssh://{text}")
    try:
        port = parts.port or 0
    except ValueError:
        port = -1
    host = parts.netloc.removesuffix(f":{port}") if port else parts.netloc
    if parts.scheme != "ssh" or port < 0 or not _HOST.fullmatch(host) or parts.query:
        raise WrongUsage(
            f"{text!r} is no device.",
            "Write user@host, a name of your ssh configuration, or ssh://user@host:port/path.",
        )
    where = unquote(parts.path).rstrip("/") or path
    where = where.removeprefix("/~/").removeprefix("~/")
    return Device(path=where, host=host, port=port, config=config, python=python)
