"""What is on disk of runs that may be gone on with: a signed card, the cells, the state.

Each run has files of its own, named by its event, in a folder of its notebook: ``EVENT.KEY.json``
(the card; the digest of the run's parameters is in its name, so that of the many runs of a grid
only those with the same are read), ``EVENT.cells`` (the cells that are kept, one a line),
``EVENT.N.state`` (a pickle, written by the kernel) and ``EVENT.lock``, held while the run goes on.
A state is read back only where a card that this user's key has signed names its digest.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

#: Under the project's state.
FOLDER = "checkpoints"
#: Days after which what a run left is removed, whatever became of it.
LONGEST = 30


@dataclass(frozen=True, kw_only=True)
class Card:
    """What is known of one run.

    Attributes
    ----------
    notebook, output : str
        Paths of the notebook and of the executed one.
    key : str
        Digest of the parameters without secrets.
    params : mapping
        The parameters that were given, secrets masked.
    status : str
        ``running`` until the run has ended.
    done : int
        The number, from 1, of the last cell that ran well.
    lost : str
        Why no state is kept of the last cells that ran well; empty where there is.
    checkpoint : mapping or None
        Of the state that is kept: ``cells`` (their digests), ``number`` (of the last one),
        ``file``, ``digest``, ``size``, ``count``, ``modules``, ``files``, ``results``, ``lines``
        and ``lines_digest`` (of the cells' file), ``python``, ``kernel``, ``packages``, ``at``.
    """

    event: str
    notebook: str
    output: str
    key: str
    started: str
    params: Mapping[str, Any] = field(default_factory=dict)
    process: str = ""
    status: str = "running"
    reason: str = ""
    done: int = 0
    lost: str = ""
    checkpoint: Mapping[str, Any] | None = None


class Place:
    """Where the runs of one notebook leave what is needed to go on."""

    def __init__(self, state: Path, notebook: Path) -> None:
        self.above = state / FOLDER
        self.notebook = notebook
        name = re.sub(r"[^\w.-]", "_", notebook.stem)[:40]
        self.folder = self.above / f"{name}-{_hash(str(notebook).encode())[:12]}"

    def file(self, event: str, ending: str) -> Path:
        """A file of one run."""
        return self.folder / f"{event}.{ending}"

    def make(self) -> None:
        """Make the folder, for this user's eyes only."""
        self.above.parent.mkdir(parents=True, exist_ok=True)
        for folder in (self.above, self.folder):
            folder.mkdir(exist_ok=True, mode=0o700)
        _remove_old(self.above)

    def write(self, card: Card, key: CryptoSigner, *, sync: bool = True) -> None:
        """Write a card, whole or not at all; without `sync` a power cut may take it."""
        body = _text(asdict(card))
        signed = {"card": body, "signature": key.sign(body.encode()).signature}
        path = self.file(card.event, _ending(card.key))
        aside = path.with_name(f".{path.name}")
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(json.dumps(signed))
            if sync:
                opened.flush()
                os.fsync(opened.fileno())
        aside.replace(path)

    def cards(self, key: CryptoSigner, like: Card | None = None) -> list[Card]:
        """The cards that this user's key has signed, all or those with one's parameters.

        The newest comes first.
        """
        files = self._files(f".{_ending(like.key)}" if like else ".json")
        found = [card for file in files if (card := _read(file, key)) is not None]
        return sorted(found, key=lambda card: card.started, reverse=True)

    def runs(self, event: str) -> bool:
        """Whether the run goes on, in whatever process."""
        path = self.file(event, "lock")
        if not path.exists():
            return False
        try:
            with FileLock(path, timeout=0):
                return False
        except Timeout:
            return True

    @contextlib.contextmanager
    def running(self, event: str) -> Iterator[None]:
        """Tell others that the run goes on."""
        lock = FileLock(self.file(event, "lock"))
        lock.acquire()
        try:
            yield
        finally:
            lock.release()
            self.file(event, "lock").unlink(missing_ok=True)

    def drop_states(self, event: str, but: str = "") -> None:
        """Remove a run's states, but one."""
        for file in self._files(".state", event):
            if file.name != but:
                file.unlink(missing_ok=True)

    def drop(self, event: str) -> None:
        """Remove all that a run has left."""
        for file in self._files("", event):
            file.unlink(missing_ok=True)

    def _files(self, ending: str, event: str = "") -> list[Path]:
        with contextlib.suppress(OSError):
            return [
                Path(entry.path)
                for entry in os.scandir(self.folder)
                if entry.name.startswith(f"{event}." if event else "")
                and entry.name.endswith(ending)
                and not entry.name.startswith(".")
            ]
        return []


def _ending(key: str) -> str:
    return f"{key[:16]}.json"


@functools.cache
def _remove_old(folder: Path) -> None:
    """What runs of this project left long ago goes, once a process, before it fills the disk."""
    oldest = time.time() - LONGEST * 86400
    for file in folder.glob("*/*"):
        with contextlib.suppress(OSError):
            if file.stat().st_mtime < oldest:
                file.unlink()


def parameters_key(params: Mapping[str, Any], secret: frozenset[str]) -> str:
    """What two runs share that had the same parameters; the values of secrets are left out."""
    plain = {name: None if name in secret else value for name, value in params.items()}
    return _hash(_text(plain).encode())


def _read(file: Path, key: CryptoSigner) -> Card | None:
    from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
    from securesystemslib.signer import Signature  # type: ignore[attr-defined]

    try:
        signed = json.loads(file.read_text(encoding="utf-8"))
        public = key.public_key
        signature = Signature(public.keyid, signed["signature"])
        public.verify_signature(signature, signed["card"].encode())
        return Card(**json.loads(signed["card"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    except (UnverifiedSignatureError, VerificationError):
        return None


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
