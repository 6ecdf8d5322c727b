"""What is left once a notebook has run: record, seal, file, page, and the run in the store."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_magics import settings
from mlops_magics.errors import MlopsError
from mlops_magics.records import Execution
from mlops_magics.schedulers.base import VARIABLE as SCHEDULE
from mlops_magics.verbs import junit
from mlops_magics.verbs.destinations import stamped
from mlops_magics.verbs.jobs import FIRST, Attempt, Job

if TYPE_CHECKING:
    from mlops_magics.notebooks.running import Outcome
    from mlops_magics.verbs.performing import Ready
    from mlops_magics.verbs.steps import Step


@dataclass(frozen=True)
class Beside:
    """What is made beside the executed notebook: a page, and its part of a report."""

    html: bool = False
    report: junit.Report | None = None


class Finish:
    """Seals a run's notebook and takes it to where it belongs; whatever fails, it is not lost.

    Attributes
    ----------
    target : Path
        Where the notebook lies on this machine.
    """

    def __init__(
        self,
        ready: Ready,
        outcome: Outcome,
        job: Job,
        steps: Sequence[Mapping[str, Any]],
        attempt: Attempt = FIRST,
        resumption: Mapping[str, Any] = {},
    ) -> None:
        from mlops_magics.notebooks import record

        self.ready, self.outcome, self.job = ready, outcome, job
        self.plan, self.source, self.target = ready.plan, ready.source, ready.target
        self.event, self.arguments, self.steps = job.event, job.arguments, steps
        self.attempt = attempt
        self.warnings = [*outcome.warnings, *resumption.get("warnings", ())]
        self.resumption: dict[str, Any] = {
            name: resumption.get(name) for name in ("resumed", "checkpoint")
        }
        self.masker = record.masker_for(self.plan)
        self._unwritten = ""

    def finish(self, beside: Beside) -> Execution:
        """Write everything and return the record."""
        from mlops_magics.notebooks import fitting

        # A scheduled run is noted in any case: `status` looks for it there.
        noted = self.steps or os.environ.get(SCHEDULE)
        step = self._open_step() if noted else None
        try:
            digest, content = self.seal(step.run_id if step else "", elsewhere=True)
        except MlopsError as error:
            if step is not None:
                step.close("failed", error)
            raise
        page = self._page() if beside.html else None
        if step is not None:
            self._close_step(step, digest)
        output, page = self._deliver(page)
        if beside.report is not None:
            beside.report.take(self.event, content)
        body = content["metadata"]["mlops"]["record"]
        done = Counter(self.outcome.states)
        kept = sum(fitting.KEPT in cell.metadata for cell in self.outcome.notebook.cells)
        return Execution(
            notebook=str(self.source),
            output=output,
            status=self.outcome.status,
            params=body["parameters"],
            failed_cell=self.masker(self.outcome.failed_cell),
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
            reason=self.masker(self.outcome.reason),
            attempt=self.attempt.number,
            place=self.attempt.place,
            earlier=self.attempt.earlier,
            varied=self.job.told,
            unwritten=self._unwritten,
            warnings=tuple(self.warnings),
            **self.resumption,
        )

    def seal(
        self, run_id: str, verb: str = "execute", *, elsewhere: bool = False
    ) -> tuple[str, dict[str, Any]]:
        """Write the notebook with the sealed record of its run.

        Parameters
        ----------
        elsewhere : bool
            If it can't be written where it belongs, keep it in another place.

        Returns
        -------
        digest : str
        content : dict
            The notebook as it was written.
        """
        from mlops_magics.notebooks import files, record

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
            warnings=self.warnings,
            **self.resumption,
        )
        plain = record.masked(self.outcome.notebook, self.masker)
        name = self.ready.remote.name if self.ready.remote else self.target.name
        done, digest = record.sealed(plain, body, self.masker, self.ready.key, name)
        try:
            files.write(self.target, files.dumps(done))
        except MlopsError as error:
            if not elsewhere or not self._keep(files.dumps(done), error):
                raise
        return digest, done

    def _keep(self, content: bytes, trouble: MlopsError) -> bool:
        """Write it where there may be room: a run of hours is not lost by a full disk."""
        from mlops_magics.notebooks import files

        for folder in (settings.load().notebooks, Path(tempfile.gettempdir())):
            place = stamped(folder.absolute(), self.target.stem)
            try:
                files.write(place, content)
            except MlopsError:
                continue
            self._unwritten, self.target = str(self.target), place
            self.warnings.append(f"{trouble.message} The executed notebook is kept in {place}.")
            return True
        return False

    def _page(self) -> str | None:
        from mlops_magics.evidence import manifests, seal
        from mlops_magics.notebooks import export, files

        content = manifests.parse(self.target.read_bytes())
        finding = seal.verify(content, {"own key": self.ready.key.public_key})
        name = self.ready.remote.name if self.ready.remote else self.target.name
        page = self.target.with_suffix(".html")
        try:
            files.write(page, export.page(content, finding, name).encode("utf-8"))
        except MlopsError as error:
            self.warnings.append(error.message)
            self._unwritten = self._unwritten or str(page)
            return None
        return str(page)

    def _deliver(self, page: str | None) -> tuple[str, str | None]:
        """Take notebook and page to the place that is asked for; they stay here if it fails."""
        remote = self.ready.remote
        if remote is None:
            return str(self.target), page
        beside = remote.beside(".html")
        try:
            remote.write(self.target.read_bytes())
            if page is not None:
                beside.write(Path(page).read_bytes())
        except MlopsError as error:
            self._unwritten = remote.uri
            self.warnings.append(f"{error.message} It is kept in {self.target}.")
            return str(self.target), page
        self.target.unlink(missing_ok=True)
        if page is not None:
            Path(page).unlink(missing_ok=True)
        return remote.uri, beside.uri if page is not None else None

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
        # A run in the store knows no time-out; the notebook's record says which failure it was.
        status = "failed" if self.outcome.status == "timed out" else self.outcome.status
        try:
            step.params(self.plan.written)
            step.tags({"mlops.seal": digest, "mlops.execution": self.event})
            step.file(self.target, "notebook")
            step.summary = {
                "notebook": self.source.name,
                "status": self.outcome.status,
                "reason": self.masker(self.outcome.reason),
            }
            step.close(status)
        except MlopsError as error:
            self.warnings.append(f"The store did not take all of the execution: {error}")
