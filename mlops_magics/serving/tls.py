"""The certificate and key for HTTPS, looked at before the server starts."""

from __future__ import annotations

import ssl
from pathlib import Path

from mlops_magics.errors import WrongUsage


def files(certificate: Path | None, key: Path | None) -> dict[str, str]:
    """Both as uvicorn takes them; nothing where HTTPS is not asked for.

    Raises
    ------
    WrongUsage
        If one is missing, can't be read, or does not go with the other.
    """
    if certificate is None and key is None:
        return {}
    if certificate is None or key is None:
        raise WrongUsage("HTTPS needs a certificate and its key.", "Give --tls-cert and --tls-key.")
    for file, what in ((certificate, "certificate"), (key, "key")):
        try:
            file.read_bytes()
        except OSError as error:
            raise WrongUsage(f"The {what} {file} can't be read: {error.strerror}.") from error
    try:
        # A password is asked for by nobody: a server has no terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, lambda: "")
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", "") or error
        raise WrongUsage(
            f"{certificate} and {key} are no certificate and its key: {reason}.",
            "Both must be PEM, the key without a password; further certificates of the chain come "
            "after the server's own.",
        ) from error
    return {"ssl_certfile": str(certificate), "ssl_keyfile": str(key)}
