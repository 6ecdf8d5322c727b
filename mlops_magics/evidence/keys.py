"""The key that signs, made on first use, and the keys that are trusted.

A folder of keys holds ``signing.pem`` (the private key, PKCS #8, readable by its owner only),
``signing.pub`` (its public half, PEM) and ``trusted/NAME.pub`` for everyone else whose records
are to be believed. To be believed elsewhere, hand out ``signing.pub``.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from filelock import FileLock
from securesystemslib.signer import CryptoSigner, SSlibKey  # type: ignore[attr-defined]

from mlops_magics.errors import MlopsError, WrongUsage

PRIVATE, PUBLIC, TRUSTED = "signing.pem", "signing.pub", "trusted"


def signer(folder: Path) -> CryptoSigner:
    """The signing key in `folder`, made there if there is none.

    Raises
    ------
    MlopsError
        If the key can't be read or made, or if anyone but its owner could read it.
    """
    file = folder / PRIVATE
    try:
        if not file.exists():
            _make(folder)
        if stat.S_IMODE(file.stat().st_mode) & 0o077:
            raise MlopsError(
                f"The signing key {file} can be read by others.",
                f"Whoever has read it can sign in your name: `chmod 600 {file}`, or delete it "
                "and have a new one made.",
            )
        private = load_pem_private_key(file.read_bytes(), password=None)
    except OSError as error:
        raise MlopsError(
            f"The signing key {file} can't be used: {error.strerror}.",
            "Set `keys` in mlops.toml or MLOPS_KEYS to a folder that you own.",
        ) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise MlopsError(
            f"{file} is not a private key: {error}.", "Delete it to have a new one made."
        ) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise MlopsError(f"{file} is not an Ed25519 key.", "Delete it to have a new one made.")
    return CryptoSigner(private)


def _make(folder: Path) -> None:
    """Make the pair, whole or not at all, even when two processes meet here."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(folder / ".lock"):
        if (folder / PRIVATE).exists():
            return  # another process was quicker, and its key is the one
        made = CryptoSigner.generate_ed25519()
        # The private key comes last: where it is, the public one is too.
        _write(folder / PUBLIC, pem(made.public_key).encode(), 0o644)
        _write(folder / PRIVATE, made.private_bytes, 0o600)


def _write(file: Path, content: bytes, mode: int) -> None:
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as opened:
        os.fchmod(descriptor, mode)  # whatever the umask
        opened.write(content)
        opened.flush()
        os.fsync(descriptor)
    aside.replace(file)


def pem(key: SSlibKey) -> str:
    """A public key as the PEM text that is handed out."""
    raw = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key.keyval["public"]))
    return raw.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


def read_public(file: Path) -> SSlibKey:
    """Read a public key from its PEM file.

    Raises
    ------
    WrongUsage
        If the file is not there or holds no Ed25519 public key.
    """
    try:
        key = load_pem_public_key(file.read_bytes())
    except OSError as error:
        raise WrongUsage(f"The key {file} can't be read: {error.strerror}.") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise WrongUsage(
            f"{file} is not a public key.", "Give the signer's `signing.pub` (PEM)."
        ) from error
    if not isinstance(key, Ed25519PublicKey):
        raise WrongUsage(f"{file} is not an Ed25519 public key.")
    return SSlibKey.from_crypto(key)


def trusted(folder: Path) -> Mapping[str, SSlibKey]:
    """Name → public key of everyone believed here: one's own, and those in ``trusted/``.

    A folder without keys trusts nobody; nothing is made.
    """
    files = {"own key": folder / PUBLIC} if (folder / PUBLIC).exists() else {}
    files |= {file.stem: file for file in sorted((folder / TRUSTED).glob("*.pub"))}
    return {name: read_public(file) for name, file in files.items()}
