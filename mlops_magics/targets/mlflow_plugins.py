"""Deployments through a plugin of MLflow's: SageMaker, Databricks, Azure ML…"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mlops_magics import records
from mlops_magics.errors import MlopsError, StepFailed, WrongUsage
from mlops_magics.records import Deployment, Package
from mlops_magics.store import deployments
from mlops_magics.targets import state
from mlops_magics.targets.base import NONE, Target

if TYPE_CHECKING:
    from mlops_magics.serving.client import Reply

#: What plugins call a deployment that does not answer.
NOT_WELL = ("fail", "error", "stopped", "deleted", "unhealthy", "outofservice", "down")


class MlflowTarget(Target):
    """What ``mlflow deployments create -t NAME`` does, with a smoke test and a record.

    Canaries and shadows are the plugin's own business, by the options that it has for them.
    """

    name = "mlflow"
    replaces = True
    places = "an MLflow deployments plugin: sagemaker, databricks…"
    options: ClassVar[Mapping[str, str]] = {
        "model-uri": "what the plugin is given, where it is not to be models:/NAME/VERSION",
        "flavor": "the model's flavor that the plugin is to serve",
        "endpoint": "the plugin's endpoint",
        "…": "every other goes to the plugin as its configuration",
    }

    def check(self, options: Mapping[str, str]) -> None:
        """Every name is the plugin's to know; but which plugin has to be said."""
        if not self.place:
            raise WrongUsage(
                "Which of MLflow's deployment plugins is to be used?",
                f"Say --to mlflow:NAME. Installed: {', '.join(deployments.plugins())}.",
            )

    def deploy(
        self,
        package: Package,
        *,
        name: str,
        port: int = 0,
        capture: Path | None = None,
        options: Mapping[str, str] = NONE,
    ) -> Deployment:
        """Create or update it; it is up when it has predicted the example as the model does.

        The plugin fetches the model itself; of the package only the example is used. Nothing is
        captured here, as requests go to where it is deployed.
        """
        if port:
            raise WrongUsage("The plugin chooses the address.", "Leave --port out.")
        uri = options.get("model-uri", f"models:/{package.model}")
        told = {k: v for k, v in options.items() if k != "model-uri"}
        plugin = self._plugin()
        former = self._former(name)
        there = former.details["name"] if former else name
        new = there not in plugin.names(told)
        details: dict[str, Any] = {"uri": uri, "name": there, "options": told}
        if new:
            details["name"] = plugin.create(name, uri, told)
        else:
            plugin.update(there, uri, told)
        deployment = Deployment(
            name=name,
            model=package.model,
            target=self.to,
            url=f"{self.to}/{details['name']}",
            status="up",
            started=records.now(),
            package=package.path,
            details=details,
        )
        try:
            warnings = self._smoke_test(deployment, Path(package.path))
        except MlopsError as error:
            error.hint = f"{self._taken_back(deployment, former, new)} {error.hint}".rstrip()
            raise
        except BaseException:
            self._taken_back(deployment, former, new)
            raise
        return dataclasses.replace(deployment, warnings=warnings)

    def status(self, deployment: Deployment) -> Deployment:
        """Up if the plugin knows it, and says nothing else of it."""
        try:
            told, name = deployment.details["options"], deployment.details["name"]
            if name not in self._plugin().names(told):
                raise StepFailed(f"The plugin {self.place} has no deployment {name!r}.")
            facts = self._plugin().facts(name, told)
        except MlopsError as error:
            return dataclasses.replace(deployment, status="down", reason=error.message)
        said = str(next((v for k, v in facts.items() if k.lower() in ("status", "state")), ""))
        if any(word in said.lower().replace(" ", "") for word in NOT_WELL):
            reason = f"The plugin {self.place} says {said!r}."
            return dataclasses.replace(deployment, status="down", reason=reason)
        return dataclasses.replace(deployment, status="up", reason="")

    def undeploy(self, deployment: Deployment) -> Deployment:
        """Let the plugin delete it."""
        told, name = deployment.details["options"], deployment.details["name"]
        if name in self._plugin().names(told):
            self._plugin().delete(name, told)
        return dataclasses.replace(deployment, status="stopped", reason="")

    def logs(self, deployment: Deployment, lines: int = 50) -> str:
        """What the plugin tells of it, as plugins give no logs."""
        facts = self._plugin().facts(deployment.details["name"], deployment.details["options"])
        told = json.dumps(facts, indent=2, default=str).splitlines()
        return "\n".join(told[:lines])

    def ask(self, deployment: Deployment, body: bytes, *, client_id: str = "") -> Reply:
        """Let the plugin predict."""
        from mlops_magics.serving import answers, manifest
        from mlops_magics.serving.client import Reply

        content = json.loads(body)
        if content.get("params"):
            raise StepFailed(
                "A deployment by an MLflow plugin gives what the model predicts, and nothing else.",
                "Leave --probabilities out.",
            )
        name, told = deployment.details["name"], deployment.details["options"]
        rows = deployments.rows(content, Path(deployment.package) / manifest.MODEL)
        started = time.perf_counter()
        found = self._plugin().predict(name, rows, told)
        took = (time.perf_counter() - started) * 1000
        return Reply(200, {"predictions": json.loads(answers.encode(found))}, "", took)

    def _plugin(self) -> deployments.Plugin:
        return deployments.Plugin(self.place)

    def _former(self, name: str) -> Deployment | None:
        """What this project has deployed there under the name."""
        if name not in state.names():
            return None
        found = state.written(name)
        return found if found.target == self.to and found.status != "stopped" else None

    def _smoke_test(self, deployment: Deployment, package: Path) -> tuple[str, ...]:
        from mlops_magics.serving import manifest
        from mlops_magics.serving.package import comparing

        example, expected = manifest.example(package), manifest.answers(package)
        if not example or expected is None:
            return ("The package has no input example, so the deployment was not smoke-tested.",)
        reply = self.ask(deployment, example)
        if difference := comparing.differs(expected, reply.content):
            raise StepFailed(
                f"The deployment failed its smoke test, it answers differently: {difference}."
            )
        return ()

    def _taken_back(self, deployment: Deployment, former: Deployment | None, new: bool) -> str:
        """Put back what was there before; in words."""
        details = deployment.details
        try:
            if new:
                self._plugin().delete(details["name"], details["options"])
                return "It was deleted again."
            if former is None:
                return f"It is no deployment of this project, and has {details['uri']} now."
            before = former.details
            self._plugin().update(before["name"], before["uri"], before["options"])
        except MlopsError as error:
            return f"It could not be put back: {error.message}"
        return f"{former.model} was put back."
