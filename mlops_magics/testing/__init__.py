"""Contract classes for plugin authors: subclass one in your tests, and it tests your plugin.

::

    from mlops_magics.testing import MetricContract

    class TestMyMetric(MetricContract):
        metric_class = MyMetric
"""

from mlops_magics.testing.alerts import AlertContract
from mlops_magics.testing.engines import EngineContract
from mlops_magics.testing.flavors import FlavorContract
from mlops_magics.testing.metrics import MetricContract
from mlops_magics.testing.schedulers import SchedulerContract
from mlops_magics.testing.targets import TargetContract

__all__ = [
    "AlertContract",
    "EngineContract",
    "FlavorContract",
    "MetricContract",
    "SchedulerContract",
    "TargetContract",
]
