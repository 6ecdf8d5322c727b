"""`package --as image` against ``mlflow.models.build_docker``: size, time, and a rebuild.

In one session, as from a notebook: the same registered model (a forest of 100 trees on the credit
data), the same base, which both have already, and the same wheels from a folder; nothing else is in
a cache. Theirs is built by buildah behind a ``docker`` that hands on what MLflow calls, as small as
MLflow makes it (`env_manager="local"`; by default it stands on Ubuntu, with pyenv and compilers).
The rebuild is of a second version, trained on other rows: only the model changed. Needs podman,
buildah, mmdebstrap, root and Debian's mirrors.

    python -m tests.benchmarks.images
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from tests import containers

#: What MLflow takes for docker; what its builds need of this machine is mounted.
DOCKER = """\
#!/bin/sh
test "$1" = build || exit 1
shift
exec buildah build --pull-never --layers --isolation chroot \
  --volume {wheels}:/wheels:ro --volume {conf}:/etc/pip.conf:ro "$@"
"""


def main() -> None:
    """Build all four and print how they compare."""
    containers.need_programs("podman", "buildah", "mmdebstrap")
    with tempfile.TemporaryDirectory(prefix="images-") as name:
        place = Path(name)
        own = containers.Engines(place / "engines")
        os.environ.update(own.environment, MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true")
        os.environ["XDG_CACHE_HOME"] = str(place / "cache")
        base = containers.base_tar()
        (place / "project").mkdir()
        os.chdir(place / "project")
        try:
            train()
            prepare(place, base, own)
            compare(base, own)
        finally:
            own.clear()


def train() -> None:
    """Two versions that differ by the rows that they have seen."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline

    import mlops_magics as mlops

    credit = Path(__file__).parents[2] / "mlops_magics" / "data" / "credit_data.csv"
    for seed in (0, 1):
        found = mlops.prepare(
            str(credit), name="credit", target="Status", positive="bad", seed=seed
        )
        X, y, features = (found.bindings[n] for n in ("X_train", "y_train", "features"))
        with mlops.train("credit"):
            learner = RandomForestClassifier(100, random_state=0)
            model = make_pipeline(features, learner).fit(X, y)  # noqa: F841


def prepare(place: Path, base: Path, own: containers.Engines) -> None:
    """The base for both, every wheel that either asks for, and what MLflow takes for docker."""
    from mlops_magics.serving.package.images import bases, blobs, engines, layouts

    python = ".".join(map(str, sys.version_info[:3]))
    theirs = f"docker.io/library/python:{python}-slim"
    own.run("podman", "import", "--change", 'CMD ["python3"]', str(base), theirs)
    kept, architecture = blobs.Blobs(), engines.here()
    ours = bases.find(str(base), architecture, kept, None)
    image = layouts.put_together(ours.layers, architecture=architecture, config={}, annotations={})
    layouts.write(image, place / "base", kept, "base:1")
    engines.Podman().load(place / "base", "base:1")

    subprocess.run([mlops_command(), "package", "credit/1", "--quiet"], check=True)
    made = Path(".mlops/packages/credit-1")
    model = next(Path("mlruns").rglob("requirements.txt"))
    mlflow = f"mlflow=={metadata.version('mlflow')}"
    wheels = place / "wheels"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(wheels)]
    for asked in (
        ["-r", str(made / "requirements-onnx.txt")],
        ["-r", str(model), mlflow, "pip", "setuptools", "wheel"],
    ):
        subprocess.run([*pip, *asked], check=True)
    shutil.rmtree(made)  # it is made anew, from the registered model

    conf, shims = place / "pip.conf", place / "bin"
    conf.write_text("[global]\nno-index = true\nfind-links = /wheels\n")
    shims.mkdir()
    (shims / "docker").write_text(DOCKER.format(wheels=wheels, conf=conf))
    (shims / "docker").chmod(0o755)
    os.environ["PATH"] = f"{shims}{os.pathsep}{os.environ['PATH']}"
    os.environ.update(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheels))


def compare(base: Path, own: containers.Engines) -> None:
    """Both ways, for both versions."""
    import mlflow

    import mlops_magics as mlops

    mlflow.set_tracking_uri(f"sqlite:///{Path('mlflow.db').absolute()}")
    ours, theirs = [], []
    for number in (1, 2):
        ref = f"credit/{number}"
        wanted: dict[str, Any] = {"as_": "image", "base": str(base), "engine": "podman"}
        ours.append(measured(partial(mlops.package, ref, **wanted)))
        asked = {"model_uri": f"models:/{ref}", "name": f"peer:{number}", "env_manager": "local"}
        theirs.append(measured(partial(mlflow.models.build_docker, **asked)))
    mine, other = (size(own, f"localhost/{name}") / 1e6 for name in ("credit:1", "peer:1"))
    rows = [
        ("size, MB", mine, other),
        ("built, s", ours[0][0], theirs[0][0]),
        ("... of processors, s", ours[0][1], theirs[0][1]),
        ("built with a new model, s", ours[1][0], theirs[1][0]),
        ("... of processors, s", ours[1][1], theirs[1][1]),
    ]
    print(f"\n{'':28}{'ours':>10}{'mlflow':>10}{'ratio':>8}")
    for what, mine, other in rows:
        print(f"{what:28}{mine:10.1f}{other:10.1f}{mine / other:8.3f}")


def measured(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the clock, and of processors, with all that it starts."""
    before, started = used(), time.perf_counter()
    work()
    return time.perf_counter() - started, used() - before


def used() -> float:
    """Seconds of processors so far, of this process and those that ended."""
    both = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both)


def mlops_command() -> str:
    """The command of this environment."""
    return str(Path(sys.executable).with_name("mlops"))


def size(own: containers.Engines, name: str) -> int:
    """Bytes of an image, as podman says."""
    return int(json.loads(own.run("podman", "image", "inspect", name).stdout)[0]["Size"])


if __name__ == "__main__":
    main()
