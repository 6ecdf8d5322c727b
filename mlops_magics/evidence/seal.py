"""Sealing a notebook, and finding out whether it is as it was sealed.

A seal is an in-toto Statement (v1) about the notebook's canonical form, in a DSSE envelope
signed with Ed25519, kept in the notebook's own metadata with the public key. Everything here is
plain dictionaries: no store, no network, no notebook library. What is sealed and what is left
out stands in `mlops_magics.evidence.manifests`.

Two questions are kept apart. *Is it as it was sealed?* needs the file alone. *Who sealed it?*
needs a public key that the verifier trusts: whoever alters a notebook can seal it anew with a
key of their own, so a notebook sealed with an unknown key is never called intact, but is told
apart from an altered one (`Finding.problems` against `Finding.trusted`).

References
----------
.. [1] in-toto Statement v1, https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
.. [2] DSSE, https://github.com/secure-systems-lab/dsse
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import FormatError, VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey  # type: ignore[attr-defined]

from mlops_magics.evidence.alterations import compare
from mlops_magics.evidence.manifests import HOME, canonical, digest, manifest
from mlops_magics.records import now

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:mlops-magics:notebook-seal:1"
PAYLOAD = "application/vnd.in-toto+json"
KEPT = ("keyid", "sig")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What verification found.

    Attributes
    ----------
    sealed : str
        When it was sealed, by the signer's clock; empty if there is no readable seal.
    problems : tuple of str
        What is not as it was sealed, one sentence each.
    trusted : str
        The name under which the signing key is known here; empty if it is not.
    key_id : str
        The signing key's id (the SHA-256 of the public key's canonical form).
    digest : str
        The digest that was signed.
    cells : int
        How many cells there are now.
    """

    sealed: str = ""
    problems: tuple[str, ...] = ()
    trusted: str = ""
    key_id: str = ""
    digest: str = ""
    cells: int = 0

    @property
    def intact(self) -> bool:
        """Unchanged, and sealed with a key that is trusted here."""
        return bool(self.sealed and self.trusted) and not self.problems


def sign(notebook: Mapping[str, Any], key: CryptoSigner, name: str = "") -> dict[str, Any]:
    """The notebook with a seal in its metadata; the one given is left alone.

    Parameters
    ----------
    notebook : mapping
        A notebook as parsed JSON.
    key : CryptoSigner
        From `mlops_magics.evidence.keys.signer`.
    name : str
        What the statement calls its subject: the file's name.
    """
    held = manifest(notebook)
    statement = {
        "_type": STATEMENT,
        "subject": [{"name": name or "notebook", "digest": {"sha256": _bare(digest(held))}}],
        "predicateType": PREDICATE,
        "predicate": {"sealed": now(), **held},
    }
    envelope = Envelope(canonical(statement), PAYLOAD, {})
    envelope.sign(key)
    metadata = dict(notebook.get("metadata", {}))
    seal = {"envelope": envelope.to_dict(), "public_key": key.public_key.keyval["public"]}
    metadata[HOME] = {**metadata.get(HOME, {}), "seal": seal}
    return {**notebook, "metadata": metadata}


def verify(notebook: Mapping[str, Any], trusted: Mapping[str, SSlibKey]) -> Finding:
    """Compare a notebook with its seal.

    Parameters
    ----------
    notebook : mapping
        A notebook as parsed JSON (by `mlops_magics.evidence.manifests.parse`, which refuses
        files that could be read in two ways).
    trusted : mapping
        Name → public key of the signers that are believed.
    """
    try:
        held = manifest(notebook)
    except RecursionError:
        return Finding(problems=("The notebook is nested too deeply to be read.",))
    count = len(held["cells"])
    seal = _seal_of(notebook)
    if seal is None:
        return Finding(problems=("It carries no seal.",), cells=count)
    try:
        envelope, key = _open(seal)
        signed = json.loads(envelope.payload)
        predicate = signed["predicate"]
        subject = signed["subject"][0]["digest"]["sha256"]
        was = {part: predicate[part] for part in held}
        sealed = str(predicate["sealed"])
    except _BrokenSealError as broken:
        return Finding(problems=(f"The seal itself was changed: {broken}.",), cells=count)
    except (ValueError, KeyError, IndexError, TypeError):
        return Finding(
            problems=("The seal is validly signed but says nothing about a notebook.",),
            cells=count,
        )
    problems = compare(was, held)
    if not problems and _bare(digest(held)) != subject:
        problems = ["The notebook's digest is not the one that was signed."]
    return Finding(
        sealed=sealed,
        problems=tuple(problems),
        trusted=_known(key, trusted),
        key_id=key.keyid,
        digest=f"sha256:{subject}",
        cells=count,
    )


class _BrokenSealError(Exception):
    """A seal that is not the one that was made."""


def _seal_of(notebook: Mapping[str, Any]) -> Any:
    metadata = notebook.get("metadata")
    home = metadata.get(HOME) if isinstance(metadata, Mapping) else None
    return home.get("seal") if isinstance(home, Mapping) else None


def _open(seal: Any) -> tuple[Envelope, SSlibKey]:
    """The envelope and the key that signed it, every byte of the seal accounted for."""
    try:
        key = _key(seal["public_key"])
        envelope = Envelope.from_dict(copy.deepcopy(seal["envelope"]))
    except (ValueError, KeyError, TypeError, AttributeError, FormatError) as error:
        raise _BrokenSealError("it can't be read") from error
    if len(envelope.signatures) != 1 or envelope.payload_type != PAYLOAD:
        raise _BrokenSealError("it is not one signed in-toto statement")
    if key.keyid not in envelope.signatures:
        raise _BrokenSealError("it was signed with another key than the one it shows")
    try:
        envelope.verify([key], 1)
    except VerificationError as error:
        raise _BrokenSealError("its signature does not fit") from error
    # Base64 has several spellings of the same bytes, hex two, and libraries carry unknown keys
    # along: only what `sign` writes is the seal.
    signature = {k: v for k, v in envelope.to_dict()["signatures"][0].items() if k in KEPT}
    expected = {**envelope.to_dict(), "signatures": [signature]}
    if seal != {"envelope": expected, "public_key": key.keyval["public"]}:
        raise _BrokenSealError("it holds more or something else than a seal")
    return envelope, key


def _key(public: str) -> SSlibKey:
    return SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)))


def _known(key: SSlibKey, trusted: Mapping[str, SSlibKey]) -> str:
    # The material is compared, not the id: an id is only as good as its spelling.
    return next((n for n, k in trusted.items() if k.keyval == key.keyval), "")


def _bare(digested: str) -> str:
    return digested.removeprefix("sha256:")


def statement(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """The signed statement of a notebook's seal, unverified; empty if there is none."""
    try:
        payload = _seal_of(notebook)["envelope"]["payload"]
        content = json.loads(base64.b64decode(payload))
    except (KeyError, TypeError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
