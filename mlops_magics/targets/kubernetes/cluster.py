"""A cluster, by its own client."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlops_magics.errors import StepFailed

#: Seconds that pods may take to be ready, and that a single question may take.
ROLLOUT, QUESTION = 180, 20


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Where ``kubectl`` goes: a context of its configuration (its own if empty), a namespace."""

    context: str
    namespace: str

    @property
    def words(self) -> list[str]:
        """What every command begins with."""
        context = ["--context", self.context] if self.context else []
        return ["kubectl", *context, "--namespace", self.namespace]

    def why_not(self) -> str:
        """Why it can't be reached; empty if it can."""
        if shutil.which("kubectl") is None:
            return "kubectl is not installed here"
        done = self.run("get", "--raw", "/version", timeout=QUESTION)
        return "" if done.returncode == 0 else f"kubectl reaches no cluster: {said(done)}"

    def run(self, *words: str, timeout: float = ROLLOUT) -> subprocess.CompletedProcess[str]:
        """One command, whatever comes of it."""
        command = [*self.words, f"--request-timeout={QUESTION}s", *words]
        try:
            return subprocess.run(
                command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=timeout
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 1, "", f"no answer within {timeout:.0f} s")

    def must(self, *words: str, timeout: float = ROLLOUT) -> str:
        """One command that has to succeed; what it wrote.

        Raises
        ------
        StepFailed
            If it does not; in kubectl's own words.
        """
        done = self.run(*words, timeout=timeout)
        if done.returncode:
            raise StepFailed(f"kubectl {words[0]} failed: {said(done)}.")
        return done.stdout

    def has(self, kind: str, name: str) -> bool:
        """Whether the cluster has it."""
        return self.run("get", kind, name, "--output", "name", timeout=QUESTION).returncode == 0

    def settled(self, name: str) -> None:
        """Wait until all pods of a Deployment are of the new version, and ready.

        Raises
        ------
        StepFailed
            If they are not in time.
        """
        limit = f"--timeout={ROLLOUT - 10}s"
        command = [*self.words, "rollout", "status", f"deployment/{name}", limit]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise StepFailed(f"The pods of {name} are not ready: {said(done)}.")

    @contextmanager
    def forwarded(self, name: str) -> Iterator[str]:
        """A Service of the cluster on this machine, while the block runs; its URL.

        Raises
        ------
        StepFailed
            If kubectl does not forward it.
        """
        command = [*self.words, "port-forward", f"service/{name}", ":80", "--address", "127.0.0.1"]
        running = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
            text=True,
        )  # fmt: skip
        with running:
            assert running.stdout is not None
            assert running.stderr is not None
            try:
                line = running.stdout.readline()  # it says so once, or ends
                found = re.match(r"Forwarding from (127\.0\.0\.1:\d+)", line)
                if found is None:
                    why = running.stderr.read().strip() or line.strip()
                    raise StepFailed(f"kubectl does not forward service/{name}: {why}.")
                yield f"http://{found[1]}"
            finally:
                running.kill()

    def command(self, folder: Path) -> str:
        """The command with which a person applies what was written."""
        return " ".join([*self.words, "apply", "-k", str(folder / "overlay")])


def said(done: subprocess.CompletedProcess[str]) -> str:
    """The last thing that a command said."""
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    return (lines or [f"exit code {done.returncode}"])[-1][:300].rstrip(".")
