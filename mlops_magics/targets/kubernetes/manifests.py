"""What a cluster is told: each manifest as a mapping, and a folder for Kustomize.

::

    base/      deployment, service, hpa, networkpolicy, pdb (or inferenceservice), kustomization
    overlay/   kustomization.yaml: the base, in a namespace; the place for changes of one's own
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

PORT = 8080
#: The server's user in the image.
USER = 10001
_LABEL = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the manifests are made of.

    Attributes
    ----------
    image : str
        A reference, by digest where a registry has it.
    notes : mapping
        Annotations: the model, its digest and its runs.
    """

    name: str
    model: str
    image: str
    namespace: str = "default"
    replicas: int = 2
    most: int = 6
    cpu: str = "250m"
    memory: str = "512Mi"
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def labels(self) -> dict[str, str]:
        """By which everything of it is found; the recommended names, and the version."""
        return {
            **self.selector,
            "app.kubernetes.io/version": _LABEL.sub("-", self.model.rpartition("/")[2])[:63],
            "app.kubernetes.io/component": "model-server",
            "app.kubernetes.io/managed-by": "mlops_magics",
        }

    @property
    def selector(self) -> dict[str, str]:
        """What never changes of the labels, as a Deployment's selector may not."""
        return {"app.kubernetes.io/name": self.name}

    @property
    def meta(self) -> dict[str, Any]:
        """The head of each manifest."""
        return {"name": self.name, "labels": self.labels, "annotations": dict(self.notes)}


def write(asked: Asked, folder: Path, *, kserve: bool = False) -> list[str]:
    """Write all manifests into a folder; their names, relative to it."""
    parts = {"inferenceservice": inference_service} if kserve else PARTS
    base = {f"{name}.yaml": make(asked) for name, make in parts.items()}
    files = {f"base/{name}": content for name, content in base.items()}
    files["base/kustomization.yaml"] = {**_KUSTOMIZE, "resources": sorted(base)}
    files["overlay/kustomization.yaml"] = {
        **_KUSTOMIZE,
        "namespace": asked.namespace,
        "resources": ["../base"],
    }
    for old in folder.glob("*/*.yaml"):
        old.unlink()
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return sorted(files)


def deployment(asked: Asked) -> dict[str, Any]:
    """The pods; how many there are is the autoscaler's to say."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": asked.meta,
        "spec": {
            "revisionHistoryLimit": 5,
            "selector": {"matchLabels": asked.selector},
            # A new pod has to be ready before an old one goes.
            "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {
                "metadata": {"labels": asked.labels, "annotations": dict(asked.notes)},
                "spec": {
                    "automountServiceAccountToken": False,
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": USER,
                        "runAsGroup": USER,
                        "fsGroup": USER,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "terminationGracePeriodSeconds": 30,
                    "containers": [_container(asked)],
                    "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}}],
                },
            },
        },
    }


def service(asked: Asked) -> dict[str, Any]:
    """One address for all pods."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": asked.meta,
        "spec": {
            "selector": asked.selector,
            "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}],
        },
    }


def autoscaler(asked: Asked) -> dict[str, Any]:
    """As many pods as the load needs."""
    busy = {"type": "Utilization", "averageUtilization": 70}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": asked.meta,
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": asked.name},
            "minReplicas": asked.replicas,
            "maxReplicas": max(asked.most, asked.replicas),
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": busy}}],
        },
    }


def network_policy(asked: Asked) -> dict[str, Any]:
    """Pods of the same namespace may ask; the server itself asks nobody."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": asked.meta,
        "spec": {
            "podSelector": {"matchLabels": asked.selector},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {
                    "from": [{"podSelector": {}}],
                    "ports": [{"port": "http", "protocol": "TCP"}],
                }
            ],
            "egress": [],
        },
    }


def disruption_budget(asked: Asked) -> dict[str, Any]:
    """Whoever empties a node takes one pod at a time."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": asked.meta,
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": asked.selector}},
    }


def inference_service(asked: Asked) -> dict[str, Any]:
    """The same server as KServe's: it speaks the Open Inference Protocol (V2) itself."""
    container = _container(asked)
    # KServe reads the port's name as a protocol, and makes the probe for readiness itself.
    container |= {"name": "kserve-container"}
    container["ports"] = [{"name": "http1", "containerPort": PORT, "protocol": "TCP"}]
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        container[probe] = {**container[probe]}
        container[probe]["httpGet"] = {**container[probe]["httpGet"], "port": PORT}
    pods = deployment(asked)["spec"]["template"]["spec"]
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": asked.meta,
        "spec": {
            "predictor": {
                "minReplicas": asked.replicas,
                "maxReplicas": max(asked.most, asked.replicas),
                "automountServiceAccountToken": False,
                "securityContext": pods["securityContext"],
                "containers": [container],
                "volumes": pods["volumes"],
            }
        },
    }


PARTS = {
    "deployment": deployment,
    "service": service,
    "hpa": autoscaler,
    "networkpolicy": network_policy,
    "pdb": disruption_budget,
}
_KUSTOMIZE = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}


def _container(asked: Asked) -> dict[str, Any]:
    def probe(path: str, **more: int) -> dict[str, Any]:
        return {"httpGet": {"path": path, "port": "http"}, "timeoutSeconds": 3, **more}

    return {
        "name": "server",
        "image": asked.image,
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        # Loading may take its time; from then on an answer must come soon.
        "startupProbe": probe("/livez", periodSeconds=2, failureThreshold=60),
        "livenessProbe": probe("/livez", periodSeconds=10, failureThreshold=3),
        "readinessProbe": probe("/readyz", periodSeconds=5, failureThreshold=2),
        "resources": {
            "requests": {"cpu": asked.cpu, "memory": asked.memory},
            "limits": {"memory": asked.memory},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108  # the pod's own
    }
