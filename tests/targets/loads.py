"""Clients for deployments, and patience."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import psutil


def until(condition: Callable[[], Any]) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen within 30 s")


def runs(pid: int | None) -> bool:
    """Whether a process is there and not only waits for someone to take note of its end."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Load:
    """Clients that ask one after the other, each on a connection that is kept."""

    def __init__(self, url: str, body: bytes, clients: int = 16) -> None:
        self.url, self.body, self.clients = url, body, clients
        self.replies: list[tuple[float, httpx.Response]] = []
        self.errors: list[httpx.HTTPError] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Load:
        self._thread.start()
        until(lambda: len(self.replies) > 100)
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    async def _run(self) -> None:
        limits = httpx.Limits(max_connections=self.clients, max_keepalive_connections=self.clients)
        async with httpx.AsyncClient(limits=limits, timeout=30) as asking:
            await asyncio.gather(*(self._ask(asking) for _ in range(self.clients)))

    async def _ask(self, asking: httpx.AsyncClient) -> None:
        headers = {"content-type": "application/json"}
        while not self._done.is_set():
            try:
                url = f"{self.url}/invocations"
                reply = await asking.post(url, content=self.body, headers=headers)
                self.replies.append((time.time(), reply))
            except httpx.HTTPError as error:
                self.errors.append(error)

    def answers(self) -> list[Any]:
        return [reply.json() for _, reply in self.replies]
