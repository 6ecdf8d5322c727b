"""The sinks of this package keep the contract that they ask of others."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops_magics import plugins
from mlops_magics.alerts import posting
from mlops_magics.alerts.command import CommandSink
from mlops_magics.alerts.mail import MailSink
from mlops_magics.alerts.slack import SlackSink
from mlops_magics.alerts.webhook import WebhookSink
from mlops_magics.testing import AlertContract
from tests.alerts.conftest import context, hooks, mails  # noqa: F401
from tests.alerts.receivers import Hooks, Mails

DEAD = "http://127.0.0.1:9/T0KEN/dead"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tried again at once."""
    monkeypatch.setattr(posting, "PAUSE", 0.01)


class TestCommand(AlertContract):
    sink_class = CommandSink
    secret = "s3cr3t"

    @pytest.fixture(autouse=True)
    def script(self, project: Path) -> None:
        self.folder = project
        for name, ends in (("page-me.sh", 0), ("dead.sh", 4)):
            text = f'#!/bin/sh\ncat > "came-$$"\necho "no such room" >&2\nexit {ends}\n'
            (project / name).write_text(text)
            (project / name).chmod(0o755)

    def place(self) -> str:
        return "command:./page-me.sh --key s3cr3t"

    def dead(self) -> str:
        return "command:./dead.sh --key s3cr3t"

    def received(self) -> list[str]:
        return [file.read_text() for file in self.folder.glob("came-*")]


class TestWebhook(AlertContract):
    sink_class = WebhookSink
    secret = "T0KEN"

    @pytest.fixture(autouse=True)
    def server(self, hooks: Hooks) -> None:  # noqa: F811
        self.hooks = hooks

    def place(self) -> str:
        return f"{self.hooks.url}/T0KEN/x?key=T0KEN"

    def dead(self) -> str:
        return DEAD

    def received(self) -> list[str]:
        return self.hooks.bodies


class TestSlack(TestWebhook):
    sink_class = SlackSink

    def place(self) -> str:
        return f"slack:{super().place()}"

    def dead(self) -> str:
        return f"slack:{DEAD}"


class TestMail(AlertContract):
    sink_class = MailSink

    @pytest.fixture(autouse=True)
    def server(self, mails: Mails) -> None:  # noqa: F811
        self.mails = mails

    def place(self) -> str:
        return "mailto:team@example.org,ada@example.org"

    def dead(self) -> str:
        self.mails.controller.stop()
        return "mailto:nobody@example.org"

    def received(self) -> list[str]:
        plain = [mail.get_payload(0) for mail in self.mails.mails]  # type: ignore[union-attr]
        return [part.get_payload(decode=True).decode() for part in plain]  # type: ignore[union-attr]


def test_every_registered_sink_is_tested() -> None:
    found = {plugins.load("alert", name) for name in plugins.names("alert")}
    assert found == {CommandSink, WebhookSink, SlackSink, MailSink}
