"""Addresses of clusters: who reaches one can run code on it, so that it is here or protected."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from mlops_magics.errors import MlopsError, WrongUsage


def host_and_port(address: str, example: str) -> tuple[str, int]:
    """Both parts of ``scheme://host:port``.

    Raises
    ------
    WrongUsage
        If one is missing or can't be read.
    """
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise WrongUsage(f"{address!r} is no address: {error}.", f"For example {example}") from None
    if not host or port is None:
        raise WrongUsage(f"{address!r} names no host and port.", f"For example {example}")
    return host, port


def refuse_elsewhere(address: str, host: str, what: str, hint: str) -> None:
    """Take an unprotected address on this machine alone.

    Parameters
    ----------
    what : str
        What stands there and can't be protected so: ``a tcp:// scheduler``.

    Raises
    ------
    WrongUsage
        If it is elsewhere.
    """
    if not is_here(host):
        raise WrongUsage(
            f"{address} is neither on this machine nor protected: whoever reaches {what} can run "
            "code on its workers.",
            hint,
        )


def is_here(host: str) -> bool:
    """Whether all addresses of the host are this machine's own."""
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except OSError:
        raise MlopsError(f"The host {host!r} is not known.", "Is the address right?") from None
    return all(ipaddress.ip_address(a.partition("%")[0]).is_loopback for a in found)
