"""Run by a Python that has Airflow: load a DAG, render its task as a worker does, and run it.

Its arguments are the folder of the DAGs and one that it may use as its home; it prints JSON.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def main(folder: str, home: str) -> None:
    """Load, render, run."""
    os.environ["AIRFLOW_HOME"] = home
    os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
    os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(folder, collect_dags=True)
    found: list[dict[str, Any]] = []
    for dag in bag.dags.values():
        [task] = dag.tasks
        task.render_template_fields({"ts_nodash": "20260131T120000", "task": task, "dag": dag})
        error = ""
        try:
            task.execute({})
        except Exception as raised:
            error = str(raised)
        found.append(
            {
                "dag": dag.dag_id,
                "schedule": str(dag.schedule),
                "catchup": dag.catchup,
                "max_active_runs": dag.max_active_runs,
                "operator": type(task).__name__,
                "error": error,
            }
        )
    errors = {str(k): str(v) for k, v in bag.import_errors.items()}
    print(json.dumps({"errors": errors, "dags": found}))


if __name__ == "__main__":
    main(*sys.argv[1:])
