"""`execute`: a notebook run headlessly, strict about its parameters, sealed as a record."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mlops_magics import engines, settings
from mlops_magics.engines import tasks
from mlops_magics.errors import MlopsError, WrongUsage
from mlops_magics.records import Execution, Executions
from mlops_magics.verbs import grids
from mlops_magics.verbs.declaration import Reference, verb
from mlops_magics.verbs.jobs import FIRST, Attempt, Job, stamp
from mlops_magics.verbs.options import Option
from mlops_magics.verbs.steps import SCHEDULE

if TYPE_CHECKING:
    from mlops_magics.notebooks.running import Outcome, Plan
    from mlops_magics.notebooks.stopping import Stopper
    from mlops_magics.verbs.steps import Step

log = logging.getLogger("mlops_magics")


@verb()
def execute(
    *notebooks: Annotated[str, Reference("notebook")],
    params: Annotated[Mapping[str, Any], Option(("-p", "--param"))] = {},
    file: Annotated[str, Option(("-f", "--file"))] = "",
    grid: Sequence[str] | Mapping[str, Sequence[Any]] = (),
    output: str = "",
    html: bool = False,
    timeout: float | None = None,
    cell_timeout: float | None = None,
    kernel: str = "",
    on: str = "local",
    jobs: int | None = None,
) -> Execution | Executions:
    """Run notebooks headlessly with parameters and seal what came of them.

    The parameters are checked against the cell tagged ``parameters`` before a kernel starts: an
    unknown name, a wrong type and a missing value are refused. However the run ends, the executed
    notebook is saved with what was done, the error in its place and the record of the run in its
    metadata, signed. ``mlops verify`` proves it untouched.

    Several notebooks, and every combination of a grid, run at the same time, each in a kernel of
    its own; one that fails does not stop the others.

    Parameters
    ----------
    notebooks : path
        The notebook, or the name of one that ships with the package: ``train``, ``validate``,
        ``monitor``. Several may be named.
    params : mapping
        Parameters by name; on a command line ``-p NAME VALUE``, as often as needed. Those named
        like secrets (``password``, ``api_key``…) reach the kernel and are written nowhere.
    file : path, optional
        A YAML or JSON file with parameters; ``params`` comes before it.
    grid : sequence of str, or mapping
        Values of parameters that are all to be tried: ``--grid depth=2,4,8``, as often as needed;
        every combination is run.
    output : path, optional
        Where the executed notebook goes; by default under ``executed/`` with the time in its name.
        Of several, the folder.
    html : bool
        Also write it as an HTML page that needs no script.
    timeout : float, optional
        Seconds for the whole notebook.
    cell_timeout : float, optional
        Seconds for each cell.
    kernel : str, optional
        The kernel to run it in; by default the notebook's own.
    on : str
        The engine that several run on: ``local``, ``dask``, or the address of a scheduler
        (``tls://…``; ``tcp://127.0.0.1:8786``).
    jobs : int, optional
        How many run at a time: by default one a core of this machine, all workers of a cluster.

    Returns
    -------
    Execution or Executions
        With ``status`` ``finished``, ``failed``, ``interrupted``, ``killed`` or ``timed out``; of
        several, all of them.

    Raises
    ------
    UnknownName
        If there is no such notebook, parameter, kernel or engine.
    WrongUsage
        If a parameter has the wrong type or is missing, or no notebook is named.
    BadData
        If the file is no notebook.
    MissingExtra, StepFailed
        If what the engine needs is not installed, or it can't be reached.
    MlopsError
        If the output can't be written or the key can't be used.

    Examples
    --------
    >>> mlops.execute("train", params={"data": "loans.csv"})  # doctest: +SKIP
    >>> mlops.execute("train", grid={"algorithm": ["forest", "boosting"]})  # doctest: +SKIP
    """
    from mlops_magics.evidence import secrets
    from mlops_magics.notebooks import parameters
    from mlops_magics.verbs import fanning

    if not notebooks:
        raise WrongUsage("execute needs NOTEBOOK.", "The templates are train, validate, monitor.")
    check_limits(timeout=timeout, cell_timeout=cell_timeout)
    combinations = grids.combinations(grid, params)
    several = len(notebooks) > 1 or bool(grid) or on != "local"
    given = {**(parameters.read_file(Path(file)) if file else {}), **params}
    arguments: dict[str, Any] = {"params": secrets.mask(params), "file": file, "output": output}
    arguments |= {"html": html, "kernel": kernel, "timeout": timeout, "cell_timeout": cell_timeout}
    arguments |= {"on": on} if several else {}
    limits = {"timeout": timeout, "cell_timeout": cell_timeout}
    todo = [
        _job(name, given, varied, kernel, {**arguments, "notebook": name}, limits)
        for name in notebooks
        for varied in combinations
    ]
    if several:
        return fanning.run(todo, engines.find(on, jobs, light=True), output, html=html)
    target = target_of(output, todo[0].source, settings.load().notebooks)
    return run(replace(todo[0], target=target), html=html)


def one(
    notebook: str, *, params: Mapping[str, Any] | None = None, output: str = "", html: bool = False
) -> Execution:
    """Run a single notebook, as a part of another verb; like `execute`."""
    done = execute(notebook, params=params or {}, output=output, html=html)
    assert isinstance(done, Execution)
    return done


def _job(
    name: str,
    given: Mapping[str, Any],
    varied: Mapping[str, Any],
    kernel: str,
    arguments: Mapping[str, Any],
    limits: Mapping[str, Any],
) -> Job:
    """What is to be run, checked; where its result goes is not decided yet."""
    from mlops_magics.notebooks import files, kernels, parameters

    source = files.find(name)
    content = files.read(source)
    spec = kernels.find(content, kernel)
    params = parameters.check(content, {**given, **varied}, spec.language)
    return Job(
        source=source,
        notebook=content,
        kernel=spec,
        params=params,
        varied={name: params[name] for name in varied},
        target=source,
        arguments=arguments,
        **limits,
    )


def run(job: Job, *, html: bool, stopper: Stopper | None = None) -> Execution:
    """Run one notebook on this machine; who hands a `stopper` in tells of its progress too."""
    from mlops_magics.notebooks import running

    with tempfile.TemporaryDirectory(prefix="mlops-execution-") as folder:
        journal = Path(folder) / "steps.jsonl"
        plan = plan_of(job, variables(job.source, job.event, journal), quiet=stopper is not None)
        if stopper is None:
            log.info("running %s", job.source)
        ready = Ready(plan, job.source, job.target, settings.load().keys)
        outcome = running.run(plan, ready.save, meanwhile=ready.prepare, stopper=stopper)
        steps = read_steps(journal)
    return Finish(ready, outcome, job, steps).finish(html=html)


def plan_of(job: Job, environment: Mapping[str, str], *, quiet: bool = True) -> Plan:
    """A job as what is run in a kernel here."""
    from mlops_magics.notebooks import running

    return running.Plan(
        notebook=job.notebook,
        kernel=job.kernel,
        params=job.params,
        environment=environment,
        timeout=job.timeout,
        cell_timeout=job.cell_timeout,
        folder=str(Path.cwd()),
        quiet=quiet,
    )


def variables(notebook: Path, event: str, journal: Path) -> dict[str, str]:
    """What a headless kernel is told by its environment."""
    return {
        "MLOPS_NOTEBOOK": str(notebook),
        "MLOPS_EXECUTION": event,
        "MLOPS_JOURNAL": str(journal),
        "MLOPS_ATTEMPT": str(tasks.current().attempt),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Bars that live by scripts are noise in a record.
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    }


def check_limits(**limits: float | None) -> None:
    """Refuse a time limit that is none."""
    for name, value in limits.items():
        if value is not None and not value > 0:
            raise WrongUsage(f"{name} is {value!r}, and has to be more than 0 seconds.")


def target_of(output: str, source: Path, folder: Path) -> Path:
    """Where the executed notebook goes; never over the notebook that is run."""
    if not output:
        return folder / f"{source.stem}-{stamp()}.ipynb"
    path = Path(output).expanduser()
    if output.endswith(("/", os.sep)) or path.is_dir():
        path = path / source.name
    path = path.resolve()
    if path == source:
        raise WrongUsage(
            f"{output} is the notebook that is run; its result can't take its place.",
            "Choose another path, or none: it then goes to `executed/`.",
        )
    return path if path.suffix == ".ipynb" else path.with_name(f"{path.name}.ipynb")


class Ready:
    """What is made ready while the kernel boots, and saves the notebook while it runs."""

    def __init__(self, plan: Plan, source: Path, target: Path, keys: Path) -> None:
        self.plan, self.source, self.target, self._keys = plan, source, target, keys

    def prepare(self) -> None:
        """Gather what the run starts from; a key that can't be used ends it here."""
        from mlops_magics.evidence import keys
        from mlops_magics.notebooks import record

        self.key = keys.signer(self._keys)
        self.around = record.surroundings(self.source, self.plan.kernel)
        self.masker = record.masker_for(self.plan)

    def save(self, notebook: Any) -> None:
        """Save a notebook that is still running: masked, whole, not yet sealed."""
        from mlops_magics.notebooks import files, record

        text = files.text_of(record.masked(notebook, self.masker, self.plan))
        files.write(self.target, text.encode("utf-8", "backslashreplace"))


def read_steps(journal: Path) -> list[dict[str, Any]]:
    """What the verbs in a notebook left in the journal of its run."""
    if not journal.exists():
        return []
    lines = journal.read_text(encoding="utf-8").splitlines()
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:  # the process died while it wrote its last line
            log.warning("A line of the journal is cut off; that step is missing from the record.")
    return found


class Finish:
    """What is left once the kernel is gone: record, seal, file, page, and the run in the store."""

    def __init__(
        self,
        ready: Ready,
        outcome: Outcome,
        job: Job,
        steps: Sequence[Mapping[str, Any]],
        attempt: Attempt = FIRST,
    ) -> None:
        self.ready, self.outcome, self.job = ready, outcome, job
        self.plan, self.source, self.target = ready.plan, ready.source, ready.target
        self.event, self.arguments, self.steps = job.event, job.arguments, steps
        self.attempt = attempt
        self.warnings = list(outcome.warnings)

    def finish(self, *, html: bool) -> Execution:
        """Write everything and return the record."""
        from mlops_magics.evidence import secrets

        # A scheduled run is noted in any case: `status` looks for it there.
        noted = self.steps or os.environ.get(SCHEDULE)
        step = self._open_step() if noted else None
        digest, body = self.seal(step.run_id if step else "")
        page = self._page() if html else None
        if step is not None:
            self._close_step(step, digest)
        done = Counter(self.outcome.states)
        masker = secrets.Masker(self.plan.params)
        return Execution(
            notebook=str(self.source),
            output=str(self.target),
            status=self.outcome.status,
            params=body["parameters"],
            failed_cell=masker(self.outcome.failed_cell),
            cells={
                "run": sum(n for state, n in done.items() if state != "never ran"),
                "failed": 1 if self.outcome.failed_cell else 0,
                "never ran": done["never ran"],
            },
            duration=self.outcome.duration,
            html=page,
            digest=digest,
            steps=tuple(body["steps"]),
            run_id=body["run_id"],
            reason=masker(self.outcome.reason),
            attempt=self.attempt.number,
            place=self.attempt.place,
            earlier=self.attempt.earlier,
            varied=secrets.mask(self.job.varied),
            warnings=tuple(self.warnings),
        )

    def seal(self, run_id: str, verb: str = "execute") -> tuple[str, dict[str, Any]]:
        """Write the notebook with the sealed record of its run; the digest and the record."""
        from mlops_magics.notebooks import files, record

        masker = record.masker_for(self.plan)
        body = record.build(
            self.plan,
            self.outcome,
            self.ready.around,
            event=self.event,
            verb=verb,
            arguments=self.arguments,
            steps=self.steps,
            run_id=run_id,
            attempt=asdict(self.attempt),
        )
        plain = record.masked(self.outcome.notebook, masker, self.plan)
        done, digest = record.sealed(plain, body, masker, self.ready.key, self.target.name)
        files.write(self.target, files.dumps(done))
        return digest, done["metadata"]["mlops"]["record"]

    def _page(self) -> str:
        from mlops_magics.evidence import manifests, seal
        from mlops_magics.notebooks import export, files

        content = manifests.parse(self.target.read_bytes())
        finding = seal.verify(content, {"own key": self.ready.key.public_key})
        page = self.target.with_suffix(".html")
        files.write(page, export.page(content, finding, self.target.name).encode("utf-8"))
        return str(page)

    def _open_step(self) -> Step | None:
        """The execution's own run in the store, beside those that the notebook left there."""
        from mlops_magics.verbs.steps import Step

        experiment = next(
            (str(s["experiment"]) for s in reversed(self.steps) if s.get("experiment")),
            os.environ.get(SCHEDULE, ""),
        )
        step = Step("execute", experiment, self.arguments)
        try:
            step.open(self.source.stem, [str(s.get("run_id", "")) for s in self.steps])
        except MlopsError as error:
            self.warnings.append(f"The execution was sealed but not noted in the store: {error}")
            return None
        return step

    def _close_step(self, step: Step, digest: str) -> None:
        from mlops_magics.evidence import secrets

        # A run in the store knows no time-out; the notebook's record says which failure it was.
        status = "failed" if self.outcome.status == "timed out" else self.outcome.status
        try:
            step.params(secrets.mask(self.plan.params))
            step.tags({"mlops.seal": digest, "mlops.execution": self.event})
            step.file(self.target, "notebook")
            step.summary = {
                "notebook": self.source.name,
                "status": self.outcome.status,
                "reason": self.outcome.reason,
            }
            step.close(status)
        except MlopsError as error:
            self.warnings.append(f"The store did not take all of the execution: {error}")
