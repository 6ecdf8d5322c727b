"""Deployments on this machine: a process each, which outlives the notebook that started it."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import time
from collections.abc import Mapping
from pathlib import Path

from mlops_magics import records
from mlops_magics.errors import StepFailed
from mlops_magics.records import Deployment, Package
from mlops_magics.targets import ports, processes, serverside, state
from mlops_magics.targets.base import NONE, Target

log = logging.getLogger("mlops_magics")

#: Seconds that a server may take to load its model.
PATIENCE = 120.0
#: Seconds for which one that does not answer is watched, in case it is just dying.
MOMENT = 0.5
#: How many logs of former servers are kept.
LOGS = 5


class LocalTarget(Target):
    """A server in its own process, on the loopback interface."""

    name = "local"
    options = serverside.options()

    def check(self, options: Mapping[str, str]) -> None:
        """Refuse options that it does not have, and values that they can't have."""
        super().check(options)
        serverside.arguments(options)

    def deploy(
        self,
        package: Package,
        *,
        name: str,
        port: int = 0,
        capture: Path | None = None,
        options: Mapping[str, str] = NONE,
    ) -> Deployment:
        """Start the package's own server; it is up when it has answered the example rightly."""
        place = state.folder(name)
        place.mkdir(parents=True, exist_ok=True)
        listening = ports.listen(port)
        with listening:
            taken = int(listening.getsockname()[1])
            started = processes.start(
                _arguments(name, taken, listening.fileno(), capture, options),
                folder=Path(package.path),
                log=_new_log(place),
                descriptor=listening.fileno(),
            )
        url = f"http://{ports.HOST}:{taken}"
        log.info("Process %d loads %s", started.pid, package.model)
        try:
            _wait(started, url)
            warnings = _smoke_test(Path(package.path), url)
        except BaseException:  # an interrupt too leaves nothing running
            processes.stop(started)
            raise
        started.save(place / f"process-{started.pid}.json")
        return Deployment(
            name=name,
            model=package.model,
            target=self.name,
            url=url,
            status="up",
            pid=started.pid,
            started=records.now(),
            package=package.path,
            capture=str(capture) if capture else "",
            warnings=warnings,
        )

    def status(self, deployment: Deployment) -> Deployment:
        """Up if the same process is alive and answers; else down, and why."""
        from mlops_magics.serving import client

        started = _started(deployment)
        alive = started is not None and started.process() is not None
        if alive and client.ping(deployment.url):
            return dataclasses.replace(deployment, status="up", reason="")
        # One that dies just now answers no more a moment before it is gone.
        if started is None or not alive or processes.ends(started, MOMENT):
            said = _last_words(started)
            reason = f"Process {deployment.pid} is gone{said or ', without a word in its log'}."
        else:
            reason = f"Process {deployment.pid} is alive and does not answer at {deployment.url}."
        return dataclasses.replace(deployment, status="down", reason=reason)

    def undeploy(self, deployment: Deployment) -> Deployment:
        """SIGTERM, then SIGKILL, to the process that was started and no other."""
        started = _started(deployment)
        if started is not None:
            processes.stop(started)
            (state.folder(deployment.name) / f"process-{started.pid}.json").unlink(missing_ok=True)
        return dataclasses.replace(deployment, status="stopped", pid=None, reason="")

    def logs(self, deployment: Deployment, lines: int = 50) -> str:
        """The end of the server's log."""
        started = _started(deployment)
        newest = max(state.folder(deployment.name).glob("server-*.log"), default=None)
        file = Path(started.log) if started else newest
        return processes.tail(file, lines) if file else ""


def _arguments(
    name: str, port: int, descriptor: int, capture: Path | None, options: Mapping[str, str]
) -> list[str]:
    keep = ["--capture", str(capture)] if capture else []
    where = ["--host", ports.HOST, "--port", str(port), "--fd", str(descriptor)]
    return [
        "-m",
        "mlops_magics.serving",
        ".",
        *where,
        "--name",
        name,
        *keep,
        *serverside.arguments(options),
    ]


def _new_log(place: Path) -> Path:
    """A log of its own for each server, in order of time; the oldest are removed."""
    for old in sorted(place.glob("server-*.log"))[: 1 - LOGS]:
        old.unlink(missing_ok=True)
    return place / f"server-{time.time_ns()}.log"


def _started(deployment: Deployment) -> processes.Started | None:
    file = state.folder(deployment.name) / f"process-{deployment.pid}.json"
    return processes.Started.read(file)


def _wait(started: processes.Started, url: str) -> None:
    from mlops_magics.serving import client

    until = time.monotonic() + PATIENCE
    for _ in itertools.count():
        if started.process() is None:
            raise StepFailed(
                f"The server ended while it started{_last_words(started)}.",
                f"Its log: {started.log}",
            )
        # The socket listens already, so this waits until the server takes it over.
        if client.ping(url, timeout=0.3):
            return
        if time.monotonic() > until:
            raise StepFailed(
                f"The server did not answer within {PATIENCE:.0f} s{_last_words(started)}.",
                f"Its log: {started.log}",
            )


def _smoke_test(package: Path, url: str) -> tuple[str, ...]:
    """Ask what the package was tested with; the answers must be the recorded ones."""
    from mlops_magics.serving import captured, client, manifest
    from mlops_magics.serving.package import comparing

    example, expected = manifest.example(package), manifest.answers(package)
    if not example or expected is None:
        return ("The package has no input example, so the deployment was not smoke-tested.",)
    reply = client.ask(url, example, client_id=captured.SMOKE_TEST)
    if reply.status != 200:
        raise StepFailed(
            f"The deployment failed its smoke test: {reply.message}", "It was stopped again."
        )
    within = comparing.tolerance(package)
    if difference := comparing.differs(expected, reply.content, within=within):
        raise StepFailed(
            f"The deployment failed its smoke test, it answers differently: {difference}.",
            "It was stopped again.",
        )
    return ()


def _last_words(started: processes.Started | None) -> str:
    lines = processes.tail(Path(started.log), 20).splitlines() if started else []
    said = [line.strip() for line in lines if line.strip() and "INFO Serving" not in line]
    return f"; its log ends with: {said[-1][:300].rstrip('.')}" if said else ""
