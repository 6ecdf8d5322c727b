"""Each sink beside its contract: what it refuses, what it sends, and what it keeps to itself."""

from __future__ import annotations

import json
import logging
import ssl
import time
from pathlib import Path
from typing import Any

import pytest

from mlops_magics.alerts import command, mail, posting
from mlops_magics.alerts.base import Message
from mlops_magics.alerts.sending import read, sink
from mlops_magics.alerts.slack import body
from mlops_magics.errors import StepFailed, UnknownName, WrongUsage
from tests.alerts.receivers import Hooks, Mails

MESSAGE = Message(
    event="breach",
    title="credit: over a threshold: drift(Income)",
    broken=("drift(Income): <!channel> & 0.31",),
    facts={"model": "credit/3", "deployment": "credit", "run": "0123"},
    record='{"run_id": "0123"}',
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("page-me.sh", "'page-me.sh' is no place for an alert"),
        ("htps://example.org/T0KEN", "Did you mean 'https'"),
        ("http://example.org/T0KEN", "http://example.org would go over the network in the open"),
        ("https://", "no https:// address"),
        ("slack:ftp://hooks.example.org/T0KEN", "no https:// address"),
        ("slack:", "says no place"),
        ("command:./not-there.sh T0KEN", "'./not-there.sh' is no program"),
        ("command:sh 'T0KEN", "can't be read"),
        ("mailto:nobody", "'nobody' is no e-mail address"),
        ("mailto:a@example.org\nBcc: b@example.org", "no e-mail address"),
        ("mailto:a@example.org", "the setting smtp is not set"),
        ("env:NOT_THERE", "no variable NOT_THERE"),
    ],
)
def test_what_is_no_place_is_refused_in_a_sentence(text: str, says: str) -> None:
    with pytest.raises(WrongUsage) as told:
        sink(text)
    assert says in str(told.value)
    assert "T0KEN" not in str(told.value)


def test_a_place_may_stand_in_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER", "slack:https://hooks.slack.com/services/T0KEN")
    assert sink("env:PAGER").label.startswith("slack:https://hooks.slack.com/•••")
    assert "T0KEN" not in sink("env:PAGER").label


def test_labels_tell_two_places_apart() -> None:
    both = [sink(f"https://user:pw@example.org:8443/hook/{n}").label for n in "ab"]
    assert both[0] != both[1]
    assert all(label.startswith("https://example.org:8443/•••") for label in both)
    assert read(["https://example.org", "https://example.org"]).labels == ["https://example.org"]


class TestPosting:
    def test_a_second_try_and_no_third(self, hooks: Hooks, monkeypatch: Any) -> None:
        monkeypatch.setattr(posting, "PAUSE", 0.01)
        hooks.answers = [503]
        assert sink(hooks.url).send(MESSAGE) == "HTTP 200"
        assert [h["idempotency-key"] for h in hooks.headers] == ["0123-breach"] * 2
        assert hooks.headers[0]["content-type"] == "application/json"
        hooks.answers = [503, 429]
        with pytest.raises(StepFailed, match=r"HTTP 429, tried 2 times\."):
            sink(hooks.url).send(MESSAGE)
        assert len(hooks.bodies) == 4
        hooks.answers = [410]
        with pytest.raises(StepFailed, match=r"It answered HTTP 410\."):
            sink(hooks.url).send(MESSAGE)
        assert len(hooks.bodies) == 5

    def test_a_redirect_is_not_followed(self, hooks: Hooks) -> None:
        hooks.answers = [307]
        with pytest.raises(StepFailed, match="redirect, which is not followed"):
            sink(hooks.url).send(MESSAGE)
        assert len(hooks.bodies) == 1

    def test_one_that_does_not_answer(self, hooks: Hooks, monkeypatch: Any) -> None:
        monkeypatch.setattr(posting, "PAUSE", 0.01)
        monkeypatch.setattr(posting, "TIME", 0.2)
        hooks.slow = 0.5
        with pytest.raises(StepFailed, match="did not answer within"):
            sink(hooks.url).send(MESSAGE)

    def test_the_address_is_not_logged(self, hooks: Hooks, caplog: Any) -> None:
        with caplog.at_level(logging.INFO):
            sink(f"{hooks.url}/T0KEN").send(MESSAGE)
        assert "T0KEN" not in caplog.text

    def test_slack_gets_no_calls_from_names_in_the_data(self) -> None:
        made = body(MESSAGE)
        assert "credit: over a threshold" in made["text"]
        assert [b["type"] for b in made["blocks"]] == ["header", "section", "context"]
        assert "&lt;!channel&gt; &amp; 0.31" in made["blocks"][1]["text"]["text"]
        long = body(Message(event="still", title="x" * 400, broken=("y" * 5000,)))
        assert len(long["blocks"][0]["text"]["text"]) == 150
        assert len(long["blocks"][1]["text"]["text"]) == 3000


class TestCommand:
    def script(self, project: Path, text: str) -> None:
        (project / "page.sh").write_text(f"#!/bin/sh\n{text}\n")
        (project / "page.sh").chmod(0o755)

    def test_what_it_is_told(self, project: Path) -> None:
        self.script(
            project, 'cat > record; env | grep ^MLOPS_ALERT > told; printf "%s\\n" "$@" > w'
        )
        assert sink("command:./page.sh '$HOME; x' *").send(MESSAGE) == "exit code 0"
        assert json.loads((project / "record").read_text()) == {"run_id": "0123"}
        told = (project / "told").read_text()
        assert "MLOPS_ALERT=breach\n" in told
        assert "MLOPS_ALERT_MODEL=credit/3\n" in told
        assert "MLOPS_ALERT_RUN=0123\n" in told
        assert (project / "w").read_text() == "$HOME; x\n*\n"  # no shell has seen them

    def test_its_time_is_limited_and_nothing_of_it_is_left(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(command, "TIME", 0.3)
        self.script(project, "(sleep 1; touch late) & sleep 60")
        began = time.monotonic()
        with pytest.raises(StepFailed, match="had not ended after"):
            sink("command:./page.sh").send(MESSAGE)
        assert time.monotonic() - began < 5
        time.sleep(1.2)
        assert not (project / "late").exists()

    def test_what_it_complains_of_is_said_and_bounded(self, project: Path) -> None:
        self.script(project, "head -c 3000000 /dev/zero | tr '\\0' x >&2; echo >&2; exit 7")
        with pytest.raises(StepFailed, match="exit code 7: xxx") as told:
            sink("command:./page.sh").send(MESSAGE)
        assert len(str(told.value)) < 300


class TestMail:
    def test_both_forms_from_whom_it_is(self, mails: Mails) -> None:
        taken = sink("mailto:team@example.org,ada@example.org").send(MESSAGE)
        assert taken == "taken by 127.0.0.1"
        (came,) = mails.mails
        assert mails.recipients == [["team@example.org", "ada@example.org"]]
        assert came["From"] == Mails.USER
        assert came["Subject"] == MESSAGE.title
        assert came["Auto-Submitted"] == "auto-generated"
        kinds = [part.get_content_type() for part in came.walk()]
        assert kinds == ["multipart/alternative", "text/plain", "text/html"]
        page = came.get_payload(1).get_payload(decode=True).decode()  # type: ignore[union-attr]
        assert "&lt;!channel&gt; &amp; 0.31" in page

    def test_a_wrong_password_is_said_and_not_repeated(
        self, mails: Mails, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(mail.PASSWORD, "guessed-at")
        with pytest.raises(StepFailed, match="refused the log-in") as told:
            sink("mailto:team@example.org").send(MESSAGE)
        assert "guessed-at" not in str(told.value)

    def test_a_certificate_that_nobody_trusts(
        self, mails: Mails, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("SSL_CERT_FILE")
        with pytest.raises(StepFailed, match="certificate verify failed"):
            sink("mailto:team@example.org").send(MESSAGE)
        assert not mails.mails

    def test_encrypted_from_the_start(
        self, context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with Mails(context, whole=True).running() as server:
            monkeypatch.setenv(
                "MLOPS_SMTP", f"smtps://alerts%40example.org@localhost:{server.port}"
            )
            monkeypatch.setenv(mail.PASSWORD, Mails.PASSWORD)
            monkeypatch.setenv("MLOPS_SMTP_FROM", "watch@example.org")
            sink("mailto:team@example.org").send(MESSAGE)
            assert server.mails[0]["From"] == "watch@example.org"

    @pytest.mark.parametrize(
        ("smtp", "says"),
        [("smtp://a:pw@example.org", "holds a password"), ("example.org:25", "smtp is none")],
    )
    def test_settings_that_can_not_be(self, smtp: str, says: str, monkeypatch: Any) -> None:
        monkeypatch.setenv("MLOPS_SMTP", smtp)
        with pytest.raises(WrongUsage, match=says):
            sink("mailto:team@example.org")


def test_what_is_wrong_in_the_settings_is_a_problem_and_no_end(project: Path) -> None:
    (project / "mlops.toml").write_text(
        'alerts = ["https://example.org/T0KEN", "pager:T0KEN", "env:NONE"]'
    )
    found = read([])
    assert len(found.labels) == 1
    assert list(found.problems) == [
        "pager: of the setting alerts",
        "env:NONE of the setting alerts",
    ]
    assert "T0KEN" not in str(found.problems)
    with pytest.raises(UnknownName):
        read(["pager:T0KEN"])
