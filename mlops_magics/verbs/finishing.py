"""What is left to be done once a notebook has run: record, seal, file, page, and its own run."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mlops_magics.errors import MlopsError
from mlops_magics.records import Execution
from mlops_magics.schedulers.base import VARIABLE as SCHEDULE
from mlops_magics.verbs.jobs import FIRST, Attempt, Job

if TYPE_CHECKING:
    from mlops_magics.notebooks.running import Outcome
    from mlops_magics.verbs.performing import Ready
    from mlops_magics.verbs.steps import Step


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
            varied=self.job.told,
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
