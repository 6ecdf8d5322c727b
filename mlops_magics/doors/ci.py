"""What a CI system is told beside the exit code: a summary of the job."""

from __future__ import annotations

import os

from mlops_magics.errors import MlopsError
from mlops_magics.records import Execution, Executions, Monitoring, Record, Retraining, Verdict

#: GitHub (and those that follow it) shows what is appended to the file that this names.
SUMMARY = "GITHUB_STEP_SUMMARY"

#: What a job is about; all else is only on its way there.
_TOLD = (Verdict, Execution, Executions, Monitoring, Retraining)


def tell(record: Record) -> None:
    """Append what the job is about to the summary of the job, where there is one.

    Raises
    ------
    MlopsError
        If its file can't be written.
    """
    file = os.environ.get(SUMMARY)
    if not file or not isinstance(record, _TOLD):
        return
    from mlops_magics.doors import views

    try:
        with open(file, "a", encoding="utf-8") as summary:
            summary.write(views.markdown(record) + "\n")
    except OSError as error:
        raise MlopsError(
            f"The summary of the job can't be written to {file}: {error.strerror or error}.",
            f"Unset {SUMMARY} if there is none.",
        ) from error
