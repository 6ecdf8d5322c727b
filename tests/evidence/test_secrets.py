"""What looks like a secret is masked wherever it stands, and nothing else is."""

from __future__ import annotations

import html
import json
from urllib.parse import quote

import pytest

from mlops_magics.evidence import secrets

VALUE = "s3cr\"et & <x>'ü"


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "DB_PASSWORD",
        "apiKey",
        "api_key",
        "AWS_SECRET_ACCESS_KEY",
        "token",
        "HF_TOKEN",
        "client_secret",
        "connectionString",
        "auth",
        "privateKey",
        "x-api-key",
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert secrets.names_secret(name)


@pytest.mark.parametrize(
    "name",
    ["max_tokens", "tokenizer", "key", "keys", "author", "passenger", "compass", "secretary", "n"],
)
def test_other_names(name: str) -> None:
    assert not secrets.names_secret(name)


def test_mask_by_name() -> None:
    given = {"n": 1, "token": "abc", "password": 7, "db": {"pwd": "x", "host": "h"}, "auth": ""}
    assert secrets.mask(given) == {
        "n": 1,
        "token": secrets.MASK,
        "password": secrets.MASK,
        "db": {"pwd": secrets.MASK, "host": "h"},
        "auth": "",
    }


def test_every_spelling_of_a_value() -> None:
    masker = secrets.Masker({"password": VALUE}, environment={})
    spellings = [
        VALUE,
        repr(VALUE),
        json.dumps(VALUE),
        json.dumps({"a": VALUE}, ensure_ascii=False),
        html.escape(VALUE),
        quote(VALUE, safe=""),
    ]
    for spelled in spellings:
        masked = masker({"text": [f"before {spelled} after"]}, "here")["text"][0]
        assert "s3cr" not in masked
        assert masked.startswith("before ")
        assert masked.endswith(" after")
    assert masker.places == {"here": len(spellings)}


def test_values_of_the_environment() -> None:
    masker = secrets.Masker(environment={"GITHUB_TOKEN": "ghp_abcdef123", "LANG": "en_US.UTF-8"})
    assert (
        masker("clone with ghp_abcdef123 in en_US.UTF-8")
        == f"clone with {secrets.MASK} in en_US.UTF-8"
    )


@pytest.mark.parametrize("value", ["", "true", "12345", "abc", "False", "disabled"])
def test_common_values_are_not_replaced_everywhere(value: str) -> None:
    masker = secrets.Masker({"auth": value}, environment={"USE_TOKEN": value})
    text = f"x = {value} and more"
    assert masker(text) == text
    assert not masker.places


def test_the_working_directory_is_no_secret() -> None:
    """``PWD`` is a folder and no password, and it stands in every traceback."""
    masker = secrets.Masker(environment={"PWD": "/home/ada/project", "SSH_AUTH_SOCK": "/run/agent"})
    assert masker("/home/ada/project /run/agent") == "/home/ada/project /run/agent"


def test_keys_and_numbers_are_left_alone() -> None:
    masker = secrets.Masker({"password": "outputs"}, environment={})
    assert masker({"outputs": [1, None, "outputs"]}) == {"outputs": [1, None, secrets.MASK]}


def test_longer_values_first() -> None:
    masker = secrets.Masker({"password": "abcdef", "token": "abcdefghij"}, environment={})
    assert masker("abcdefghij") == secrets.MASK
