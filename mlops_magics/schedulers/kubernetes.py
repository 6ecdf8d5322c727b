"""A CronJob."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from mlops_magics.errors import WrongUsage
from mlops_magics.schedulers import documents, quoting
from mlops_magics.schedulers.base import Job, Scheduler, number

#: The user that the images of this package run as.
USER = 10001
WORK = "/work"
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_AMOUNT = re.compile(r"\d+(\.\d+)?(m|k|M|G|Ki|Mi|Gi)?")


class KubernetesScheduler(Scheduler):
    """A pod each time, of an image that holds the project and mlops_magics."""

    name = "kubernetes"
    options: ClassVar[Mapping[str, str]] = {
        "image": "the image that holds the project and mlops_magics; needed",
        "namespace": "the namespace (that of kubectl)",
        "secret": "a Secret whose entries the job gets as variables",
        "claim": f"a PersistentVolumeClaim that is mounted at {WORK}",
        "folder": f"the folder in the image in which it runs ({WORK}, empty each time)",
        "cpu": "processors asked for (500m)",
        "memory": "memory (2Gi)",
        "timeout": "minutes after which it is ended (60)",
    }

    def files(self, job: Job, options: Mapping[str, str]) -> dict[str, str]:
        if not options.get("image"):
            raise WrongUsage(
                "A CronJob runs an image.",
                "Say which: -o image registry.example/credit@sha256:…, with the project and "
                "mlops_magics in it.",
            )
        name = _called(job)
        if len(name) > 46:
            raise WrongUsage(
                f"{job.name} is too long a name in a cluster.", "46 characters at most."
            )
        for option in ("namespace", "secret", "claim"):
            if option in options and not _NAME.fullmatch(options[option]):
                raise WrongUsage(f"-o {option} {options[option]!r} can't be a name in a cluster.")
        labels = {
            "app.kubernetes.io/name": f"mlops-{name}",
            "app.kubernetes.io/component": "schedule",
            "app.kubernetes.io/managed-by": "mlops_magics",
        }
        place = {"namespace": options["namespace"]} if "namespace" in options else {}
        content = {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {"name": f"mlops-{name}", **place, "labels": labels},
            "spec": {
                "schedule": job.when.cron,
                "timeZone": "Etc/UTC",
                # A run that takes longer than the time between two is not started twice.
                "concurrencyPolicy": "Forbid",
                "startingDeadlineSeconds": max(job.when.seconds // 2, 60),
                "successfulJobsHistoryLimit": 3,
                "failedJobsHistoryLimit": 3,
                "jobTemplate": {
                    "metadata": {"labels": labels},
                    "spec": {
                        # What was found wanting is found wanting the second time too.
                        "backoffLimit": 0,
                        "activeDeadlineSeconds": 60 * number(options, "timeout", 60),
                        "ttlSecondsAfterFinished": 604_800,
                        "template": {"metadata": {"labels": labels}, "spec": _pod(job, options)},
                    },
                },
            },
        }
        return {f"{job.name}.cronjob.yaml": documents.dump(content)}

    def install(self, job: Job, files: Sequence[Path]) -> tuple[str, ...]:
        return (f"kubectl apply -f {shlex.quote(str(files[0]))}",)

    def uninstall(self, job: Job, files: Sequence[Path]) -> tuple[str, ...]:
        # By its label: the file may be gone by then.
        return (f"kubectl delete cronjob --selector app.kubernetes.io/name=mlops-{_called(job)}",)


def _called(job: Job) -> str:
    """Its name as a cluster takes it."""
    return re.sub(r"[^a-z0-9-]+", "-", job.name.lower()).strip("-")


def _pod(job: Job, options: Mapping[str, str]) -> dict[str, Any]:
    amounts = {"cpu": options.get("cpu", "500m"), "memory": options.get("memory", "2Gi")}
    for option, amount in amounts.items():
        if not _AMOUNT.fullmatch(amount):
            raise WrongUsage(f"-o {option} is an amount such as 500m or 2Gi.")
    told = {**job.variables, "HOME": WORK}
    # Every $ twice, or the cluster takes $(NAME) for a variable of its own.
    script = "\n".join(quoting.lines(("mlops",), job.commands)).replace("$", "$$")
    container: dict[str, Any] = {
        "name": "mlops",
        "image": options["image"],
        "command": ["/bin/sh", "-c"],
        "args": [script],
        "workingDir": options.get("folder", WORK),
        "env": [{"name": k, "value": v.replace("$", "$$")} for k, v in told.items()],
        "resources": {"requests": amounts, "limits": {"memory": amounts["memory"]}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "work", "mountPath": WORK},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  # the pod's own
        ],
    }
    if secret := options.get("secret"):
        container["envFrom"] = [{"secretRef": {"name": secret}}]
    claim = options.get("claim")
    work = {"persistentVolumeClaim": {"claimName": claim}} if claim else {"emptyDir": {}}
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": "work", **work}, {"name": "tmp", "emptyDir": {}}],
    }
