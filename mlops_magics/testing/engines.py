"""What every engine must do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlops_magics.engines.base import Engine


class EngineContract:
    """What every engine must do with the tasks it is given.

    Attributes
    ----------
    engine_class : type
        What the entry point names.
    """

    engine_class: type[Engine]

    def engine(self) -> Engine:
        """An engine with two workers, not yet opened; override where it needs an address."""
        return self.engine_class(2)

    def test_it_runs_tasks_with_what_is_shared(self) -> None:
        """Each gets the value and its own arguments; what it returns comes back."""
        with self.engine() as engine:
            assert engine.workers >= 1
            shared = engine.share({"factor": 3})
            futures = [engine.submit(_times, shared, n) for n in range(8)]
            assert [future.result(60) for future in futures] == [3 * n for n in range(8)]

    def test_code_of_a_notebook_goes_along(self) -> None:
        """Functions and classes that no module holds arrive with the value."""
        names: dict[str, Any] = {"__name__": "__main__"}
        exec("class Made:\n    add = 2\n\ndef f(x):\n    return x + Made().add", names)  # noqa: S102
        with self.engine() as engine:
            future = engine.submit(_called, engine.share(names["f"]), 5)
            assert future.result(60) == 7

    def test_tasks_do_not_disturb_each_other_where_they_run_apart(self) -> None:
        """A value that a task changes is as it was for the next."""
        with self.engine() as engine:
            shared = engine.share([])
            sizes = [engine.submit(_grown, shared).result(60) for _ in range(4)]
        assert sizes == ([1] * 4 if engine.apart else [1, 2, 3, 4])

    def test_an_exception_is_the_futures(self) -> None:
        """It is raised when the result is asked for, and the engine goes on."""
        import pytest

        with self.engine() as engine:
            shared = engine.share(0)
            failing, working = engine.submit(_divided, shared), engine.submit(_times_two, shared)
            with pytest.raises(ZeroDivisionError):
                failing.result(60)
            assert working.result(60) == 0

    def test_it_says_where_it_works(self) -> None:
        """Its name, for ``--on`` and for the record."""
        engine = self.engine()
        assert engine.label.startswith(engine.name)
        assert engine.name


def _times(value: Mapping[str, int], number: int) -> int:
    return value["factor"] * number


def _times_two(value: int) -> int:
    return 2 * value


def _called(function: Any, argument: int) -> Any:
    return function(argument)


def _grown(value: list[int]) -> int:
    value.append(1)
    return len(value)


def _divided(value: int) -> float:
    return 1 / value
