"""What every sink of alerts must do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlops_magics.alerts.base import Message, Sink


class AlertContract:
    """What every sink of alerts must do.

    Attributes
    ----------
    sink_class : type
        What the entry point names.
    secret : str
        A part of `place` that no record may hold; empty if there is none.
    """

    sink_class: type[Sink]
    secret: str = ""

    def place(self) -> str:
        """What a user writes for a place that takes messages; to be overridden."""
        raise NotImplementedError

    def dead(self) -> str:
        """The same for a place that takes none; to be overridden."""
        raise NotImplementedError

    def received(self) -> list[str]:
        """All that has come to `place` as text, one a message; to be overridden."""
        raise NotImplementedError

    def message(self) -> Message:
        """What is sent: with characters that mean something to some receiver."""
        from mlops_magics.alerts.base import Message

        return Message(
            event="breach",
            title="credit: over a threshold: drift(Income)\nBcc: <all>",
            broken=("drift(Income) <= 0.2: 0.31, threshold <= 0.2 & 'more'",),
            facts={"model": "credit/3", "deployment": "credit", "run": "0123abcd"},
            record='{"deployment": "credit", "alert": {"title": "0.31"}, "run_id": "0123abcd"}',
        )

    def test_it_takes_a_message_there(self) -> None:
        """Once, with what broke and the run, and says how it was taken."""
        before = len(self.received())
        assert self.sink_class(self.place()).send(self.message())
        (came,) = self.received()[before:]
        assert "0.31" in came
        assert "0123abcd" in came

    def test_what_can_not_be_reached_is_one_sentence(self) -> None:
        """Soon, and without a secret."""
        import pytest

        from mlops_magics.errors import MlopsError

        with pytest.raises(MlopsError) as told:
            self.sink_class(self.dead()).send(self.message())
        assert "\n" not in str(told.value)
        assert not self.secret or self.secret not in str(told.value)

    def test_it_is_called_by_a_name_without_secrets(self) -> None:
        """The same each time, and another than that of another place."""
        label = self.sink_class(self.place()).label
        assert label == self.sink_class(self.place()).label
        assert label != self.sink_class(self.dead()).label
        assert not self.secret or self.secret not in label

    def test_no_place_is_refused(self) -> None:
        """Before anything is looked at."""
        import pytest

        from mlops_magics.errors import WrongUsage

        with pytest.raises(WrongUsage):
            self.sink_class(f"{self.sink_class.name}:")
