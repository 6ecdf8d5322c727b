"""Releases on a device: each in a folder of its own, and ``current``, a link to the present one.

::

    releases/3-0a1b2c3d4e5f/    the bundle of credit/3, and its version.json
    releases/4-5f4e3d2c1b0a/
    current -> releases/4-5f4e3d2c1b0a
    switches.log                when `current` was moved, and to what

A release is sent beside the others under a hidden name, checked there, and renamed; then the
link is replaced by a rename, so that whoever opens ``current`` finds the old or the new one.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_magics import records
from mlops_magics.records import Package
from mlops_magics.serving import manifest
from mlops_magics.targets.edge.devices import NO_CONNECTION, Device, DeviceFailed

#: What the check exits with where Python, numpy or onnxruntime is missing.
NOT_THERE = 69
LOG = "switches.log"


@dataclass(frozen=True, kw_only=True)
class Release:
    """A bundle as it stands on a device."""

    model: str
    digest: str
    deployment: str
    bundle: Path

    @classmethod
    def of(cls, package: Package, deployment: str) -> Release:
        """The release that a package makes."""
        return cls(
            model=package.model,
            digest=package.digest,
            deployment=deployment,
            bundle=Path(package.path),
        )

    @property
    def name(self) -> str:
        """Version and digest, which is what its folder is called."""
        return f"{self.model.rpartition('/')[2]}-{self.digest.removeprefix('sha256:')[:12]}"

    @property
    def folder(self) -> str:
        """Where it stands, seen from the device's folder."""
        return shlex.quote(f"releases/{self.name}")

    @property
    def aside(self) -> str:
        """Where it is while it is not yet whole."""
        return shlex.quote(f"releases/.{self.name}")

    def version(self) -> str:
        """The content of its ``version.json``."""
        made = manifest.read(self.bundle)
        about: dict[str, Any] = {
            "model": self.model,
            "digest": self.digest,
            "deployment": self.deployment,
            "release": self.name,
            "run_id": made.run_id,
            "commit": made.commit,
            "packaged": made.created,
            "sent": records.now(),
        }
        return json.dumps(about, indent=2) + "\n"


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What sending to one device did.

    Attributes
    ----------
    before : str
        The release that was current, for the way back; empty if there was none.
    new : bool
        Whether the release was not there already.
    answered : bool
        Whether the device answered the example; else only the digests of the files were checked.
    """

    before: str
    new: bool
    answered: bool


def send(device: Device, release: Release) -> Sent:
    """Bring a release to a device and check it there; what is current stays so.

    Raises
    ------
    DeviceFailed
        If the device can't be reached, or the release is not whole or answers wrongly there;
        it is removed again then, if it was not there before.
    """
    by = "command -v rsync > /dev/null && echo rsync || echo tar"
    whole = f"test -f {release.folder}/version.json && echo whole || echo new"
    found = device.run(f"mkdir -p releases && {{ {by}; {whole}; readlink current; :; }}", make=True)
    if found.code != 0:
        raise DeviceFailed(f"gives no folder for it: {found.said}")
    way, state, *current = found.output.splitlines()
    before = current[0].removeprefix("releases/") if current else ""
    if state == "whole":
        return Sent(before=before, new=False, answered=_check(device, release, release.folder))
    try:
        _transfer(device, release, before, rsync=way == "rsync")
        answered = _check(device, release, release.aside)
        keep = f"cat > {release.aside}/version.json && {_flushed(release.aside)}"
        # What stands there without its version file was never whole.
        place = f"rm -rf {release.folder} && mv {release.aside} {release.folder}"
        device.must(f"{keep} && {place}", "keep it", given=release.version())
    except BaseException:
        _removed(device, release.aside)
        raise
    return Sent(before=before, new=True, answered=answered)


def switch(device: Device, release: str, why: str) -> None:
    """Make another release the current one; an empty name leaves none.

    Raises
    ------
    DeviceFailed
        If the device does not; the former one stays current then.
    """
    noted = shlex.quote(f"{records.now()} {release or 'none'} {why}")
    note = f"echo {noted} >> {LOG}"
    if not release:
        device.must(f"rm -f current && {note}", "end it")
        return
    place = shlex.quote(f"releases/{release}")
    aside = ".current-$$"
    link = f"ln -s {place} {aside} && mv -fT {aside} current && touch {place}"
    device.must(f"test -d {place} && {link} && {note}", "switch to it")


def prune(device: Device, keep: int, spare: tuple[str, ...]) -> None:
    """Remove the oldest releases, so that `keep` stay; those in `spare` do in any case."""
    spared = " ".join(f"-e {shlex.quote(name)}" for name in spare if name)
    old = f"ls -1t | grep -vxF {spared} | tail -n +{max(keep - len(spare), 0) + 1}"
    device.run(f'cd releases && {old} | while read -r name; do rm -rf "./$name"; done')


def remove(device: Device, release: Release) -> None:
    """Remove a release that is not to stay."""
    _removed(device, release.folder)


def look(device: Device, digests: str) -> tuple[str, str]:
    """The release that is current, and what is wrong with its files, if anything is.

    Parameters
    ----------
    digests : str
        As ``sha256sum -c`` takes them.
    """
    done = device.run("readlink current && cd current/ && sha256sum -c", given=digests)
    lines = done.output.splitlines()
    current = lines[0].removeprefix("releases/") if lines else ""
    if not current:
        return "", "has no current release"
    return current, _changed(lines[1:]) if done.code else ""


def digests(bundle: Path) -> str:
    """The files of a bundle and their digests, as ``sha256sum -c`` takes them."""
    files = manifest.read(bundle).files
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(files.items()))


def _transfer(device: Device, release: Release, before: str, *, rsync: bool) -> None:
    """By rsync where both sides have it, so that only what differs from the last one is sent."""
    device.must(f"rm -rf {release.aside} && mkdir {release.aside}", "make a folder for it")
    if rsync and device.host and shutil.which("rsync"):
        unchanged = ["--copy-dest", f"../{before}"] if before else []
        command = ["rsync", "--recursive", "--checksum", "--perms", "--protect-args",
                   *unchanged, "-e", shlex.join(device.ssh()), f"{release.bundle}/",
                   f"{device.host}:{device.path}/releases/.{release.name}/"]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[0]
            raise DeviceFailed(f"did not take it by rsync: {said}")
        return
    packed = subprocess.Popen(
        ["tar", "-C", str(release.bundle), "-cf", "-", "."], stdout=subprocess.PIPE
    )
    with packed:
        done = subprocess.run(
            device.command(f"tar -C {release.aside} -xf -"),
            stdin=packed.stdout,
            capture_output=True,
            text=True,
        )
    if done.returncode == NO_CONNECTION and device.host:
        raise DeviceFailed(f"broke off while it was sent: {done.stderr.strip()}")
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[0]
        raise DeviceFailed(f"did not take it: {said}")


def _check(device: Device, release: Release, place: str) -> bool:
    """Compare the digests of all files, then let the runner answer the example if it can."""
    whole = device.run(f"cd {place} && sha256sum -c", given=digests(release.bundle))
    if whole.code != 0:
        raise DeviceFailed(f"did not get it whole: {_changed(whole.output.splitlines())}")
    python = f"{shlex.quote(device.python)} -B"
    able = f"{python} -c 'import numpy, onnxruntime' 2>/dev/null"
    done = device.run(f"cd {place} && if {able}; then {python} run.py --check; "
                      f"else exit {NOT_THERE}; fi")  # fmt: skip
    if done.code == NOT_THERE:
        return False
    if done.code != 0:
        raise DeviceFailed(f"failed its smoke test: {done.said}")
    return True


def _changed(lines: list[str]) -> str:
    """The first file whose digest differs."""
    wrong = [line.rpartition(":")[0] for line in lines if line.endswith(": FAILED")]
    lost = [line.rpartition(":")[0] for line in lines if line.endswith("FAILED open or read")]
    if lost:
        return f"{lost[0]} is missing"
    return f"{wrong[0]} differs" if wrong else "its files can't be compared"


def _flushed(place: str) -> str:
    """Bring its files to the disk, as power may be cut at any time."""
    return f"find {place} -type f -exec sync {{}} +"


def _removed(device: Device, place: str) -> None:
    with contextlib.suppress(DeviceFailed):  # else the next release that is sent does it
        device.run(f"rm -rf {place}")
