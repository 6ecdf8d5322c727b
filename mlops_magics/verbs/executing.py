"""`execute`: a notebook run headlessly, strict about its parameters, sealed as a record."""

from __future__ import annotations

import json
import logging
import os
import tempfile
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mlops_magics import settings
from mlops_magics.errors import MlopsError, WrongUsage
from mlops_magics.records import Execution
from mlops_magics.verbs import resuming
from mlops_magics.verbs.declaration import Reference, verb
from mlops_magics.verbs.options import Option

if TYPE_CHECKING:
    from mlops_magics.notebooks.keeping import Keeper
    from mlops_magics.notebooks.running import Outcome, Plan
    from mlops_magics.verbs.steps import Step

log = logging.getLogger("mlops_magics")


@verb()
def execute(
    notebook: Annotated[str, Reference("notebook")],
    *,
    params: Annotated[Mapping[str, Any], Option(("-p", "--param"))] = {},
    file: Annotated[str, Option(("-f", "--file"))] = "",
    output: str = "",
    html: bool = False,
    timeout: float | None = None,
    cell_timeout: float | None = None,
    kernel: str = "",
    resume: bool = False,
) -> Execution:
    """Run a notebook headlessly with parameters and seal what came of it.

    The parameters are checked against the cell tagged ``parameters`` before a kernel starts: an
    unknown name, a wrong type and a missing value are refused. However the run ends, the executed
    notebook is saved with what was done, the error in its place and the record of the run in its
    metadata, signed. ``mlops verify`` proves it untouched.

    Parameters
    ----------
    notebook : path
        The notebook, or the name of one that ships with the package: ``train``, ``validate``,
        ``monitor``.
    params : mapping
        Parameters by name; on a command line ``-p NAME VALUE``, as often as needed. Those named
        like secrets (``password``, ``api_key``…) reach the kernel and are written nowhere.
    file : path, optional
        A YAML or JSON file with parameters; ``params`` comes before it.
    output : path, optional
        Where the executed notebook goes; by default under ``executed/`` with the time in its name.
    html : bool
        Also write it as an HTML page that needs no script.
    timeout : float, optional
        Seconds for the whole notebook.
    cell_timeout : float, optional
        Seconds for each cell.
    kernel : str, optional
        The kernel to run it in; by default the notebook's own.
    resume : bool
        Go on after the last cell of the last run with these parameters that ran well and whose
        state was kept: variables, folder, environment, random states. What libraries hold beside
        that, and what was open, is not kept. Where there is no such state, or it does not fit the
        notebook or the packages any more, everything is run from the top, and the record says so.

    Returns
    -------
    Execution
        With ``status`` ``finished``, ``failed``, ``interrupted``, ``killed`` or ``timed out``.

    Raises
    ------
    UnknownName
        If there is no such notebook, parameter or kernel.
    WrongUsage
        If a parameter has the wrong type or is missing, or there is nothing to resume.
    BadData
        If the file is no notebook.
    MlopsError
        If the output can't be written or the key can't be used.

    Examples
    --------
    >>> mlops.execute("train", params={"data": "loans.csv"})  # doctest: +SKIP
    """
    from mlops_magics.evidence import secrets
    from mlops_magics.notebooks import files, kernels, parameters, running

    options = settings.load()
    source = files.find(notebook)
    content = files.read(source)
    check_limits(timeout=timeout, cell_timeout=cell_timeout)
    spec = kernels.find(content, kernel)
    given = {**(parameters.read_file(Path(file)) if file else {}), **params}
    checked = parameters.check(content, given, spec.language)
    target = target_of(output, source, options.notebooks)
    event = str(uuid.uuid4())
    with tempfile.TemporaryDirectory(prefix="mlops-execution-") as folder:
        journal = Path(folder) / "steps.jsonl"
        plan = running.Plan(
            notebook=content,
            kernel=spec,
            params=checked,
            environment=variables(source, event, journal),
            timeout=timeout,
            cell_timeout=cell_timeout,
            folder=str(Path.cwd()),
        )
        with resuming.keeping(plan, source, target, event, options, resume=resume) as keeper:
            log.info("running %s", source)
            ready = Ready(plan, source, target, options.keys, keeper)
            outcome = running.run(plan, ready.save, meanwhile=ready.prepare, keeper=keeper)
            resumption = resuming.told(keeper, outcome, resume=resume)
        steps = read_steps(journal)
    arguments: dict[str, Any] = {"notebook": notebook, "params": secrets.mask(params), "file": file}
    arguments |= {"output": output, "html": html, "kernel": kernel}
    arguments |= {"timeout": timeout, "cell_timeout": cell_timeout, "resume": resume}
    return Finish(ready, outcome, event, arguments, steps, resumption).finish(html=html)


def variables(notebook: Path, event: str, journal: Path) -> dict[str, str]:
    """What a headless kernel is told by its environment."""
    return {
        "MLOPS_NOTEBOOK": str(notebook),
        "MLOPS_EXECUTION": event,
        "MLOPS_JOURNAL": str(journal),
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
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3] + "Z"
        return folder / f"{source.stem}-{stamp}.ipynb"
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

    def __init__(
        self, plan: Plan, source: Path, target: Path, keys: Path, keeper: Keeper | None = None
    ) -> None:
        self.plan, self.source, self.target, self._keys = plan, source, target, keys
        self._keeper = keeper

    def prepare(self) -> None:
        """Gather what the run starts from; a key that can't be used ends it here."""
        from mlops_magics.evidence import keys
        from mlops_magics.notebooks import record

        self.key = keys.signer(self._keys)
        self.around = record.surroundings(self.source, self.plan.kernel)
        self.masker = record.masker_for(self.plan)
        if self._keeper is not None:
            self._keeper.prepare(self.key, self.around.packages["versions"], self.masker)

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
        event: str,
        arguments: Mapping[str, Any],
        steps: Sequence[Mapping[str, Any]],
        resumption: Mapping[str, Any] = {},
    ) -> None:
        self.ready, self.outcome = ready, outcome
        self.plan, self.source, self.target = ready.plan, ready.source, ready.target
        self.event, self.arguments, self.steps = event, arguments, steps
        self.warnings = [*outcome.warnings, *resumption.get("warnings", ())]
        self.resumption: dict[str, Any] = {
            name: resumption.get(name) for name in ("resumed", "checkpoint")
        }

    def finish(self, *, html: bool) -> Execution:
        """Write everything and return the record."""
        from mlops_magics.evidence import secrets

        step = self._open_step() if self.steps else None
        digest, body = self.seal(step.run_id if step else "")
        page = self._page() if html else None
        if step is not None:
            self._close_step(step, digest)
        done = Counter(self.outcome.states)
        kept = sum("mlops" in cell.metadata for cell in self.outcome.notebook.cells)
        masker = secrets.Masker(self.plan.params)
        return Execution(
            notebook=str(self.source),
            output=str(self.target),
            status=self.outcome.status,
            params=body["parameters"],
            failed_cell=masker(self.outcome.failed_cell),
            cells={
                **({"kept": kept} if kept else {}),
                "run": sum(n for state, n in done.items() if state != "never ran") - kept,
                "failed": 1 if self.outcome.failed_cell else 0,
                "never ran": done["never ran"],
            },
            duration=self.outcome.duration,
            html=page,
            digest=digest,
            steps=tuple(body["steps"]),
            run_id=body["run_id"],
            warnings=tuple(self.warnings),
            **self.resumption,
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
            warnings=self.warnings,
            **self.resumption,
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
        """The execution's own run in the store, only when the notebook left any there."""
        from mlops_magics.verbs.steps import Step

        experiment = next(
            (str(s["experiment"]) for s in reversed(self.steps) if s.get("experiment")), ""
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
