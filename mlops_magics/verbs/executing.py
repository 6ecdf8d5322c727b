"""`execute`: a notebook run headlessly, strict about its parameters, sealed as a record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

from mlops_magics import engines, settings
from mlops_magics.errors import WrongUsage
from mlops_magics.records import Execution, Executions, NotebookHelp
from mlops_magics.verbs import describing, destinations, fanning, grids, here, performing
from mlops_magics.verbs import junit as junits
from mlops_magics.verbs.declaration import Reference, verb
from mlops_magics.verbs.finishing import Beside
from mlops_magics.verbs.jobs import Job
from mlops_magics.verbs.options import Option


@verb()
def execute(
    *notebooks: Annotated[str, Reference("notebook")],
    params: Annotated[Mapping[str, Any], Option(("-p", "--param"))] = {},
    file: Annotated[str, Option(("-f", "--file"))] = "",
    grid: Sequence[str] | Mapping[str, Sequence[Any]] = (),
    output: str = "",
    html: bool = False,
    junit: str = "",
    timeout: float | None = None,
    cell_timeout: float | None = None,
    kernel: str = "",
    on: str = "local",
    jobs: int | None = None,
    resume: bool = False,
    help_notebook: bool = False,
) -> Execution | Executions | NotebookHelp:
    """Run notebooks headlessly with parameters and seal what came of them.

    The parameters are checked against the cell tagged ``parameters`` before a kernel starts: an
    unknown name, a wrong type and a missing value are refused. However the run ends, the executed
    notebook is saved with what was done, the error in its place and the record of the run in its
    metadata, signed. ``mlops verify`` proves it untouched.

    Several notebooks, and every combination of a grid, run at the same time, each in a kernel of
    its own; one that fails does not stop the others. On this machine they divide its cores between
    their threads, and where it can be done their kernels are forked from a process that imports
    once for all what they import; ``warm_kernels = false`` in ``mlops.toml`` starts each by itself.

    Parameters
    ----------
    notebooks : path
        The notebook, or the name of one that ships with the package: ``train``, ``validate``,
        ``monitor``. Several may be named.
    params : mapping
        Parameters by name; on a command line ``-p NAME VALUE``, as often as needed. Those named
        like secrets (``password``, ``api_key``…) reach the kernel and are written nowhere, and so
        do those given by reference: ``env:NAME`` is the value of a variable, ``file:PATH`` the
        content of a file (``env::NAME`` is that text itself).
    file : path, optional
        A YAML or JSON file with parameters; ``params`` comes before it.
    grid : sequence of str, or mapping
        Values of parameters that are all to be tried: ``--grid depth=2,4,8``, as often as needed;
        every combination is run.
    output : path, optional
        Where the executed notebook goes, also an fsspec URI (``s3://…``, ``sftp://…``); by default
        under ``executed/`` with the time in its name. Of several, the folder.
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
    on : str
        The engine that several run on: ``local``, ``dask``, ``ray``, or a cluster's address
        (``tls://…``; ``tcp://127.0.0.1:8786``; ``ray://127.0.0.1:10001``).
    jobs : int, optional
        How many run at a time: by default one a core of this machine, all workers of a cluster.
    resume : bool
        Go on after the last cell of the last run with these parameters that ran well and whose
        state was kept: variables, folder, environment, random states. What libraries hold beside
        that, and what was open, is not kept. Where there is no such state, or it does not fit the
        notebook or the packages any more, everything is run from the top, and the record says so.
        One notebook at a time; those of a grid by their parameters.
    help_notebook : bool
        Run nothing, and show the notebook's parameters.

    Returns
    -------
    Execution, Executions or NotebookHelp
        With ``status`` ``finished``, ``failed``, ``interrupted``, ``killed`` or ``timed out``; of
        several, all of them. If the output could not be written, it lies elsewhere, and a warning
        says where.

    Raises
    ------
    UnknownName
        If there is no such notebook, parameter, kernel or engine.
    WrongUsage
        If a parameter has the wrong type or is missing, a secret is not where it is said to be,
        no notebook is named, or there is nothing to resume.
    BadData
        If the file is no notebook.
    MissingExtra, StepFailed
        If what the engine needs is not installed, or it can't be reached.
    MlopsError
        If the output can't be written at the start, or the key can't be used.

    Examples
    --------
    >>> mlops.execute("train", params={"data": "loans.csv"})  # doctest: +SKIP
    >>> mlops.execute("train", grid={"algorithm": ["forest", "boosting"]})  # doctest: +SKIP
    """
    from mlops_magics.notebooks.warm import starting

    if not notebooks:
        raise WrongUsage("execute needs NOTEBOOK.", "The templates are train, validate, monitor.")
    if help_notebook:
        return describing.describe(notebooks, kernel)
    check_limits(timeout=timeout, cell_timeout=cell_timeout)
    combinations = grids.combinations(grid, params)
    several = len(notebooks) > 1 or bool(grid) or on != "local"
    if several and resume:
        raise WrongUsage(
            "One notebook can be resumed at a time.",
            "Name the one that stopped, with -p and the parameters that it had in the grid.",
        )
    # A process on which most kernels can be built is under way while the rest is found out.
    with starting.ahead() if on == "local" else nullcontext():
        from mlops_magics.evidence import secrets
        from mlops_magics.notebooks import parameters, places

        given = {**(parameters.read_file(Path(file)) if file else {}), **params}
        arguments: dict[str, Any] = {"params": secrets.mask(params), "file": file}
        arguments |= {
            "output": places.shown(output),
            "html": html,
            "junit": junit,
            "kernel": kernel,
        }
        arguments |= {"timeout": timeout, "cell_timeout": cell_timeout}
        arguments |= {"on": on} if several else {"resume": resume}
        limits = {"timeout": timeout, "cell_timeout": cell_timeout}
        todo = [
            _job(name, given, varied, kernel, {**arguments, "notebook": name}, limits)
            for name in notebooks
            for varied in combinations
        ]
        beside = Beside(html=html, report=junits.Report(junit) if junit else None)
        if several:
            return fanning.run(todo, engines.find(on, jobs, light=True), output, beside)
        job = destinations.of_one(todo[0], output, settings.load().notebooks)
        with here.ready([job], 1) as near:
            done = performing.run(job, near, beside, resume=resume)
        if beside.report is not None:
            beside.report.write([(job.event, done)])
        return done


def one(notebook: str, **options: Any) -> Execution:
    """Run a single notebook, as a part of another verb; like `execute`."""
    done = execute(notebook, **options)
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
    from mlops_magics.notebooks import files, kernels, parameters, references

    source = files.find(name)
    content = files.read(source)
    spec = kernels.find(content, kernel)
    values, referred = references.resolve({**given, **varied})
    params = parameters.check(content, values, spec.language, referred)
    return Job(
        source=source,
        notebook=content,
        kernel=spec,
        params=params,
        references=referred,
        varied={name: params[name] for name in varied},
        target=source,
        arguments=arguments,
        **limits,
    )


def check_limits(**limits: float | None) -> None:
    """Refuse a time limit that is none."""
    for name, value in limits.items():
        if value is not None and not value > 0:
            raise WrongUsage(f"{name} is {value!r}, and has to be more than 0 seconds.")
