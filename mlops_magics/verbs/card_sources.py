"""What a model card is made from: the runs, files and tags of a version, read without breaking."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlops_magics import evidence, store
from mlops_magics.errors import MlopsError
from mlops_magics.records import CardFact, now

if TYPE_CHECKING:
    from mlops_magics.store.descriptions import Description
    from mlops_magics.store.versions import Version

RECORD = "mlops/record.json"


class Sources:
    """What is on record of a version; what can't be read is kept as a sentence, never raised.

    Attributes
    ----------
    events : sequence of mapping
        The steps that had to do with the version, oldest first.
    record : mapping
        What its training left; empty where it can't be had.
    trouble : str
        Why it can't.
    tags, params : mapping
        Of its training run, secrets masked.
    """

    def __init__(self, version: Version, events: Sequence[Mapping[str, Any]]) -> None:
        self.version = version
        self.made = now()
        # What was masked when it was recorded stays so; this catches what was written since.
        self._clean = evidence.secrets.Masker()
        self.events = [self._clean(event) for event in events]
        run, self.run_trouble = self.tried(lambda: store.runs.get(version.run_id))
        self.tags: dict[str, str] = self._masked(run.data.tags) if run else {}
        self.params: dict[str, str] = self._masked(run.data.params) if run else {}
        self.metrics: dict[str, float] = dict(run.data.metrics) if run else {}
        self.started = store.history.moment(run.info.start_time) if run else ""
        found, self.trouble = self.json(version.run_id, RECORD)
        self.record: Mapping[str, Any] = found if isinstance(found, Mapping) else {}

    @property
    def trained(self) -> str:
        """The training run, as a source of facts."""
        return f"{RECORD} of run {self.version.run_id}"

    def tried(self, work: Callable[[], Any]) -> tuple[Any, str]:
        """What `work` gives, or ``None`` and why it gives nothing."""
        try:
            return work(), ""
        except MlopsError as error:
            return None, str(self._clean(error.message))
        except Exception as error:  # files that were cut off or altered by hand break anywhere
            return None, str(self._clean(f"{type(error).__name__}: {error}"))

    def json(self, run_id: str, path: str) -> tuple[Any, str]:
        """A JSON file of a run, secrets masked."""
        return self.tried(lambda: self._clean(store.runs.read_json(run_id, path)))

    def registered(self) -> tuple[Description, Description, str]:
        """What the registry says of the version and of its model, and why it says nothing."""
        own, trouble = self.tried(lambda: self._described(store.descriptions.of_version))
        whole, _ = self.tried(
            lambda: self._described(lambda v: store.descriptions.of_model(v.name))
        )
        nothing = store.descriptions.Description()
        return own or nothing, whole or nothing, trouble

    def _described(self, read: Callable[[Version], Description]) -> Description:
        found = read(self.version)
        return store.descriptions.Description(
            str(self._clean(found.text)), self._masked(found.tags)
        )

    def earlier_tags(self) -> list[tuple[str, Mapping[str, str]]]:
        """The tags of the runs that made earlier versions, the version before first."""
        runs = {str(r.info.run_id): r for r in store.ledger.steps(self.version.name)}
        return [
            (v.ref, self._masked(runs[v.run_id].data.tags))
            for v in store.versions.of(self.version.name)
            if v.number < self.version.number and v.run_id in runs
        ]

    def _masked(self, values: Mapping[str, str]) -> dict[str, str]:
        return dict(self._clean(evidence.secrets.mask(values)))

    def of_record(self, name: str, *path: str, form: Any = "") -> CardFact:
        """A field of what the training left."""
        value: Any = self.record
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        trouble = self.trouble if not self.record else ""
        if value in ("", [], {}):
            value = None
        return CardFact(name=name, value=value, source=self.trained, trouble=trouble, form=form)
