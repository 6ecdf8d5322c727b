"""Manifests: valid by the cluster's own schemas, built by Kustomize, and played for real."""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlops_magics.errors import StepFailed, WrongUsage
from mlops_magics.records import Package
from mlops_magics.serving import manifest
from mlops_magics.serving.package.images import engines
from mlops_magics.targets import container
from mlops_magics.targets.kubernetes.target import KubernetesTarget
from tests.conftest import NEED_ALL, need
from tests.containers import Engines
from tests.targets import kube_play

target = KubernetesTarget()
DIGEST = f"sha256:{'a' * 64}"
PUSHED = Package(
    model="credit/3", kind="image", path="/nowhere", digest=DIGEST, size=1, tag="credit:3",
    pushed=f"registry.example.org/team/credit@{DIGEST}", run_id="0123",
)  # fmt: skip
FILES = ["base/deployment.yaml", "base/hpa.yaml", "base/kustomization.yaml",
         "base/networkpolicy.yaml", "base/pdb.yaml", "base/service.yaml",
         "overlay/kustomization.yaml"]  # fmt: skip


def need_kubectl() -> None:
    if shutil.which("kubectl") is None:
        assert not NEED_ALL, "The tests of manifests need kubectl."
        pytest.skip("needs kubectl")


def written(options: dict[str, str], package: Package = PUSHED) -> tuple[Any, Path]:
    deployment = target.deploy(package, name="credit", options={"apply": "no", **options})
    return deployment, Path(deployment.details["folder"])


def kustomized(folder: Path) -> dict[str, Any]:
    need_kubectl()
    done = subprocess.run(
        ["kubectl", "kustomize", str(folder / "overlay")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return {document["kind"]: document for document in yaml.safe_load_all(done.stdout)}


def test_they_are_valid_strictly(tmp_path: Path) -> None:
    validate = need("kubernetes_validate")
    deployment, folder = written({"folder": str(tmp_path / "k8s")})
    assert deployment.details["files"] == FILES
    for name in FILES:
        content = yaml.safe_load((folder / name).read_text())
        if "kustomization" not in name:
            validate.validate(content, "1.31", strict=True)
    # The check itself can fail.
    content = yaml.safe_load((folder / "base/deployment.yaml").read_text())
    content["spec"]["template"]["spec"]["containers"][0]["readOnly"] = True
    with pytest.raises(validate.ValidationError):
        validate.validate(content, "1.31", strict=True)


def test_what_kustomize_makes_of_them() -> None:
    deployment, folder = written({"namespace": "risk", "replicas": "3", "memory": "1Gi"})
    made = kustomized(folder)
    assert set(made) == {
        "Deployment", "Service", "HorizontalPodAutoscaler", "NetworkPolicy", "PodDisruptionBudget",
    }  # fmt: skip
    assert {d["metadata"]["namespace"] for d in made.values()} == {"risk"}
    spec = made["Deployment"]["spec"]["template"]["spec"]
    server = spec["containers"][0]
    assert server["image"] == PUSHED.pushed
    assert server["resources"]["limits"] == {"memory": "1Gi"}
    assert server["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert (spec["securityContext"]["runAsNonRoot"], spec["securityContext"]["runAsUser"]) == (
        True, 10001,
    )  # fmt: skip
    assert server["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert server["livenessProbe"]["httpGet"]["path"] == "/livez"
    scale = made["HorizontalPodAutoscaler"]["spec"]
    assert (scale["minReplicas"], scale["maxReplicas"]) == (3, 6)
    labels = made["Deployment"]["spec"]["template"]["metadata"]["labels"]
    selector = made["Service"]["spec"]["selector"]
    assert selector.items() <= labels.items()
    assert made["Deployment"]["metadata"]["annotations"]["mlops-magics.io/digest"] == DIGEST
    assert (deployment.status, target.status(deployment).status) == ("written", "written")
    assert deployment.warnings == (
        "Only written, as it was not to be applied. Apply: "
        f"kubectl --namespace risk apply -k {folder}/overlay",
    )
    assert target.undeploy(deployment).status == "stopped"


def test_as_an_inference_service_of_kserve() -> None:
    _, folder = written({"kserve": "yes"})
    made = kustomized(folder)["InferenceService"]
    assert made["apiVersion"] == "serving.kserve.io/v1beta1"
    server = made["spec"]["predictor"]["containers"][0]
    # A custom container has this name, and KServe wants its port named by its protocol.
    assert (server["name"], server["ports"][0]["name"]) == ("kserve-container", "http1")
    # What stands in it is a container and a pod as the cluster knows them.
    validate = need("kubernetes_validate")
    predictor = {k: v for k, v in made["spec"]["predictor"].items() if not k.endswith("Replicas")}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "credit"}, "spec": predictor}
    validate.validate(pod, "1.31", strict=True)


def test_without_a_cluster_they_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    need_kubectl()
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    local = replace(PUSHED, pushed="")
    deployment = target.deploy(local, name="credit")
    assert deployment.status == "written"
    assert deployment.warnings[0].startswith("credit:3 names no digest")
    assert "Only written, as kubectl reaches no cluster" in deployment.warnings[1]
    with pytest.raises(StepFailed, match=r"kubectl reaches no cluster.*The manifests are in"):
        target.deploy(local, name="credit", options={"context": "production"})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"replicas": "0"}, "-o replicas is a number from 1 on"),
        ({"apply": "maybe"}, "-o apply is yes or no"),
        ({"memory": "lots"}, "-o memory is an amount"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, str], said: str) -> None:
    with pytest.raises(WrongUsage, match=said):
        target.deploy(PUSHED, name="credit", options=options)
    with pytest.raises(WrongUsage, match="can't be a name in a cluster"):
        target.deploy(PUSHED, name="Credit_2", options={})


def test_played_replaced_and_taken_back(
    image: Package, package: Package, podman: Engines, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    need_kubectl()
    place = kube_play.install(tmp_path / "bin")
    monkeypatch.setenv("PATH", kube_play.on_path(place))
    container.load(engines.Podman(), image)  # there is no registry: the node has it
    options = {"image": f"localhost/{image.tag}", "namespace": "risk"}
    deployment = target.deploy(image, name="credit", options=options)
    try:
        assert (deployment.status, target.status(deployment).status) == ("up", "up")
        body = manifest.example(Path(package.path))
        assert target.ask(deployment, body).content == manifest.answers(Path(package.path))
        assert "Serving credit/1" in target.logs(deployment)
        # A next version that never gets ready: what was there before goes on.
        monkeypatch.setenv("KUBE_PLAY_TRIES", "0")
        with pytest.raises(StepFailed, match=r"are not ready: .*The former version goes on"):
            target.deploy(replace(image, model="credit/2"), name="credit", options=options)
        monkeypatch.delenv("KUBE_PLAY_TRIES")
        calls = (place / "calls.log").read_text()
        assert "rollout undo deployment/credit" in calls
        for _ in range(200):
            if target.status(deployment).status == "up":
                break
            time.sleep(0.05)
        assert target.ask(deployment, body).status == 200
    finally:
        target.undeploy(deployment)
    assert target.status(deployment).status == "down"
