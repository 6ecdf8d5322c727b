"""Listening sockets, and who holds a port."""

from __future__ import annotations

import errno
import socket

import psutil

from mlops_magics.errors import WrongUsage

HOST = "127.0.0.1"


def listen(port: int) -> socket.socket:
    """A socket that listens on this machine only; 0 takes a free port.

    Bound here and handed to the server, so that nobody can take the port in between.

    Raises
    ------
    WrongUsage
        If the port is taken or may not be used; says by whom and names a free one.
    """
    if not 0 <= port < 65536:
        raise WrongUsage(f"{port} is no port.", "Ports go from 1 to 65535; 0 takes a free one.")
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen(2048)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise WrongUsage(
                f"Port {port} is taken{_holder(port)}.",
                f"Take another, for example --port {_free()}, or leave --port out.",
            ) from error
        raise WrongUsage(
            f"Port {port} can't be used: {error.strerror}.", "Leave --port out to take a free one."
        ) from error
    return listening


def _free() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _holder(port: int) -> str:
    """Who listens there, as far as this user may know."""
    try:
        for connection in psutil.net_connections("tcp"):
            held = connection.laddr and connection.laddr.port == port
            if held and connection.status == psutil.CONN_LISTEN and connection.pid:
                process = psutil.Process(connection.pid)
                return f" by process {process.pid} ({' '.join(process.cmdline())[:80]})"
    except psutil.Error:
        pass
    return ""
