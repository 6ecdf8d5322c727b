"""`init --ci`: the file by which a CI system judges what a pull request trains."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlops_magics import evidence, settings
from mlops_magics.errors import UnknownName
from mlops_magics.records import Written
from mlops_magics.verbs import scheduled


def write(
    ci: str,
    notebook: str,
    params: Mapping[str, Any],
    options: Mapping[str, str],
    output: str,
    *,
    force: bool,
) -> Written:
    """Write the workflow of a CI system.

    Raises
    ------
    UnknownName
        If there is no such CI, notebook, parameter or option.
    WrongUsage
        If a parameter is missing, has the wrong type or is a secret, or there is such a file.
    """
    from mlops_magics.notebooks import files, kernels, parameters
    from mlops_magics.schedulers import marks, pull_requests, quoting

    if ci not in pull_requests.SYSTEMS:
        raise UnknownName("CI system", ci, pull_requests.SYSTEMS)
    found = files.find(notebook)
    content = files.read(found)
    # What the notebook would refuse in CI, it refuses here.
    parameters.check(content, params, kernels.find(content).language)
    words = ["execute", scheduled.path_of(found), *scheduled.given(params)]
    quoting.check([*words, *(w for pair in options.items() for w in pair)])
    root = settings.load().root
    top = evidence.code.git(root).get("root")
    asked = pull_requests.Asked(
        command=tuple(words),
        folder=root,
        top=Path(top) if top else root,
        options={str(k): str(v) for k, v in options.items()},
    )
    made = pull_requests.SYSTEMS[ci](asked)
    file = Path(output).expanduser().absolute() if output else asked.top / made.place
    marks.check(file, force=force)
    files.write(file, marks.marked(made.text, "pull-requests", "init").encode("utf-8"))
    return Written(path=str(file))
