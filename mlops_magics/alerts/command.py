"""Alerts to a command: the record on its standard input, no shell."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from mlops_magics import settings
from mlops_magics.alerts.base import EXAMPLES, Message, Sink, hidden
from mlops_magics.errors import StepFailed, WrongUsage

#: Seconds that a command has.
TIME = 30.0
#: Letters of what it complained of that are kept.
LETTERS = 200


class CommandSink(Sink):
    """``command:PROGRAM ARGUMENT…``, started in the project's folder.

    It gets the record's JSON on standard input, and in its environment ``MLOPS_ALERT`` (the event),
    ``MLOPS_ALERT_TITLE``, ``MLOPS_ALERT_TEXT``, ``MLOPS_ALERT_MODEL``, ``MLOPS_ALERT_DEPLOYMENT``
    and ``MLOPS_ALERT_RUN``. What it prints is not shown.
    """

    name = "command"

    def __init__(self, text: str) -> None:
        super().__init__(text)
        try:
            self.words = shlex.split(self.place)
        except ValueError as error:
            raise WrongUsage(f"A command for alerts can't be read: {error}.", EXAMPLES) from None
        self.folder = settings.load().root
        if self._program() is None:
            raise WrongUsage(
                f"The command for alerts {self.words[0]!r} is no program that can be started.",
                f"A path is seen from {self.folder}; the file must be executable.",
            )

    def _program(self) -> str | None:
        first = self.words[0]
        return shutil.which(str(self.folder / first) if "/" in first else first)

    @property
    def label(self) -> str:
        """The program; arguments may be secrets."""
        more = f" {hidden(self.place)}" if self.words[1:] else ""
        return f"command:{Path(self.words[0]).name if more else self.words[0]}{more}"

    def send(self, message: Message) -> str:
        """Start it, and wait until it has ended."""
        facts = message.facts
        told = {"": message.event, "_TITLE": message.title, "_TEXT": message.text}
        told |= {f"_{name.upper()}": facts.get(name, "") for name in ("model", "deployment", "run")}
        environment = {**os.environ, **{f"MLOPS_ALERT{k}": _plain(v) for k, v in told.items()}}
        program = self._program() or self.words[0]
        with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as record:
            record.write(message.record.encode())
            record.seek(0)
            try:
                process = subprocess.Popen(
                    [program, *self.words[1:]],
                    cwd=self.folder,
                    env=environment,
                    stdin=record,
                    stdout=subprocess.DEVNULL,
                    stderr=said,
                    start_new_session=True,
                )
            except OSError as error:
                raise StepFailed(f"It can't be started: {error.strerror}.") from error
            try:
                code = process.wait(TIME)
            except subprocess.TimeoutExpired:
                raise StepFailed(f"It had not ended after {TIME:.0f} s and was killed.") from None
            finally:
                _end(process)
            said.seek(max(0, said.seek(0, 2) - 4 * LETTERS))
            words = said.read().decode("utf-8", "replace").strip().splitlines()
        if code:
            ended = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            raise StepFailed(f"It ended with {ended}{': ' + words[-1][:LETTERS] if words else ''}.")
        return "exit code 0"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it with what it has started, unless it has ended by itself."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _plain(text: str) -> str:
    """Text as a variable of an environment takes it."""
    return text.replace("\0", " ")[:8000]
