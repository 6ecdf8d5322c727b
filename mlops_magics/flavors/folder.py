"""A model at rest: the folder that MLflow wrote, read without MLflow."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops_magics.errors import BadData
from mlops_magics.flavors.predictors import Input, Param

#: Left by tools in a model's folder, and no part of the model.
NOT_THE_MODEL = ("__pycache__", "registered_model_meta")


@dataclass(frozen=True, kw_only=True)
class ModelFolder:
    """What the ``MLmodel`` file says.

    Attributes
    ----------
    flavors : mapping
        Each of MLflow's flavors in which the model can be loaded, with its settings.
    inputs, parameters : tuple
        The signature; empty when the model was saved without one.
    output : str
        The type of what comes out, where the signature says it.
    example : Path or None
        The file of the input example.
    metadata : mapping
        What was said about the model when it was saved.
    """

    path: Path
    flavors: Mapping[str, Mapping[str, Any]]
    inputs: tuple[Input, ...] = ()
    parameters: tuple[Param, ...] = ()
    output: str = ""
    example: Path | None = None
    mlflow_version: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def loader_module(self) -> str:
        """The module that MLflow's own generic loader would use."""
        return str(self.flavors.get("python_function", {}).get("loader_module", ""))

    @property
    def code(self) -> Path | None:
        """The user's own modules, which MLflow copied beside the model."""
        named = (str(flavor["code"]) for flavor in self.flavors.values() if flavor.get("code"))
        return next((self.path / name for name in named), None)


def read(path: Path) -> ModelFolder:
    """Read the ``MLmodel`` file of a folder.

    Raises
    ------
    BadData
        If there is none or it can't be read.
    """
    import yaml

    file = path / "MLmodel"
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        signature = content.get("signature") or {}
        example = content.get("saved_input_example_info") or {}
        return ModelFolder(
            path=path,
            flavors=content["flavors"],
            inputs=tuple(_input(spec) for spec in _json(signature.get("inputs"))),
            parameters=tuple(_param(spec) for spec in _json(signature.get("params"))),
            output=", ".join(_input(spec).type for spec in _json(signature.get("outputs"))),
            example=path / example["artifact_path"] if "artifact_path" in example else None,
            mlflow_version=str(content.get("mlflow_version", "")),
            metadata=content.get("metadata") or {},
        )
    except FileNotFoundError as error:
        raise BadData(
            f"{path} is no saved model: it has no file MLmodel.", "Name a folder MLflow saved."
        ) from error
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise BadData(f"{file} can't be read ({type(error).__name__}: {error}).") from error


def _json(text: str | None) -> list[dict[str, Any]]:
    parsed = json.loads(text) if text else []
    return parsed if isinstance(parsed, list) else [parsed]


def _input(spec: Mapping[str, Any]) -> Input:
    if spec["type"] == "tensor":
        tensor = spec["tensor-spec"]
        return Input(spec.get("name"), tensor["dtype"], True, tuple(tensor["shape"]))
    return Input(spec.get("name"), spec["type"], bool(spec.get("required", True)))


def _param(spec: Mapping[str, Any]) -> Param:
    return Param(spec["name"], spec.get("type", ""), spec.get("default"))


def digest(path: Path) -> str:
    """``sha256:…`` over a folder's files: their names, sorted, and their content.

    Times, permissions and files that tools leave behind do not count.
    """
    whole = hashlib.sha256()
    for name, file in files(path):
        content = hashlib.sha256()
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                content.update(chunk)
        whole.update(f"{name}\0{content.hexdigest()}\n".encode())
    return f"sha256:{whole.hexdigest()}"


def files(path: Path) -> Iterator[tuple[str, Path]]:
    """A folder's files by their names in it, sorted; without what tools leave behind."""
    found = {f.relative_to(path).as_posix(): f for f in path.rglob("*") if f.is_file()}
    for name in sorted(found):
        if not any(part in NOT_THE_MODEL for part in name.split("/")):
            yield name, found[name]
