"""One at a time: threads on the embedded store, and clients of a real server."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from mlflow.exceptions import MlflowException

from mlops_magics.errors import StoreUnreachable
from mlops_magics.store import locks, runs, versions

LOCK = f"{locks.PREFIX}aliases-credit"


def together(count: int = 6) -> int:
    """How many were inside at once, at most."""
    inside, most = [0], [0]
    guard = threading.Lock()

    def work() -> None:
        with locks.alone("aliases-credit"):
            with guard:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            time.sleep(0.02)
            with guard:
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return most[0]


def test_on_the_embedded_store() -> None:
    assert together() == 1


@pytest.mark.slow
def test_on_a_server(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert together() == 1
    assert versions.names() == []
    client = runs.connect()
    # One that was left behind is taken over when its lease has run out, and not before.
    client.create_registered_model(LOCK)
    assert versions.names() == []
    monkeypatch.setattr(locks, "PATIENCE", 0.3)
    with pytest.raises(StoreUnreachable, match="Somebody else has been changing"):
        locks.alone("aliases-credit").__enter__()
    monkeypatch.setattr(locks, "PATIENCE", 30.0)
    monkeypatch.setattr(locks, "LEASE", 1.5)  # long enough to be renewed on a busy machine
    with locks.alone("aliases-credit"):
        # Held for longer than the lease, it is still ours: it is renewed.
        waiting = threading.Thread(target=together, args=(1,))
        waiting.start()
        waiting.join(3.5)
        assert waiting.is_alive()
        assert "renewed" in client.get_registered_model(LOCK).description
    waiting.join()
    with pytest.raises(MlflowException):
        client.get_registered_model(LOCK)
