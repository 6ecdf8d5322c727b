"""`history`: who did what to a model, and whether that is still what was recorded."""

from __future__ import annotations

from mlops_magics import store
from mlops_magics.records import History
from mlops_magics.verbs import custody
from mlops_magics.verbs.declaration import verb


@verb()
def history(name: str) -> History:
    """Tell who did what to a model, when, from where and why.

    Each step that ends appends a signed entry to a chain, in which nothing can be altered or
    removed unnoticed; this tells what it finds. `verify NAME` looks through the files of each step
    too.

    Parameters
    ----------
    name : str
        The model's name.

    Returns
    -------
    History
        Each recorded step, oldest first.

    Raises
    ------
    UnknownName
        If nothing is recorded under that name.
    """
    events = store.history.events(name)
    if not events:
        raise store.history.unknown(name)
    found = custody.check(name, deep=False)
    return History(
        name=name,
        events=tuple(events),
        intact=not found.problems,
        problems=found.problems,
        head=found.head,
        warnings=found.unknown,
    )
