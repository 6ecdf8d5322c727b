"""Whatever words a job has, each scheduler's own reading of its file gives them back."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops_magics.errors import WrongUsage
from mlops_magics.schedulers import quoting
from mlops_magics.testing import SchedulerContract
from tests.contracts import test_schedulers as kinds

#: What means something to one of them, beside ordinary characters.
SPICE = st.text(st.sampled_from("%\\$'\"`{}()#;&|<>*?~! \n\ta0é"), max_size=14)
WORDS = st.lists(st.one_of(SPICE, st.text(max_size=10)), min_size=1, max_size=4)

CONTRACTS = [
    kinds.TestAirflow,
    kinds.TestCron,
    kinds.TestGithub,
    kinds.TestKubernetes,
    kinds.TestSystemd,
]


@pytest.mark.parametrize("contract", CONTRACTS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(words=WORDS)
def test_words_arrive(contract: type[SchedulerContract], words: list[str]) -> None:
    found = contract()
    with tempfile.TemporaryDirectory(prefix="it's 5% $of ") as folder:
        command = ("execute", *(w for w in words if w), "end")
        try:
            quoting.check(command)
        except WrongUsage:
            return
        assert found.ran(found.job(Path(folder), command, ("status",)))[1] == [command, ("status",)]


@pytest.mark.parametrize("word", ["a\n", "\x00", "a\rb", "\x1b[0m", "\u2028"])
def test_what_no_file_can_hold_is_refused(word: str) -> None:
    with pytest.raises(WrongUsage, match="can't stand in a scheduler's file"):
        quoting.check(["status", word])
