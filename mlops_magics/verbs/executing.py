"""`execute`: a notebook run headlessly, strict about its parameters, sealed as a record."""

from __future__ import annotations

import json
import logging
import os
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mlops_magics import settings
from mlops_magics.errors import WrongUsage
from mlops_magics.records import Execution, NotebookHelp, NotebookParameter
from mlops_magics.verbs import finishing
from mlops_magics.verbs.declaration import Reference, verb
from mlops_magics.verbs.finishing import Finish
from mlops_magics.verbs.options import Option

if TYPE_CHECKING:
    from mlops_magics.notebooks.places import Remote
    from mlops_magics.notebooks.running import Plan

log = logging.getLogger("mlops_magics")


@verb()
def execute(
    notebook: Annotated[str, Reference("notebook")],
    *,
    params: Annotated[Mapping[str, Any], Option(("-p", "--param"))] = {},
    file: Annotated[str, Option(("-f", "--file"))] = "",
    output: str = "",
    html: bool = False,
    junit: str = "",
    timeout: float | None = None,
    cell_timeout: float | None = None,
    kernel: str = "",
    help_notebook: bool = False,
) -> Execution | NotebookHelp:
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
        like secrets (``password``, ``api_key``…) reach the kernel and are written nowhere, and so
        do those given by reference: ``env:NAME`` is the value of a variable, ``file:PATH`` the
        content of a file (``env::NAME`` is that text itself).
    file : path, optional
        A YAML or JSON file with parameters; ``params`` comes before it.
    output : path, optional
        Where the executed notebook goes, also an fsspec URI (``s3://…``, ``sftp://…``); by default
        under ``executed/`` with the time in its name.
    html : bool
        Also write it, beside it, as an HTML page that needs no script.
    junit : path, optional
        Also write it as JUnit XML, a test case a cell, for a CI system.
    timeout : float, optional
        Seconds for the whole notebook.
    cell_timeout : float, optional
        Seconds for each cell.
    kernel : str, optional
        The kernel to run it in; by default the notebook's own.
    help_notebook : bool
        Run nothing, and show the notebook's parameters.

    Returns
    -------
    Execution or NotebookHelp
        With ``status`` ``finished``, ``failed``, ``interrupted``, ``killed`` or ``timed out``. If
        the output could not be written, it lies elsewhere, and a warning says where.

    Raises
    ------
    UnknownName
        If there is no such notebook, parameter or kernel.
    WrongUsage
        If a parameter has the wrong type or is missing, or a secret is not where it is said to be.
    BadData
        If the file is no notebook.
    MlopsError
        If the output can't be written at the start, or the key can't be used.

    Examples
    --------
    >>> mlops.execute("train", params={"data": "loans.csv"})  # doctest: +SKIP
    """
    if help_notebook:
        return described(notebook, kernel)
    return run(
        notebook,
        params=params,
        file=file,
        output=output,
        html=html,
        junit=junit,
        timeout=timeout,
        cell_timeout=cell_timeout,
        kernel=kernel,
    )


def run(
    notebook: str,
    *,
    params: Mapping[str, Any] = {},
    file: str = "",
    output: str = "",
    html: bool = False,
    junit: str = "",
    timeout: float | None = None,
    cell_timeout: float | None = None,
    kernel: str = "",
) -> Execution:
    """Run one notebook once; see `execute`."""
    from mlops_magics.evidence import secrets
    from mlops_magics.notebooks import files, kernels, parameters, references, running

    options = settings.load()
    source = files.find(notebook)
    content = files.read(source)
    check_limits(timeout=timeout, cell_timeout=cell_timeout)
    spec = kernels.find(content, kernel)
    given = {**(parameters.read_file(Path(file)) if file else {}), **params}
    values, referred = references.resolve(given)
    checked = parameters.check(content, values, spec.language, referred)
    target, remote = targets_of(output, source, options.notebooks)
    event = str(uuid.uuid4())
    with tempfile.TemporaryDirectory(prefix="mlops-execution-") as folder:
        journal = Path(folder) / "steps.jsonl"
        plan = running.Plan(
            notebook=content,
            kernel=spec,
            params=checked,
            references=referred,
            environment=variables(source, event, journal),
            timeout=timeout,
            cell_timeout=cell_timeout,
            folder=str(Path.cwd()),
        )
        log.info("running %s", source)
        ready = Ready(plan, source, target, options.keys, remote)
        outcome = running.run(plan, ready.save, meanwhile=ready.prepare)
        steps = read_steps(journal)
    arguments: dict[str, Any] = {"notebook": notebook, "params": secrets.mask(params), "file": file}
    arguments |= {"output": remote.uri if remote else output, "html": html, "junit": junit}
    arguments |= {"kernel": kernel, "timeout": timeout, "cell_timeout": cell_timeout}
    return Finish(ready, outcome, event, arguments, steps).finish(html=html, junit=junit)


def described(notebook: str, kernel: str = "") -> NotebookHelp:
    """What a notebook takes; its kernel need not be installed."""
    from mlops_magics.notebooks import describing, files

    source = files.find(notebook)
    content = files.read(source)
    stated = content["metadata"].get("kernelspec", {})
    language = str(stated.get("language") or "python").lower()
    found = describing.of_parameters(content) if language == "python" else []
    foreign = f"The parameters of a notebook in {language} can't be read; only Python's can."
    return NotebookHelp(
        notebook=str(source),
        title=describing.heading(content),
        kernel=kernel or str(stated.get("name", "")),
        parameters=tuple(NotebookParameter(**each) for each in found),
        warnings=() if language == "python" else (foreign,),
    )


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


def targets_of(output: str, source: Path, folder: Path) -> tuple[Path, Remote | None]:
    """Where the notebook is written on this machine, and where it goes from there in the end."""
    from mlops_magics.notebooks import places

    place = places.find(output, source.name)
    if isinstance(place, places.Remote):
        return target_of("", Path(place.name), folder), place
    slash = "/" if output.endswith(("/", os.sep)) else ""
    return target_of(f"{place}{slash}" if output else "", source, folder), None


def target_of(output: str, source: Path, folder: Path) -> Path:
    """Where the executed notebook goes; never over the notebook that is run."""
    if not output:
        return finishing.stamped(folder, source.stem)
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
        self, plan: Plan, source: Path, target: Path, keys: Path, remote: Remote | None = None
    ) -> None:
        self.plan, self.source, self.target, self._keys = plan, source, target, keys
        self.remote, self._tried = remote, False

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

        text = files.text_of(record.masked(notebook, self.masker))
        content = text.encode("utf-8", "backslashreplace")
        if self.remote is not None and not self._tried:
            self.remote.write(content)  # once at the start: what can't be written does not run
            self._tried = True
        files.write(self.target, content)


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
