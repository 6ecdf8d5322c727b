"""Deployments as containers of this machine, kept by podman or docker."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from mlops_magics import records, settings
from mlops_magics.errors import StepFailed, UnknownName, WrongUsage
from mlops_magics.records import Deployment, Package
from mlops_magics.serving.capture_rules import Rules
from mlops_magics.serving.package.images import engines
from mlops_magics.targets import ports, serverside
from mlops_magics.targets.base import NONE, Target

log = logging.getLogger("mlops_magics")

#: Engines that keep containers running, in the order in which they are looked for.
ENGINES = ("podman", "docker")
#: Seconds that a server may take to load its model.
PATIENCE = 120.0
#: Where the server listens inside, and where it keeps requests and answers.
PORT, CAPTURE = 8080, "/capture"
#: How often a container that fails is started again before it is given up.
RESTARTS = "5"
#: What asks the server from inside; images in OCI's format carry no health check.
HEALTH = (
    'python -c "from urllib.request import urlopen as get; '
    f"get('http://127.0.0.1:{PORT}/livez', timeout=2)\""
)


class ContainerTarget(Target):
    """A container that can do nothing but answer: read-only, no capabilities, loopback only."""

    name = "container"
    takes = "image"
    options: ClassVar[Mapping[str, str]] = {
        "engine": "podman or docker; the first that works",
        "memory": "the most memory that it gets: 512m, 2g",
        "cpus": "the most processors that it gets: 0.5, 2",
        "restart": f"how often it is started again when it fails ({RESTARTS}); no: never",
        **serverside.options(),
    }

    def deploy(
        self,
        package: Package,
        *,
        name: str,
        port: int = 0,
        capture: Path | None = None,
        options: Mapping[str, str] = NONE,
    ) -> Deployment:
        """Start a container; it is up when it has answered the example in its image rightly."""
        engine = _engine(options.get("engine", ""))
        served = serverside.arguments(options)
        limits, capture = _limits(options), _captured(capture)
        with ports.listen(port) as free:  # docker would take another one at each restart
            port = free.getsockname()[1]
        load(engine, package)
        container = f"mlops-{name}-{os.urandom(4).hex()}"
        said = engine.run(
            "run", "--detach", "--name", container, "--pull", "never",
            "--label", f"io.mlops-magics.deployment={name}",
            "--publish", f"{ports.HOST}:{port}:{PORT}",
            "--read-only", "--tmpfs", "/tmp",  # noqa: S108  # the container's own
            "--cap-drop", "all", "--security-opt", "no-new-privileges",
            "--health-cmd", HEALTH, "--health-interval", "10s", "--health-start-period", "20s",
            *limits, *_mounted(capture), package.tag, *_command(name, capture, served),
            check=False,
        )  # fmt: skip
        try:
            if said.returncode:
                raise StepFailed(f"{engine.name} did not start it: {engines.said(said)}.")
            url = f"http://{ports.HOST}:{port}"
            log.info("Container %s loads %s", container, package.model)
            _wait(engine, container, url)
            warnings = _smoke_test(engine, container, url)
        except BaseException:  # an interrupt too leaves nothing running
            _end(engine, container)
            raise
        return Deployment(
            name=name,
            model=package.model,
            target=self.to,
            url=url,
            status="up",
            started=records.now(),
            package=package.path,
            capture=str(capture) if capture else "",
            details={"engine": engine.name, "container": container, "image": package.tag},
            warnings=warnings,
        )

    def status(self, deployment: Deployment) -> Deployment:
        """Up if the container runs and its server answers; else down, and why."""
        from mlops_magics.serving import client

        engine, container = _kept(deployment)
        seen = _inspect(engine, container)
        details = {**deployment.details, "restarts": seen.get("RestartCount", 0)}
        state = seen.get("State", {})
        if state.get("Running") and client.ping(deployment.url):
            return dataclasses.replace(deployment, status="up", reason="", details=details)
        reason = _why_not(container, state, seen, engine)
        return dataclasses.replace(deployment, status="down", reason=reason, details=details)

    def undeploy(self, deployment: Deployment) -> Deployment:
        """Stop and remove the container; its image stays."""
        _end(*_kept(deployment))
        return dataclasses.replace(deployment, status="stopped", reason="")

    def logs(self, deployment: Deployment, lines: int = 50) -> str:
        """The end of what the container wrote."""
        engine, container = _kept(deployment)
        done = engine.run("logs", "--tail", str(lines), container, check=False)
        return done.stdout + done.stderr if done.returncode == 0 else ""


def load(engine: engines.Engine, package: Package) -> None:
    """Take a package's image into an engine's store.

    Raises
    ------
    WrongUsage
        If there is no image at its path.
    StepFailed
        If the engine does not take it.
    """
    place = Path(package.path)
    if not (place / "index.json").is_file():
        raise WrongUsage(f"{place} holds no image.", f"Package {package.model} --as image again.")
    engine.load(place, package.tag)


def _engine(wanted: str) -> engines.Engine:
    """The engine that is asked for, or the first that works."""
    if wanted:
        if wanted not in ENGINES:
            raise UnknownName("engine for containers", wanted, ENGINES)
        why = [engines.broken(engines.ENGINES[wanted]())]
        if not why[0]:
            return engines.ENGINES[wanted]()
    else:
        why = []
        for name in ENGINES:
            engine = engines.ENGINES[name]()
            if not (broken := engines.broken(engine)):
                return engine
            why.append(broken)
    raise WrongUsage(
        f"No engine can run the container: {' '.join(why)}",
        "Install or mend podman or docker, or deploy --to local.",
    )


def _limits(options: Mapping[str, str]) -> list[str]:
    restart = options.get("restart", RESTARTS)
    if restart != "no" and not (restart.isdecimal() and int(restart)):
        raise WrongUsage(f"-o restart is a number or no, not {restart!r}.")
    limits = ["--restart", "no" if restart == "no" else f"on-failure:{restart}"]
    for name in ("memory", "cpus"):
        limits += [f"--{name}", options[name]] if name in options else []
    return limits


def _captured(capture: Path | None) -> Path | None:
    """Where the container keeps requests and answers: in a folder that has nothing else in it."""
    return capture.parent / "container" / capture.name if capture else None


def _mounted(capture: Path | None) -> list[str]:
    """That folder; the server's user in the container may write to it."""
    if capture is None:
        return []
    capture.parent.mkdir(parents=True, exist_ok=True)
    capture.parent.chmod(0o777)
    return ["--volume", f"{capture.parent.absolute()}:{CAPTURE}:rw"]


def _command(name: str, capture: Path | None, served: list[str]) -> list[str]:
    kept = Rules.of(settings.load()).arguments()
    keep = ["--capture", f"{CAPTURE}/{capture.name}", *kept] if capture else []
    where = ["--host", "0.0.0.0", "--port", str(PORT), "--open"]  # noqa: S104  # inside of it
    return ["python", "-m", "mlops_magics.serving", ".", *where, "--name", name, *keep, *served]


def _wait(engine: engines.Engine, container: str, url: str) -> None:
    from mlops_magics.serving import client

    until = time.monotonic() + PATIENCE
    while not client.ping(url, timeout=0.5):
        seen = _inspect(engine, container)
        state = seen.get("State", {})
        if not state.get("Running") or seen.get("RestartCount", 0):
            raise StepFailed(
                f"The container ended while it started. {_why_not(container, state, seen, engine)}",
                "It was removed again.",
            )
        if time.monotonic() > until:
            raise StepFailed(f"The container did not answer within {PATIENCE:.0f} s.")
        time.sleep(0.05)


def _smoke_test(engine: engines.Engine, container: str, url: str) -> tuple[str, ...]:
    """Ask what the image was tested with; the answers must be the recorded ones."""
    from mlops_magics.serving import manifest
    from mlops_magics.targets import smoke

    kept = [
        engine.run("exec", container, "cat", name, check=False)
        for name in (manifest.EXAMPLE, manifest.ANSWERS)
    ]
    if any(done.returncode for done in kept):
        return smoke.compare(url, b"", None)
    return smoke.compare(url, kept[0].stdout.encode(), json.loads(kept[1].stdout))


def _kept(deployment: Deployment) -> tuple[engines.Engine, str]:
    details = deployment.details
    return engines.ENGINES[details["engine"]](), details["container"]


def _inspect(engine: engines.Engine, container: str) -> dict[str, Any]:
    done = engine.run("container", "inspect", container, check=False)
    found = json.loads(done.stdout or "[]") if done.returncode == 0 else []
    return dict(found[0]) if found else {}


def _why_not(
    container: str, state: Mapping[str, Any], seen: Mapping[str, Any], engine: engines.Engine
) -> str:
    if not seen:
        return f"{engine.name} has no container {container}."
    if state.get("OOMKilled"):
        return f"The container {container} was killed, as it needed more memory than it may have."
    if state.get("Paused"):
        return f"The container {container} is paused."
    if state.get("Running"):
        return f"The container {container} runs and does not answer."
    lines = engine.run("logs", "--tail", "20", container, check=False)
    said = [line.strip() for line in (lines.stdout + lines.stderr).splitlines() if line.strip()]
    words = f"; its log ends with: {said[-1][:300].rstrip('.')}" if said else ""
    return f"The container {container} ended with {state.get('ExitCode')}{words}."


def _end(engine: engines.Engine, container: str) -> None:
    engine.run("stop", "--time", "5", container, check=False)
    engine.run("rm", "--force", "--volumes", container, check=False)
