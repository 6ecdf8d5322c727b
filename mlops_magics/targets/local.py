"""Deployments on this machine: servers under a supervisor, which outlive who started them."""

from __future__ import annotations

import dataclasses
import logging
import socket
from collections.abc import Mapping
from pathlib import Path

from mlops_magics import records, settings
from mlops_magics.errors import StepFailed, WrongUsage
from mlops_magics.records import Deployment, Package
from mlops_magics.serving.capture_rules import Rules
from mlops_magics.targets import plans, ports, processes, serverside, smoke, state, telling
from mlops_magics.targets.base import NONE, Split, Target
from mlops_magics.targets.plans import Beside, Report, Server
from mlops_magics.targets.supervision import PROMPT, Supervision, new_server

log = logging.getLogger("mlops_magics")

#: Seconds that a server may take to load its model.
PATIENCE = 120.0


class LocalTarget(Target):
    """Servers of this machine, on the loopback interface."""

    name = "local"
    options = serverside.options()
    replaces = True
    can_split = True

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
        """Start the package's own server; it is up when it has answered the example rightly.

        A deployment of the same name keeps its port, unless another is asked for, and answers
        until the new server has been tested; then that one takes up the same socket.
        """
        place = state.folder(name)
        place.mkdir(parents=True, exist_ok=True)
        last = Supervision.last(place)
        if last and last.is_alive() and port in (0, last.report.port):
            supervision, former = last, None
        else:
            supervision, former = _supervised(place, port, last), last
        try:
            with supervision.or_as_before():
                server = _server(supervision, package, name, capture, options)
                warnings = _tested(supervision, package, server)
                plan = supervision.plan
                supervision.change(plan.next(servers=(server,), deployed=server.id, beside=None))
                report = supervision.wait(
                    lambda r: r.deployed == server.id or _state(r, server) == "failed",
                    PROMPT,
                    "did not switch",
                )
                if report.deployed != server.id:
                    raise _ended(report, server)
        except BaseException:
            if supervision is not last:
                supervision.end()
                supervision.forget()
            raise
        if former is not None:
            former.end()
            former.forget()
        return Deployment(
            name=name,
            model=package.model,
            target=self.name,
            url=f"{'https' if 'tls-cert' in options else 'http'}://{ports.HOST}:{report.port}",
            status="up",
            pid=report.servers[server.id]["pid"],
            started=records.now(),
            package=package.path,
            capture=str(capture) if capture else "",
            warnings=warnings,
            details=telling.details(report),
        )

    def split(self, deployment: Deployment, package: Package, split: Split) -> Deployment:
        """Start a second server beside the deployed one, test it, and hand it its requests."""
        supervision = Supervision.last(state.folder(deployment.name))
        if supervision is None or not supervision.is_alive():
            raise StepFailed(
                f"The deployment {deployment.name!r} has no supervisor that could start a "
                f"{split.kind}.",
                f"Deploy it again: mlops deploy {deployment.model} --name {deployment.name}.",
            )
        capture = Path(deployment.capture) if deployment.capture else None
        if capture and split.kind == plans.SHADOW:
            capture = capture.with_name(f"shadow-{capture.name}")  # nobody got these answers
        self.unsplit(deployment)
        with supervision.or_as_before():
            server = _server(supervision, package, deployment.name, capture, split.options)
            warnings = _tested(supervision, package, server)
            beside = Beside(server.id, split.kind, split.share, split.goals, split.least)
            supervision.change(supervision.plan.next(beside=beside))
            report = supervision.wait(
                lambda r: r.beside.get("id") == server.id, PROMPT, f"started no {split.kind}"
            )
        return dataclasses.replace(
            deployment,
            canary=telling.canary(supervision.plan, report),
            details=telling.details(report),
            warnings=warnings,
        )

    def unsplit(self, deployment: Deployment) -> Deployment:
        """End the second server; the deployed one answers everything."""
        supervision = Supervision.last(state.folder(deployment.name))
        if supervision is not None:
            plan = supervision.plan
            if plan.beside is not None:
                supervision.route_nobody()
                supervision.change(plan.next(servers=_deployed(plan), beside=None))
                if supervision.is_alive():
                    number = plan.number + 1
                    supervision.wait(lambda r: r.number >= number, PROMPT, "did not end it")
        return dataclasses.replace(deployment, canary={})

    def status(self, deployment: Deployment) -> Deployment:
        """Up if its server is alive and answers; else down, and why."""
        supervision = Supervision.last(state.folder(deployment.name))
        if supervision is None:
            reason = "Nothing of it is left on this machine."
            return dataclasses.replace(deployment, status="down", pid=None, reason=reason)
        report = supervision.report
        status, reason = telling.health(report, supervised=supervision.is_alive())
        server = report.servers.get(report.deployed)
        return dataclasses.replace(
            deployment,
            status=status,
            reason=reason,
            pid=server["pid"] if server and status == "up" else None,
            canary=telling.canary(supervision.plan, report),
            details=telling.details(report),
        )

    def undeploy(self, deployment: Deployment) -> Deployment:
        """End the supervisor, its servers, and no other process."""
        supervision = Supervision.last(state.folder(deployment.name))
        if supervision is not None:
            supervision.end()
        return dataclasses.replace(deployment, status="stopped", pid=None, reason="", canary={})

    def logs(self, deployment: Deployment, lines: int = 50) -> str:
        """The end of the newest server's log, and what the supervisor did."""
        place = state.folder(deployment.name)
        newest = max(place.glob("server-*.log"), default=None)
        said = processes.tail(newest, lines) if newest else ""
        return "\n".join(filter(None, (*telling.events(place, lines), said)))


def _supervised(place: Path, port: int, last: Supervision | None) -> Supervision:
    """A new supervisor; it has the port of the last one, if no other is asked for."""
    former = last.report.port if last else 0
    if last is not None and not last.is_alive():
        last.end()  # a server that lost its supervisor may still hold the port
    with _listen(port, former) as listening:
        for old in sorted(place.glob("run-*")):
            if last is None or old != last.place:
                Supervision(old).forget()
        return Supervision.start(place, listening)


def _listen(port: int, former: int) -> socket.socket:
    if not port and former:
        try:
            return ports.listen(former)
        except WrongUsage:  # somebody else has it by now
            return ports.listen(0)
    return ports.listen(port)


def _server(
    supervision: Supervision,
    package: Package,
    name: str,
    capture: Path | None,
    options: Mapping[str, str],
) -> Server:
    keep = ["--capture", str(capture), *Rules.of(settings.load()).arguments()] if capture else []
    where = ["--host", ports.HOST, "--port", str(supervision.report.port)]
    routes = ["--routes", str(supervision.place / plans.ROUTES)]
    arguments = [*where, "--name", name, *routes, *keep, *serverside.arguments(options)]
    return new_server(package.model, package.path, arguments)


def _deployed(plan: plans.Plan) -> tuple[Server, ...]:
    return tuple(s for s in plan.servers if s.id == plan.deployed)


def _tested(supervision: Supervision, package: Package, server: Server) -> tuple[str, ...]:
    """Let a server be started, and test it."""
    plan = supervision.plan
    supervision.change(plan.next(servers=(*plan.servers, server)))
    log.info("A server loads %s", package.model)
    try:
        report = supervision.wait(
            lambda r: _state(r, server) in ("ready", "failed"), PATIENCE, "did not bring it up"
        )
    except StepFailed as error:
        seen = supervision.report.servers.get(server.id)
        words = processes.last_words(telling.process(seen)) if seen else ""
        error.message = f"{error.message.rstrip('.')}{words}."
        raise
    if _state(report, server) == "failed":
        raise _ended(report, server)
    return smoke.test(
        Path(package.path), f"http://{ports.HOST}:{report.servers[server.id]['port']}"
    )


def _state(report: Report, server: Server) -> str:
    return str(report.servers.get(server.id, {}).get("state", ""))


def _ended(report: Report, server: Server) -> StepFailed:
    seen = report.servers.get(server.id, {})
    words = str(seen.get("reason") or "Its supervisor is gone.")
    return StepFailed(f"It did not come up. {words}", f"Its log: {seen.get('log', 'none')}")
