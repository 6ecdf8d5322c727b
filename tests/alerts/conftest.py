"""Receivers that several tests of alerts need."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.alerts.receivers import Hooks, Mails, certificate


@pytest.fixture
def hooks() -> Iterator[Hooks]:
    with Hooks().running() as running:
        yield running


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A certificate that this process trusts."""
    made = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    return made


@pytest.fixture
def mails(context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mails]:
    """A mail server with STARTTLS that the settings name."""
    with Mails(context).running() as running:
        user = Mails.USER.replace("@", "%40")
        monkeypatch.setenv("MLOPS_SMTP", f"smtp://{user}@127.0.0.1:{running.port}")
        monkeypatch.setenv("MLOPS_SMTP_PASSWORD", Mails.PASSWORD)
        yield running
