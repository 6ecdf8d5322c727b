"""Putting a package together: model, server, requirements, example; proven before it is shown."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

from mlops_magics import errors, flavors
from mlops_magics.errors import BadData, MlopsError, StepFailed
from mlops_magics.serving import graph, manifest, runtimes
from mlops_magics.serving.package import comparing, graphing, isolation, lock, placing, texts
from mlops_magics.serving.package.reference import Reference
from mlops_magics.serving.service import Service

log = logging.getLogger("mlops_magics")

VERSION = metadata.version("mlops_magics")
#: The parts of the project that serve, by folder; everything else stays at home.
SERVER = {"": ("__init__", "errors", "plugins"), "flavors": (), "serving": ()}
STAYS = ("client.py", "captured.py", "captured_parts.py")
#: How many requirements a replay may find missing before it is given up.
MOST_TRIES = 5


#: Said of a model whose graph could not be proven.
NO_ROWS = "there are no rows on which it could be compared with the model"


def assemble(
    model: Path,
    target: Path,
    about: Mapping[str, Any],
    python: str,
    reference: Callable[[], tuple[Reference, tuple[str, ...]]] | None = None,
) -> tuple[manifest.Manifest, bool]:
    """Make a package of a model's folder; `target` appears whole or not at all.

    Parameters
    ----------
    model : Path
        The folder that MLflow saved, whose digest the caller has checked.
    target : Path
        Where the package is to be; a package that is there is replaced.
    about : mapping
        Facts for the manifest: model, run_id, commit, created….
    python : str
        ``3.11``, for the base image.
    reference : callable, optional
        Gives the rows on which a graph of the model must answer as it does, and what is to be
        said of them. Without, there is no graph.

    Returns
    -------
    Manifest, bool
        The second says whether it was replayed on an input example.

    Raises
    ------
    WrongUsage
        If something that is no package is in the way.
    BadData
        If what the model needs is not installed here.
    StepFailed
        If the packaged server does not answer as the model does.
    """
    with placing.aside(target) as folder:
        shutil.copytree(
            model, folder / manifest.MODEL, ignore=shutil.ignore_patterns("__pycache__")
        )
        _copy_server(folder)
        meta = flavors.folder.read(folder / manifest.MODEL)
        predictor = flavors.load(folder / manifest.MODEL)
        service = Service(predictor)
        replayed = _write_example(folder, meta, service)
        locked = lock.lock(_roots(folder / manifest.MODEL, meta))
        with ThreadPoolExecutor(1) as beside:  # a process that loads the model takes a while
            proving = beside.submit(_prove, folder, locked) if replayed else None
            measured, why_none, notes = _graph(folder, predictor, reference)
            if proving is not None:
                proving.result()
        if has_graph := not why_none:
            locked.add(lock.lock(lock.GRAPH))
        (folder / "requirements.txt").write_text(locked.text())
        (folder / "Dockerfile").write_text(texts.dockerfile(about["model"], python, has_graph))
        (folder / "README.md").write_text(
            texts.readme(
                about["model"],
                predictor.description,
                python,
                service.has_probabilities,
                has_graph,
            ),
            encoding="utf-8",
        )
        files = manifest.hashes(folder)
        made = manifest.Manifest(
            **about,
            model_digest=flavors.digest(folder / manifest.MODEL),
            digest=manifest.overall(files),
            files=files,
            python=python,
            server=VERSION,
            warnings=(*locked.notes, *notes),
            measured=measured,
            why_no_graph=why_none,
        )
        made.write(folder)
        placing.readable(folder)
    return made, replayed


def _graph(
    folder: Path,
    predictor: flavors.Predictor,
    reference: Callable[[], tuple[Reference, tuple[str, ...]]] | None,
) -> tuple[dict[str, Any], str, tuple[str, ...]]:
    """Put the model's graph beside it, where it has one; else why it has none."""
    notes: tuple[str, ...] = ()

    def rows() -> Reference:
        nonlocal notes
        if reference is None:
            raise BadData(NO_ROWS)
        found, notes = reference()
        return found

    try:
        report, more = graphing.add(folder, predictor, rows)
        locked = lock.lock([*lock.SERVER, *lock.GRAPH, *lock.installed(lock.FASTER)])
        (folder / graph.REQUIREMENTS).write_text(locked.text())
        if (folder / manifest.EXAMPLE).is_file():
            _prove_graph(folder, locked)
    except MlopsError as error:
        shutil.rmtree(folder / graph.FOLDER, ignore_errors=True)
        (folder / graph.REQUIREMENTS).unlink(missing_ok=True)
        log.info("The model is served by its own library, as it has no graph: %s", error)
        return {}, str(error), ()
    log.info("The model is served as an ONNX graph, proven on %s", report["reference"])
    return {"graph": report}, "", (*notes, *more)


def _prove_graph(folder: Path, locked: lock.Lock) -> None:
    """Replay the example where only what the graph needs is installed."""
    done = isolation.replay(folder, locked.names, _replaying(folder, runtimes.ONNX))
    if done.code != 0:
        raise StepFailed(f"its server does not answer the input example: {_last(done)}")
    _compare(folder, done, comparing.PROVEN)


def _replaying(folder: Path, runtime: str) -> Sequence[str]:
    return ("-m", "mlops_magics.serving", str(folder), "--replay", "--runtime", runtime)


def _last(done: isolation.Replayed) -> str:
    lines = done.log.strip().splitlines() or done.output.strip().splitlines()
    return lines[-1] if lines else ""


def _compare(folder: Path, done: isolation.Replayed, within: float) -> None:
    expected = manifest.answers(folder)
    if difference := comparing.differs(expected, json.loads(done.output), within=within):
        raise StepFailed(
            f"The packaged server answers differently from the model: {difference}.",
            "Nothing was packaged.",
        )


def _copy_server(folder: Path) -> None:
    """The project's own files that serve, as an installed package: plugins are found by it."""
    home = Path(errors.__file__).parent
    for part, names in SERVER.items():
        files = [home / part / f"{n}.py" for n in names] or sorted((home / part).glob("*.py"))
        (folder / "mlops_magics" / part).mkdir(parents=True, exist_ok=True)
        for file in files:
            if file.name not in STAYS:
                shutil.copyfile(file, folder / "mlops_magics" / part / file.name)
    info = folder / f"mlops_magics-{VERSION}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: mlops_magics\nVersion: {VERSION}\n"
    )
    ours = sorted(
        f"{e.name} = {e.value}" for e in _flavors() if e.value.startswith("mlops_magics.")
    )
    (info / "entry_points.txt").write_text("[mlops_magics.flavors]\n" + "\n".join(ours) + "\n")


def _flavors() -> metadata.EntryPoints:
    return metadata.entry_points(group="mlops_magics.flavors")


def _roots(model: Path, meta: flavors.ModelFolder) -> list[str]:
    """What the model, its flavor and the server need."""
    file = model / "requirements.txt"
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    wanted = [line.strip() for line in lines if line.strip() and not line.startswith(("#", "-"))]
    unused = _unused(meta)
    wanted = [line for line in wanted if line.partition("=")[0] not in unused]
    plugins = [
        e.dist.name for e in _flavors() if e.dist and not e.value.startswith("mlops_magics.")
    ]
    return [*wanted, *plugins, *lock.SERVER, *lock.NATIVE, *lock.installed(lock.FASTER)]


def _unused(meta: flavors.ModelFolder) -> set[str]:
    """What MLflow asks for and our flavor does without."""
    flavor = flavors.reader(meta).name
    if flavor == "pyfunc":  # MLflow's own loader
        return set()
    saved = meta.flavors.get(flavor, {})
    if flavor == "sklearn" or "serialization_format" in saved:  # one of two readers
        skops = saved.get("serialization_format") == "skops"
        return {"mlflow", "cloudpickle" if skops else "skops"}
    return {"mlflow"}


def _write_example(folder: Path, meta: flavors.ModelFolder, service: Service) -> bool:
    """The input example and what the model answers to it here; whether there is one."""
    example = meta.example
    request = body(example) if example is not None and example.is_file() else b""
    if not request:
        return False
    answer = service.answer(request, "application/json", "package")
    if answer.status != 200:
        raise StepFailed(
            f"The model does not answer its own input example: {answer.error}",
            "Train it again with an example that it can predict.",
        )
    (folder / manifest.EXAMPLE).write_bytes(request)
    (folder / manifest.ANSWERS).write_bytes(answer.body + b"\n")
    return True


def body(example: Path) -> bytes:
    """The example as a request: MLflow writes that beside it."""
    request = example.with_name("serving_input_example.json")
    if request.is_file():
        return json.dumps(json.loads(request.read_bytes())).encode() + b"\n"
    content = json.loads(example.read_bytes())
    form = "dataframe_split" if isinstance(content, dict) and "columns" in content else "inputs"
    return json.dumps({form: content}).encode() + b"\n"


def _prove(folder: Path, locked: lock.Lock) -> None:
    """Replay the example in a process that has only the locked packages; complete the lock."""
    for _ in range(MOST_TRIES):
        done = isolation.replay(folder, locked.names, _replaying(folder, runtimes.NATIVE))
        if done.missing and done.missing not in locked.names:
            locked.add(lock.lock([done.missing]))
            locked.notes.append(
                f"The model did not say that it needs {done.missing}; the replay found it."
            )
            log.info("The model also needs %s", done.missing)
            continue
        break
    if done.code != 0:
        raise StepFailed(
            f"The packaged server does not answer the input example: {_last(done)}",
            "Nothing was packaged.",
        )
    _compare(folder, done, comparing.EXACT)


def is_current(folder: Path, model_digest: str) -> bool:
    """Whether a folder is an intact package of that model with the server as it is here."""
    try:
        made = manifest.checked(folder)
    except MlopsError:
        return False
    with tempfile.TemporaryDirectory() as empty:
        _copy_server(Path(empty))
        server = manifest.hashes(Path(empty))
    packaged = {n: d for n, d in made.files.items() if n.startswith("mlops_magics")}
    return made.model_digest == model_digest and packaged == server
