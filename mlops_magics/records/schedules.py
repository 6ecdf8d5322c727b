"""What was written for a scheduler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mlops_magics.records.base import Record


@dataclass(frozen=True, kw_only=True)
class Schedule(Record):
    """What a scheduler is to run. ``status``: ``written`` or ``removed``.

    Attributes
    ----------
    every, cron : str
        How often, as it was asked for; the same as a cron expression in UTC, empty where there is
        none. ``seconds`` is the span.
    kind : str
        The scheduler: ``cron``, ``systemd``, ``github``, ``airflow``, ``kubernetes``…
    path, files : str, tuple of str
        The file to look at; all of them.
    command : tuple of str
        What is run, in order.
    options : mapping
        What the scheduler was told besides.
    install : tuple of str
        What one types so that the scheduler takes the files; so that it forgets them, once they
        are ``removed``.
    since, next_run : str
        From when on it counts, and when it is to run next.
    """

    name: str
    every: str
    cron: str
    kind: str
    path: str
    command: tuple[str, ...]
    next_run: str
    status: str = "written"
    seconds: int = 0
    files: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    install: tuple[str, ...] = ()
    since: str = ""
    run_id: str = ""
