"""Entries that follow each other: whoever alters, removes or inserts one is found out.

An entry holds a digest of each fact of one step and of each of its files, the hash of the entry
before it, and a signature. Its own hash is over all of that, so that an entry fixes everything
before it. What the chain alone can't show is that its end was cut off: its head has to be known
elsewhere too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mlops_magics.errors import BadData

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner, SSlibKey  # type: ignore[attr-defined]

#: What stands before the first entry.
START = "sha256:" + "0" * 64


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One link of the chain.

    Attributes
    ----------
    number : int
        From 1.
    previous : str
        The hash of the entry before it; `START` for the first.
    facts, files : mapping
        Name → digest (16 and 64 figures of SHA-256).
    key, signature : str
        The signer's public key and the signature of `hash` (Ed25519), in hex.
    """

    number: int
    previous: str
    facts: Mapping[str, str]
    files: Mapping[str, str]
    key: str
    signature: str = ""

    @property
    def hash(self) -> str:
        """``sha256:…`` over everything but the signature."""
        body = {k: v for k, v in vars(self).items() if k != "signature"}
        return f"sha256:{hashlib.sha256(canonical(body)).hexdigest()}"

    def to_text(self) -> str:
        """One line of JSON."""
        return canonical(vars(self)).decode()


def canonical(body: Any) -> bytes:
    """JSON in one spelling."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest(value: Any) -> str:
    """Of one fact."""
    return hashlib.sha256(canonical(value)).hexdigest()[:16]


def made(
    number: int,
    previous: str,
    facts: Mapping[str, Any],
    files: Mapping[str, str],
    signer: CryptoSigner | None,
) -> Entry:
    """The next entry, signed if there is a key to sign with."""
    entry = Entry(
        number=number,
        previous=previous,
        facts={name: digest(value) for name, value in facts.items()},
        files=dict(files),
        key=signer.public_key.keyval["public"] if signer else "",
    )
    if signer is None:
        return entry
    signature = signer.sign(entry.hash.encode()).signature
    return replace(entry, signature=signature)


def read(text: str) -> Entry:
    """The entry that a line holds.

    Raises
    ------
    BadData
        If it holds none.
    """
    try:
        return Entry(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise BadData(f"This is no entry of a history: {text[:60]!r}.") from error


def is_signed(entry: Entry) -> bool:
    """Whether the signature is that of the key which the entry shows."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(entry.key))
        key.verify(bytes.fromhex(entry.signature), entry.hash.encode())
    except (InvalidSignature, ValueError):
        return False
    return True


def altered(entry: Entry, facts: Mapping[str, Any], files: Mapping[str, str | None]) -> list[str]:
    """What is not as the entry has it: names of facts, and of files (changed or gone)."""
    found = [
        f"{name.replace('_', ' ')} was changed"
        for name, was in entry.facts.items()
        if digest(facts.get(name)) != was
    ]
    for name, was in entry.files.items():
        now = files.get(name)
        if now != was:
            found.append(f"{name} {'is gone' if now is None else 'was changed'}")
    return found


def signer_of(entry: Entry, trusted: Mapping[str, SSlibKey]) -> str:
    """What the key's owner is called here; empty if the key is not known."""
    return next((n for n, k in trusted.items() if k.keyval["public"] == entry.key), "")
