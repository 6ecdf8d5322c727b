"""Deployments in a cluster: manifests written, and applied where a cluster is reached."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mlops_magics import records
from mlops_magics.errors import StepFailed, WrongUsage
from mlops_magics.records import Deployment, Package
from mlops_magics.serving import manifest
from mlops_magics.targets import smoke, state
from mlops_magics.targets.base import NONE, Target
from mlops_magics.targets.kubernetes import manifests
from mlops_magics.targets.kubernetes.cluster import QUESTION, Cluster, said

if TYPE_CHECKING:
    from mlops_magics.serving.client import Reply

#: What things of a cluster may be called (RFC 1035).
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,48}[a-z0-9])?")
_AMOUNT = re.compile(r"\d+(\.\d+)?(m|k|M|G|Ki|Mi|Gi)?")


class KubernetesTarget(Target):
    """Manifests for Kustomize, and ``kubectl apply`` where it reaches a cluster."""

    name = "kubernetes"
    takes = "image"
    replaces = True
    options: ClassVar[Mapping[str, str]] = {
        "context": "the context of kubectl's configuration",
        "namespace": "the namespace (default)",
        "image": "the image's name in the cluster's registry, where it was pushed by other means",
        "replicas": "the fewest pods (2)",
        "max-replicas": "the most pods (6)",
        "cpu": "processors asked for a pod (250m)",
        "memory": "memory of a pod (512Mi)",
        "folder": "where the manifests are written",
        "apply": "no: only write them",
        "kserve": "yes: an InferenceService of KServe's in the place of the other kinds",
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
        """Write the manifests; apply them if kubectl reaches a cluster, and test what is up then.

        What does not get ready, or answers wrongly, is taken back: the former version goes on.
        Nothing is captured outside of the pods.
        """
        if port:
            raise WrongUsage("In a cluster the Service has port 80.", "Leave --port out.")
        asked = _asked(package, name, options)
        kserve, apply = _is_yes(options, "kserve", "no"), _is_yes(options, "apply", "yes")
        folder = Path(options.get("folder", state.folder(name) / "kubernetes")).expanduser()
        folder = folder.absolute()
        files = manifests.write(asked, folder, kserve=kserve)
        cluster = Cluster(context=options.get("context", ""), namespace=asked.namespace)
        kind = "inferenceservice" if kserve else "deployment"
        warnings = []
        if "@sha256:" not in asked.image:
            warnings.append(
                f"{asked.image} names no digest, so a node may run another image of that name: "
                "package --as image --push REGISTRY gives one."
            )
        why_not = cluster.why_not() if apply else "it was not to be applied"
        if options.get("context") and apply and why_not:
            raise StepFailed(f"{why_not}.", f"The manifests are in {folder}.")
        if why_not:
            warnings.append(f"Only written, as {why_not}. Apply: {cluster.command(folder)}")
        else:
            warnings += _applied(cluster, folder, kind, name)
        return Deployment(
            name=name,
            model=package.model,
            target=self.to,
            url=f"http://{name}.{asked.namespace}.svc",
            status="written" if why_not else "up",
            started=records.now(),
            package=package.path,
            reason=why_not,
            details={
                "folder": str(folder),
                "files": files,
                "image": asked.image,
                "kind": kind,
                "context": cluster.context,
                "namespace": cluster.namespace,
            },
            warnings=tuple(warnings),
        )

    def status(self, deployment: Deployment) -> Deployment:
        """Up if all pods that are wanted are ready; written, while no cluster took it."""
        cluster = _cluster(deployment)
        if deployment.status == "written":
            return deployment
        if why_not := cluster.why_not():
            return dataclasses.replace(deployment, status="down", reason=f"{why_not}.")
        what = f"{deployment.details['kind']}/{deployment.name}"
        ready = '{.status.conditions[?(@.type=="Ready")].status}'
        if deployment.details["kind"] == "deployment":
            ready = '{.status.conditions[?(@.type=="Available")].status}'
        done = cluster.run("get", what, "--output", f"jsonpath={ready}", timeout=QUESTION)
        if done.returncode == 0 and done.stdout.strip() == "True":
            return dataclasses.replace(deployment, status="up", reason="")
        reason = f"{what} has too few pods that are ready." if not done.returncode else said(done)
        return dataclasses.replace(deployment, status="down", reason=reason)

    def undeploy(self, deployment: Deployment) -> Deployment:
        """Remove from the cluster what was applied; the manifests stay."""
        if deployment.status != "written":
            cluster, folder = _cluster(deployment), Path(deployment.details["folder"])
            cluster.must("delete", "-k", str(folder / "overlay"), "--ignore-not-found")
        return dataclasses.replace(deployment, status="stopped", reason="")

    def logs(self, deployment: Deployment, lines: int = 50) -> str:
        """What its pods wrote last."""
        if deployment.status == "written":
            return ""
        selector = f"app.kubernetes.io/name={deployment.name}"
        words = ("logs", "--selector", selector, "--prefix", f"--tail={lines}")
        return _cluster(deployment).run(*words, timeout=QUESTION).stdout

    def ask(self, deployment: Deployment, body: bytes, *, client_id: str = "") -> Reply:
        """Over a port that kubectl forwards, as its address is the cluster's own."""
        from mlops_magics.serving import client

        if deployment.status == "written":
            raise StepFailed(f"No cluster has the deployment {deployment.name!r} yet.")
        with _cluster(deployment).forwarded(deployment.name) as url:
            return client.ask(url, body, client_id=client_id)


def _applied(cluster: Cluster, folder: Path, kind: str, name: str) -> tuple[str, ...]:
    """Apply it, wait and test it; what does not answer as it should is taken back."""
    before = cluster.has(kind, name)
    cluster.must("apply", "-k", str(folder / "overlay"))
    try:
        if kind == "deployment":
            cluster.settled(name)
            return _smoke_test(cluster, name)
        cluster.must("wait", "--for=condition=Ready", f"{kind}/{name}", "--timeout=170s")
        return ("KServe has its own address for it, so the deployment was not smoke-tested.",)
    except BaseException as error:
        if not before:
            cluster.run("delete", "-k", str(folder / "overlay"), "--ignore-not-found")
        elif kind == "deployment":
            cluster.run("rollout", "undo", f"deployment/{name}")
        if isinstance(error, StepFailed):
            error.hint = "The former version goes on." if before else "It was removed again."
        raise


def _smoke_test(cluster: Cluster, name: str) -> tuple[str, ...]:
    """Ask what the image was tested with; the answers must be the recorded ones."""
    kept = [
        cluster.run("exec", f"deployment/{name}", "--", "cat", file, timeout=QUESTION)
        for file in (manifest.EXAMPLE, manifest.ANSWERS)
    ]
    if any(done.returncode for done in kept):
        return smoke.compare("", b"", None)
    with cluster.forwarded(name) as url:
        return smoke.compare(url, kept[0].stdout.encode(), json.loads(kept[1].stdout))


def _asked(package: Package, name: str, options: Mapping[str, str]) -> manifests.Asked:
    if not _NAME.fullmatch(name):
        raise WrongUsage(
            f"{name!r} can't be a name in a cluster: small letters, digits and '-', beginning with "
            "a letter, 50 at most.",
            f"--name {re.sub(r'[^a-z0-9-]+', '-', name.lower()).strip('-') or 'credit'}",
        )
    for option in ("cpu", "memory"):
        if not _AMOUNT.fullmatch(options.get(option, "1")):
            raise WrongUsage(f"-o {option} is an amount such as 250m or 512Mi.")
    least = _number(options, "replicas", 2)
    said = {k: options[k] for k in ("namespace", "cpu", "memory") if k in options}
    return manifests.Asked(
        name=name,
        model=package.model,
        image=options.get("image") or package.pushed or package.tag,
        replicas=least,
        most=_number(options, "max-replicas", max(6, least)),
        notes={
            "mlops-magics.io/model": package.model,
            "mlops-magics.io/digest": package.digest,
            "mlops-magics.io/run": package.run_id,
        },
        **said,
    )


def _cluster(deployment: Deployment) -> Cluster:
    details = deployment.details
    return Cluster(context=details["context"], namespace=details["namespace"])


def _number(options: Mapping[str, str], name: str, default: int) -> int:
    value = options.get(name, str(default))
    if not value.isdecimal() or int(value) < 1:
        raise WrongUsage(f"-o {name} is a number from 1 on, not {value!r}.")
    return int(value)


def _is_yes(options: Mapping[str, str], name: str, default: str) -> bool:
    value = options.get(name, default).lower()
    if value not in ("yes", "no"):
        raise WrongUsage(f"-o {name} is yes or no, not {value!r}.")
    return value == "yes"
