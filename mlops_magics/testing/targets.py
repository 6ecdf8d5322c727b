"""What every deployment target must do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlops_magics.records import Package
    from mlops_magics.targets.base import Target


class TargetContract:
    """What every target must do with a package.

    The tests take the fixture `package` (a `records.Package` of the kind that the target takes, of
    a small model with an input example), which the subclass or its module provides, and run in a
    project folder of their own.

    Attributes
    ----------
    target_class : type
        What the entry point names.
    """

    target_class: type[Target]

    def target(self) -> Target:
        """The target; override where its class needs arguments."""
        return self.target_class()

    def options(self, folder: Path) -> Mapping[str, str]:
        """What the target is told; override where it can't do without."""
        return {}

    def question(self, package: Package) -> tuple[bytes, Any]:
        """The package's input example as a body, and what is to be answered."""
        from mlops_magics.serving import manifest

        return manifest.example(Path(package.path)), manifest.answers(Path(package.path))

    def liar(self, package: Package, folder: Path) -> Package:
        """The package, but with other answers recorded than its model's."""
        import json
        import shutil
        from dataclasses import replace

        from mlops_magics.serving import manifest

        shutil.copytree(package.path, folder)
        (folder / manifest.ANSWERS).write_text(json.dumps({"predictions": ["something else"]}))
        files = manifest.hashes(folder)
        made = manifest.read(Path(package.path))
        replace(made, files=files, digest=manifest.overall(files)).write(folder)
        return replace(package, path=str(folder), digest=manifest.overall(files))

    def is_left(self, folder: Path, asked: list[str]) -> bool:
        """Whether something runs of what failed, by the URLs that were asked meanwhile.

        Override where the target has no URLs; `folder` is the one that `options` was given.
        """
        from mlops_magics.serving import client

        assert asked, "Nothing was asked, so nothing was tested."
        return any(client.ping(url) for url in asked)

    def test_from_up_to_stopped(self, package: Package, tmp_path: Path) -> None:
        """It answers as the package says, tells how it is, and is gone when it was stopped."""
        target, options = self.target(), self.options(tmp_path)
        target.check(options)
        body, answers = self.question(package)
        capture = tmp_path / "capture.db"
        deployment = target.deploy(package, name="contract", capture=capture, options=options)
        try:
            assert deployment.name == "contract"
            assert deployment.model == package.model
            assert deployment.target == target.to
            assert deployment.status == "up"
            assert deployment.url
            assert target.status(deployment).status == "up"
            reply = target.ask(deployment, body)
            assert (reply.status, reply.content) == (200, answers)
            assert isinstance(target.logs(deployment), str)
        finally:
            stopped = target.undeploy(deployment)
        assert stopped.status == "stopped"
        seen = target.status(deployment)
        assert seen.status == "down"
        assert seen.reason
        assert target.undeploy(deployment).status == "stopped"  # gone already: no error

    def test_a_record_of_it_is_all_that_another_process_needs(
        self, package: Package, tmp_path: Path
    ) -> None:
        """Written down and read again, it is still the same deployment."""
        import json

        from mlops_magics.records import Deployment

        options = self.options(tmp_path)
        deployment = self.target().deploy(package, name="contract", options=options)
        known = {k: v for k, v in json.loads(deployment.to_json()).items() if k != "kind"}
        known["warnings"] = tuple(known.get("warnings", ()))
        again = Deployment(**{k: v for k, v in known.items() if k in deployment.__dict__})
        try:
            assert self.target().status(again).status == "up"
        finally:
            assert self.target().undeploy(again).status == "stopped"
        assert self.target().status(deployment).status == "down"

    def test_a_second_version(self, package: Package, tmp_path: Path) -> None:
        """It stands beside the deployed one and ends, or the target says that it can't."""
        import pytest

        from mlops_magics.errors import WrongUsage
        from mlops_magics.records import Deployment
        from mlops_magics.targets.base import Split

        target, options = self.target(), self.options(tmp_path)
        shadow = Split(kind="shadow")
        if not target.can_split:
            alone = Deployment(
                name="contract", model=package.model, target=target.to, url="", status="up"
            )
            with pytest.raises(WrongUsage, match="can't share requests"):
                target.split(alone, package, shadow)
            assert target.unsplit(alone) == alone
            return
        deployment = target.deploy(package, name="contract", options=options)
        try:
            both = target.split(deployment, package, shadow)
            assert (both.canary["model"], both.canary["kind"]) == (package.model, "shadow")
            assert target.status(both).canary["status"] == "on"
            assert target.unsplit(both).canary == {}
            assert target.unsplit(deployment).canary == {}  # gone already: no error
            assert target.status(deployment).status == "up"
        finally:
            target.undeploy(deployment)

    def test_an_option_that_it_does_not_have(self) -> None:
        """Every option is told by name, and what is none of them is refused."""
        import pytest

        from mlops_magics.errors import UnknownName

        target = self.target()
        assert all(name and text for name, text in target.options.items())
        with pytest.raises(UnknownName, match="no_such_option"):
            target.check({"no_such_option": "1"})

    def test_what_fails_its_smoke_test_is_not_left_running(
        self, package: Package, tmp_path: Path
    ) -> None:
        """A package whose recorded answers are others than its model's is refused."""
        import pytest

        from mlops_magics.errors import MlopsError
        from mlops_magics.serving import client

        liar = self.liar(package, tmp_path / "liar")
        asked: list[str] = []
        real = client.ask

        def noted(url: str, *arguments: Any, **options: Any) -> client.Reply:
            asked.append(url)
            return real(url, *arguments, **options)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(client, "ask", noted)
            with pytest.raises(MlopsError, match="smoke test"):
                self.target().deploy(liar, name="contract", options=self.options(tmp_path))
        assert not self.is_left(tmp_path, asked)
