"""The environment lock: everything that is installed, exact, as a file that pip installs from.

It is read from the metadata on disk. Nothing is imported, downloaded or asked of a second process.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from mlops_magics.evidence import installed, loaded, lockfiles
from mlops_magics.evidence.installed import Distribution

#: A version as indexes know them (PEP 440, as folders spell it); Debian's own are none.
_VERSION = re.compile(
    r"(\d+!)?\d+(\.\d+)*((a|b|rc)\d+)?(\.?post\d+)?(\.?dev\d+)?(\+[a-z0-9]+([._][a-z0-9]+)*)?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Entry:
    """One line of the lock.

    Attributes
    ----------
    requirement : str
        ``name==version``, or ``name @ URL`` for what came from a folder, a file or a repository;
        empty where no installer could be told how to get it.
    hashes : tuple of str
        ``sha256:…`` of the files that it may be installed from, as far as they are known.
    note : str
        What is to be known of it.
    """

    name: str
    requirement: str
    hashes: tuple[str, ...] = ()
    note: str = ""


def entries(folder: Path | None = None) -> list[Entry]:
    """The lock's entries, sorted by name.

    Parameters
    ----------
    folder : path, optional
        Where the project's own lock files lie, in which hashes stand; the working directory.
    """
    known = lockfiles.hashes(folder or Path.cwd())
    return [
        _entry(d, installed.details(d).direct, known.get((d.name, d.version), ()))
        for d in installed.distributions().values()
    ]


def text(folder: Path | None = None) -> str:
    """The lock as a ``requirements.txt``.

    pip takes either all hashes or none, so they are comments unless every entry has some.
    """
    found = entries(folder)
    hashed = sum(bool(entry.hashes) for entry in found)
    whole = bool(found) and hashed == len(found)
    lines = [
        f"# Everything installed, exact: {platform.python_implementation()} "
        f"{platform.python_version()}, {platform.system()} {platform.machine()}.",
        f"# Hashes are known of {hashed} of {len(found)}"
        + ("." if whole or not hashed else "; pip takes all or none, so they are comments."),
    ]
    for entry in found:
        if entry.note:
            lines.append(f"# {entry.name}: {entry.note}")
        if entry.requirement:
            marks = [f"--hash={value}" for value in entry.hashes] if whole else []
            lines.append(" \\\n    ".join([entry.requirement, *marks]))
        if not whole:
            lines += [f"    # {value}" for value in entry.hashes]
    return "\n".join(lines) + "\n"


def describe() -> dict[str, Any]:
    """What the lock's text does not say, for the record.

    Returns
    -------
    dict
        ``imported``: the distributions whose modules are imported; ``modules``: imported modules
        that belong to none, each with its file and a digest of its sources; ``altered``: imported
        files changed after their installation; ``records``: name → digest of the RECORD of
        what is imported, which tells two builds of one version apart; ``unlisted``:
        distributions without a RECORD.
    """
    used, known = loaded.loaded(), installed.distributions()
    records = {name: installed.digest(known[name]) for name in used.distributions}
    return {
        "imported": used.distributions,
        "modules": used.modules,
        "altered": used.altered,
        "records": {name: digest for name, digest in records.items() if digest},
        "unlisted": [name for name, found in known.items() if not installed.details(found).listed],
    }


def _entry(distribution: Distribution, direct: Mapping[str, Any], hashes: tuple[str, ...]) -> Entry:
    name, version = distribution.name, distribution.version
    url, own, note = _direct(direct)
    hashes = tuple(dict.fromkeys((*own, *hashes)))
    if url:
        return Entry(name, f"{name} @ {url}", hashes)
    if not _VERSION.fullmatch(version):
        return Entry(name, "", hashes, f"{version} is no version that an index knows; left out.")
    if version != (plain := installed.public(version)):
        note = f"installed was the build {version}, which an index need not have."
    return Entry(name, f"{name}=={plain}", hashes, note)


def _direct(direct: Mapping[str, Any]) -> tuple[str, tuple[str, ...], str]:
    """The URL of a direct reference (PEP 610) if it can still be used, hashes, and a note."""
    url = re.sub(r"(?<=://)[^/@]+@", "", str(direct.get("url", "")))  # no password in the record
    if not url:
        return "", (), ""
    archive, vcs = direct.get("archive_info") or {}, direct.get("vcs_info") or {}
    stated = dict([archive["hash"].split("=", 1)]) if "=" in archive.get("hash", "") else {}
    stated |= archive.get("hashes") or {}
    hashes = (f"sha256:{stated['sha256']}",) if "sha256" in stated else ()
    parsed = urlparse(url)
    if parsed.scheme == "file" and not os.path.exists(unquote(parsed.path)):
        return "", hashes, f"it was installed from {url}, which is gone."
    if vcs:
        url = f"{vcs.get('vcs', 'git')}+{url}@{vcs.get('commit_id', '')}".rstrip("@")
    parts = [f"sha256={stated['sha256']}"] if hashes else []
    parts += [f"subdirectory={direct['subdirectory']}"] if direct.get("subdirectory") else []
    return url + (f"#{'&'.join(parts)}" if parts else ""), hashes, ""
