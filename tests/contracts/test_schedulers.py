"""The schedulers of this package keep the contract that they ask of others."""

from __future__ import annotations

from collections.abc import Mapping

from mlops_magics import plugins
from mlops_magics.schedulers.airflow import AirflowScheduler
from mlops_magics.schedulers.cron import CronScheduler
from mlops_magics.schedulers.github import GithubScheduler
from mlops_magics.schedulers.kubernetes import KubernetesScheduler
from mlops_magics.schedulers.systemd import SystemdScheduler
from mlops_magics.testing import SchedulerContract
from tests.schedulers import reading


class TestAirflow(SchedulerContract):
    scheduler_class = AirflowScheduler

    def script(self, files: Mapping[str, str]) -> str:
        return reading.airflow(files)


class TestCron(SchedulerContract):
    scheduler_class = CronScheduler

    def script(self, files: Mapping[str, str]) -> str:
        return reading.cron(files)


class TestGithub(SchedulerContract):
    scheduler_class = GithubScheduler

    def script(self, files: Mapping[str, str]) -> str:
        return reading.github(files)


class TestKubernetes(SchedulerContract):
    scheduler_class = KubernetesScheduler
    options: Mapping[str, str] = {"image": "registry.example/credit:1"}

    def script(self, files: Mapping[str, str]) -> str:
        return reading.kubernetes(files)


class TestSystemd(SchedulerContract):
    scheduler_class = SystemdScheduler

    def script(self, files: Mapping[str, str]) -> str:
        return reading.systemd(files)


def test_every_registered_scheduler_is_tested_here() -> None:
    tested = {kind.scheduler_class for kind in SchedulerContract.__subclasses__()}
    assert {plugins.load("scheduler", n) for n in plugins.names("scheduler")} <= tested
