"""Estimates after calibration, beside real runs."""

import pytest

from benchmark.speed.costs import measure, plan
from benchmark.sweep.plan import Asked, planned


def test_the_plan_is_of_both_frameworks_and_several_networks_and_methods():
    configs = [run.config for run in plan()]
    assert {config.framework for config in configs} == {"torch", "keras"}
    assert len({config.arch for config in configs}) > 2
    assert len({config.method for config in configs}) > 2


@pytest.mark.slow
def test_a_run_is_estimated_and_done(tmp_path):
    asked = Asked(
        arch="MobileNetV2",
        task="diagnosis",
        dataset_options={"images": 60},
        image_size=65,
        epochs=4,
    )
    (found,) = measure([planned(asked)], tmp_path)
    assert found.run.startswith("MobileNetV2/torch/diagnosis")
    assert found.estimated > 0
    assert found.taken > 0
    assert found.factor >= 1
