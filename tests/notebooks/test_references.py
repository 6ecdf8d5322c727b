"""A parameter that says where its value lies."""

from __future__ import annotations

from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from mlops_magics.errors import WrongUsage
from mlops_magics.evidence import secrets
from mlops_magics.notebooks import handing, kernels, parameters, references, running


def test_variables_files_and_texts_that_only_look_like_them(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_TOKEN", "from-the-variable")
    (project / "key.pem").write_text("-----BEGIN-----\nabc\n-----END-----\n")
    given = {
        "token": "env:API_TOKEN",
        "key": "file:key.pem",
        "text": "env::API_TOKEN",
        "data": "file:///data/loans.csv",
        "depth": 3,
    }
    values, referred = references.resolve(given)
    assert values == {
        "token": "from-the-variable",
        "key": "-----BEGIN-----\nabc\n-----END-----",
        "text": "env:API_TOKEN",
        "data": "file:///data/loans.csv",
        "depth": 3,
    }
    assert referred == {"token": "env:API_TOKEN", "key": "file:key.pem"}


@pytest.mark.parametrize("text", ["env:A", "env::A", "file:x", "file::x", "file:///x", "a:b", ""])
def test_what_is_escaped_arrives_as_it_is(text: str) -> None:
    assert references.resolve({"a": references.escape(text)}) == ({"a": text}, {})


def test_what_is_not_there_is_one_sentence(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "from-the-variable")
    monkeypatch.setenv("EMPTY_ONE", " ")
    (project / "key.pem").write_text("x")
    (project / "picture.png").write_bytes(b"\x89PNG\xff")
    with pytest.raises(WrongUsage, match=r"no such environment variable. Did you mean 'API_TOKEN'"):
        references.resolve({"token": "env:API_TOKN"})
    with pytest.raises(WrongUsage, match=r"write env::API_TOKN for that text itself"):
        references.resolve({"token": "env:API_TOKN"})
    with pytest.raises(WrongUsage, match=r"'key' is file:kye.pem, .* Did you mean 'key.pem'"):
        references.resolve({"key": "file:kye.pem"})
    with pytest.raises(WrongUsage, match="is env:EMPTY_ONE, which is empty"):
        references.resolve({"token": "env:EMPTY_ONE"})
    with pytest.raises(WrongUsage, match=r"no UTF-8 text"):
        references.resolve({"key": "file:picture.png"})


def test_the_type_is_that_of_the_value_and_no_message_shows_it() -> None:
    notebook = new_notebook(
        cells=[new_code_cell("pin: int = 0\nany_token = None", metadata={"tags": ["parameters"]})]
    )
    refs = {"pin": "env:PIN", "any_token": "env:T"}
    checked = parameters.check(notebook, {"pin": "918273", "any_token": "0123"}, "python", refs)
    assert checked == {"pin": 918273, "any_token": "0123"}
    with pytest.raises(WrongUsage) as caught:
        parameters.check(notebook, {"pin": "hunter22"}, "python", refs)
    assert "'pin' is int, and the value of env:PIN is not" in str(caught.value)
    assert "hunter22" not in str(caught.value)


def test_a_secret_that_looks_like_a_reference_is_masked_all_the_same() -> None:
    notebook = new_notebook(
        cells=[new_code_cell("password = ''\nnote = ''", metadata={"tags": ["parameters"]})]
    )
    plan = running.Plan(
        notebook=notebook,
        kernel=kernels.find(notebook),
        params={"password": "env:hunter22", "note": "env:all"},
    )
    assert plan.hidden == {"password": secrets.MASK}
    assert plan.written == {"password": secrets.MASK, "note": "env::all"}


def test_other_languages_are_told_by_a_comment_and_assigned_silently() -> None:
    assert handing.lines({"key": "env:K"}, "ir", "r") == "# key is secret, from env:K\n"
    assert 'key = "v"\n' in handing.code({"key": "v"}, "ir", "r")


def test_what_is_too_short_to_be_masked_is_said() -> None:
    params = {"pin": 1234, "token": "long enough", "depth": 1}
    (said,) = references.unseen(params, {"pin": "env:PIN", "token": "env:T"})
    assert "'pin' is so short" in said
