"""A sealed notebook, and everything that can be done to it."""

from __future__ import annotations

import copy
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_magics.errors import MlopsError, WrongUsage
from mlops_magics.evidence import keys, manifests, seal

Notebook = dict[str, Any]


def notebook() -> Notebook:
    """An executed notebook with every kind of cell and output."""
    return {
        "cells": [
            {"cell_type": "markdown", "id": "intro", "metadata": {}, "source": "# Title\n\nText"},
            {
                "cell_type": "code",
                "id": "one",
                "metadata": {"tags": ["parameters"], "collapsed": False},
                "execution_count": 1,
                "source": "x: int = 2\nprint('x', x)",
                "outputs": [{"output_type": "stream", "name": "stdout", "text": "x 2\ny\n"}],
            },
            {
                "cell_type": "code",
                "id": "two",
                "metadata": {"scrolled": True, "jupyter": {"outputs_hidden": True}},
                "execution_count": 2,
                "source": "x",
                "outputs": [
                    {
                        "output_type": "execute_result",
                        "execution_count": 2,
                        "metadata": {},
                        "data": {
                            "text/plain": "2",
                            "text/html": "<b>2</b>\n<i>ü</i>",
                            "application/json": {"a": [1, 2.0, "x\n", "y"]},
                        },
                    }
                ],
            },
            {
                "cell_type": "code",
                "id": "three",
                "metadata": {},
                "execution_count": 3,
                "source": "1/0",
                "outputs": [
                    {
                        "output_type": "error",
                        "ename": "ZeroDivisionError",
                        "evalue": "division by zero",
                        "traceback": ["line 1", "line 2"],
                    }
                ],
            },
        ],
        "metadata": {
            "kernelspec": {"name": "python3", "display_name": "Python 3"},
            "vscode": {"interpreter": "abc"},
            "mlops": {"record": {"event": "e1", "verb": "execute", "who": {"actor": "ada"}}},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys") / "keys"


@pytest.fixture(scope="module")
def sealed(folder: Path) -> Notebook:
    return seal.sign(notebook(), keys.signer(folder), "audited.ipynb")


@pytest.fixture
def copied(sealed: Notebook) -> Notebook:
    return copy.deepcopy(sealed)


def found(notebook: Notebook, folder: Path) -> seal.Finding:
    return seal.verify(notebook, keys.trusted(folder))


def test_intact(sealed: Notebook, folder: Path) -> None:
    finding = found(json.loads(json.dumps(sealed)), folder)
    assert finding.intact
    assert finding.problems == ()
    assert finding.trusted == "own key"
    assert finding.cells == 4
    assert finding.sealed.endswith("Z")


def test_signing_leaves_the_given_notebook_alone(folder: Path) -> None:
    given_one = notebook()
    seal.sign(given_one, keys.signer(folder))
    assert given_one == notebook()


def test_is_a_standard_attestation(sealed: Notebook) -> None:
    statement = seal.statement(sealed)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"][0]["name"] == "audited.ipynb"
    assert len(statement["subject"][0]["digest"]["sha256"]) == 64
    envelope = sealed["metadata"]["mlops"]["seal"]["envelope"]
    assert envelope["payloadType"] == "application/vnd.in-toto+json"


def test_other_spellings_of_the_same_notebook(copied: Notebook, folder: Path) -> None:
    for cell in copied["cells"]:
        cell["source"] = cell["source"].splitlines(keepends=True)
        for output in cell.get("outputs", []):
            if "text" in output:
                output["text"] = output["text"].splitlines(keepends=True)
            if "data" in output:
                output["data"]["text/html"] = output["data"]["text/html"].splitlines(keepends=True)
                output["data"]["application/json"]["a"][1] = 2  # as JavaScript writes 2.0
    text = json.dumps(copied, indent=4, sort_keys=True, ensure_ascii=False)
    assert found(manifests.parse(text.encode()), folder).intact


def test_presentation_is_left_out(copied: Notebook, folder: Path) -> None:
    copied["cells"][1]["metadata"]["collapsed"] = True
    copied["cells"][2]["metadata"] = {}
    copied["metadata"].pop("vscode")
    copied["metadata"]["toc"] = {"base_numbering": 1}
    assert found(copied, folder).intact


def change(at: list[str | int], value: Any) -> Any:
    def apply(notebook: Notebook) -> None:
        target: Any = notebook
        for step in at[:-1]:
            target = target[step]
        target[at[-1]] = value

    return apply


ALTERATIONS = {
    "output": (
        change(["cells", 1, "outputs", 0, "text"], "x 3\ny\n"),
        ["Cell 2 ('one'): the outputs were changed."],
    ),
    "output in a JSON type": (
        change(["cells", 2, "outputs", 0, "data", "application/json"], {"a": [1, 2.0, "x\ny"]}),
        ["Cell 3 ('two'): the outputs were changed."],
    ),
    "output removed": (
        change(["cells", 3, "outputs"], []),
        ["Cell 4 ('three'): the outputs were changed."],
    ),
    "source": (
        change(["cells", 0, "source"], "# Tidle\n\nText"),
        ["Cell 1 ('intro'): the source was changed."],
    ),
    "count": (
        change(["cells", 2, "execution_count"], 7),
        ["Cell 3 ('two'): the execution count was changed."],
    ),
    "count of another type": (
        change(["cells", 1, "execution_count"], True),
        ["Cell 2 ('one'): the execution count was changed."],
    ),
    "tags": (
        change(["cells", 1, "metadata", "tags"], []),
        ["Cell 2 ('one'): its metadata was changed."],
    ),
    "source and outputs": (
        change(
            ["cells", 3],
            {**notebook()["cells"][3], "source": "1/1", "outputs": []},
        ),
        ["Cell 4 ('three'): the source was changed and the outputs were changed."],
    ),
    "type": (
        change(["cells", 0, "cell_type"], "raw"),
        ["Cell 1 ('intro'): its type was changed."],
    ),
    "record": (
        change(["metadata", "mlops", "record", "who"], {"actor": "eve"}),
        ["The record field 'who' was changed."],
    ),
    "record field added": (
        change(["metadata", "mlops", "record", "approved"], True),
        ["The record field 'approved' was added."],
    ),
    "record replaced": (
        change(["metadata", "mlops", "record"], "nothing"),
        [
            "The record field 'event' was removed.",
            "The record field 'record' was added.",
            "The record field 'verb' was removed.",
            "The record field 'who' was removed.",
        ],
    ),
    "kernel": (
        change(["metadata", "kernelspec"], {"name": "other"}),
        ["The metadata field 'kernelspec' was changed."],
    ),
    "format": (change(["nbformat_minor"], 4), ["The file field 'nbformat_minor' was changed."]),
    "beside the record": (
        change(["metadata", "mlops", "note"], "x"),
        ["The metadata field 'mlops.note' was added."],
    ),
    "id": (
        change(["cells", 3, "id"], "drei"),
        ["Cell 4 ('three') was removed.", "Cell 4 ('drei') was added."],
    ),
    "hidden key": (change(["evil"], 1), ["The file field 'evil' was added."]),
}


@pytest.mark.parametrize("name", ALTERATIONS)
def test_alteration_is_named(name: str, copied: Notebook, folder: Path) -> None:
    alter, expected = ALTERATIONS[name]
    alter(copied)
    finding = found(copied, folder)
    assert not finding.intact
    assert list(finding.problems) == expected


def test_cell_removed(copied: Notebook, folder: Path) -> None:
    del copied["cells"][1]
    assert found(copied, folder).problems == ("Cell 2 ('one') was removed.",)


def test_cell_added(copied: Notebook, folder: Path) -> None:
    extra = {"cell_type": "markdown", "id": "new", "metadata": {}, "source": "All is well."}
    copied["cells"].insert(2, extra)
    assert found(copied, folder).problems == ("Cell 3 ('new') was added.",)


def test_cells_reordered(copied: Notebook, folder: Path) -> None:
    copied["cells"].append(copied["cells"].pop(0))
    assert found(copied, folder).problems == ("Cell 1 ('intro') was moved: it now stands at 4.",)


def test_cell_repeated(copied: Notebook, folder: Path) -> None:
    copied["cells"].append(copy.deepcopy(copied["cells"][1]))
    assert found(copied, folder).problems == ("Cell 5 ('one') was added.",)


def test_cells_without_ids(folder: Path) -> None:
    old = notebook()
    old["nbformat_minor"] = 4
    for cell in old["cells"]:
        del cell["id"]
    made = seal.sign(old, keys.signer(folder))
    assert found(made, folder).intact
    made["cells"][2]["outputs"][0]["data"]["text/plain"] = "3"
    assert found(made, folder).problems == ("Cell 3: the outputs were changed.",)
    made["cells"][2]["id"] = "#2"
    assert not found(made, folder).intact


@pytest.mark.parametrize("cells", [None, 5, "x", {}, [1, None, [], {"id": []}]])
def test_nonsense_for_cells(cells: Any, copied: Notebook, folder: Path) -> None:
    copied["cells"] = cells
    finding = found(copied, folder)
    assert not finding.intact
    assert finding.problems


def test_no_seal(folder: Path) -> None:
    finding = found(notebook(), folder)
    assert not finding.intact
    assert finding.problems == ("It carries no seal.",)


@pytest.mark.parametrize("value", [None, 1, [], {}, {"envelope": {}, "public_key": "zz"}])
def test_broken_seal(value: Any, copied: Notebook, folder: Path) -> None:
    copied["metadata"]["mlops"]["seal"] = value
    assert not found(copied, folder).intact


def test_unknown_key_is_told_apart_from_altered(
    sealed: Notebook, copied: Notebook, tmp_path: Path
) -> None:
    keys.signer(tmp_path / "other")
    finding = found(sealed, tmp_path / "other")
    assert not finding.intact
    assert finding.problems == ()
    assert finding.trusted == ""
    copied["cells"][0]["source"] = "x"
    assert found(copied, tmp_path / "other").problems


def test_sealed_anew_by_someone_else(copied: Notebook, folder: Path, tmp_path: Path) -> None:
    copied["cells"][1]["outputs"][0]["text"] = "x 1000000\n"
    forged = seal.sign(copied, keys.signer(tmp_path / "forger"))
    finding = found(forged, folder)
    assert not finding.intact
    assert finding.trusted == ""


def test_a_forged_key_under_a_trusted_name(copied: Notebook, folder: Path, tmp_path: Path) -> None:
    """The forger shows the trusted key beside a signature of their own."""
    own = copied["metadata"]["mlops"]["seal"]["public_key"]
    forged = seal.sign(copied, keys.signer(tmp_path / "forger"))
    forged["metadata"]["mlops"]["seal"]["public_key"] = own
    assert "another key" in found(forged, folder).problems[0]
    signature = forged["metadata"]["mlops"]["seal"]["envelope"]["signatures"][0]
    signature["keyid"] = keys.signer(folder).public_key.keyid
    assert "signature does not fit" in found(forged, folder).problems[0]


def test_a_seal_of_another_notebook(copied: Notebook, folder: Path) -> None:
    other = notebook()
    other["cells"][0]["source"] = "# Another"
    copied["metadata"]["mlops"]["seal"] = seal.sign(other, keys.signer(folder))["metadata"][
        "mlops"
    ]["seal"]
    assert found(copied, folder).problems == ("Cell 1 ('intro'): the source was changed.",)


def test_a_signed_statement_about_something_else(copied: Notebook, folder: Path) -> None:
    from securesystemslib.dsse import Envelope

    signer = keys.signer(folder)
    envelope = Envelope(b'{"predicate": 1}', seal.PAYLOAD, {})
    envelope.sign(signer)
    copied["metadata"]["mlops"]["seal"]["envelope"] = envelope.to_dict()
    assert not found(copied, folder).intact


@pytest.mark.parametrize("place", ["envelope", "signature", "seal"])
def test_nothing_can_be_hidden_in_a_seal(place: str, copied: Notebook, folder: Path) -> None:
    made = copied["metadata"]["mlops"]["seal"]
    where = {
        "envelope": made["envelope"],
        "signature": made["envelope"]["signatures"][0],
        "seal": made,
    }[place]
    where["note"] = "approved"
    assert not found(copied, folder).intact


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{",
        b'{"a": 1, "a": 2}',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'\xff{"a": 1}',
        b'{"a": ' + b"[" * 100_000 + b"}",
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
)
def test_ambiguous_or_unreadable_files(text: bytes) -> None:
    with pytest.raises(manifests.UnreadableError):
        manifests.parse(text)


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_any_flipped_byte_is_found_or_is_layout(
    data: st.DataObject, sealed: Notebook, folder: Path
) -> None:
    whole = json.dumps(sealed, indent=1).encode()
    position = data.draw(st.integers(0, len(whole) - 1))
    flipped = bytearray(whole)
    flipped[position] ^= data.draw(st.integers(1, 255))
    try:
        content = manifests.parse(bytes(flipped))
    except manifests.UnreadableError:
        return
    if found(content, folder).intact:
        # What is left untold must be the same notebook but for presentation.
        assert manifests.manifest(content) == manifests.manifest(sealed)
        assert content["metadata"]["mlops"]["seal"] == sealed["metadata"]["mlops"]["seal"]


def test_the_key_is_made_once_and_private(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "keys"
    first = keys.signer(folder)
    assert keys.signer(folder).public_key == first.public_key
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "signing.pem").stat().st_mode) == 0o600
    assert keys.read_public(folder / "signing.pub").keyval == first.public_key.keyval


def test_processes_that_meet_make_one_key(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from mlops_magics.evidence import keys;"
        "print(keys.signer(pathlib.Path(sys.argv[1])).public_key.keyid)"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "keys")], stdout=subprocess.PIPE
        )
        for _ in range(4)
    ]
    said = {process.communicate()[0] for process in started}
    assert len(said) == 1
    assert said != {b""}


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    keys.signer(tmp_path)
    (tmp_path / "signing.pem").chmod(0o644)
    with pytest.raises(MlopsError, match="can be read by others"):
        keys.signer(tmp_path)


def test_a_damaged_key(tmp_path: Path) -> None:
    keys.signer(tmp_path)
    (tmp_path / "signing.pem").write_text("no key")
    with pytest.raises(MlopsError, match="not a private key"):
        keys.signer(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_can_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(MlopsError, match="can't be used"):
        keys.signer(tmp_path / "keys")


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("")
    with pytest.raises(MlopsError, match="can't be used"):
        keys.signer(tmp_path / "keys")


def test_trusting_a_colleague(sealed: Notebook, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "trusted").mkdir()
    (tmp_path / "trusted" / "ada.pub").write_text((folder / "signing.pub").read_text())
    finding = found(sealed, tmp_path)
    assert finding.intact
    assert finding.trusted == "ada"


def test_a_public_key_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "x.pub"
    file.write_text("hello")
    with pytest.raises(WrongUsage, match="not a public key"):
        keys.read_public(file)
    with pytest.raises(WrongUsage, match="can't be read"):
        keys.read_public(tmp_path / "y.pub")


def test_trust_makes_no_key(tmp_path: Path) -> None:
    assert keys.trusted(tmp_path / "none") == {}
    assert not (tmp_path / "none").exists()
