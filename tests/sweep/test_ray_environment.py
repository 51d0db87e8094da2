"""What of the sweep's surroundings a run has on a node: threads, data, what others wrote."""

import os
import sys
from pathlib import Path

import pytest

from benchmark import plugins
from benchmark.registry import METHODS
from benchmark.running import trackers
from benchmark.sweep.plan import Asked, planned
from benchmark.sweep.ray_node import Order, Runner, _settle, sweep_environment
from benchmark.sweep.retries import Ending

PLUGIN = """\
from benchmark.methods.cross_entropy import CrossEntropy


class OfANode(CrossEntropy):
    name, summary = "of-a-node", "one"


DERMBENCH = {"methods": {"of-a-node": OfANode}}
"""


@pytest.fixture(autouse=True)
def _this_process_stays_where_it_is(monkeypatch):
    monkeypatch.chdir(os.curdir)
    # They are set for good where a run is, which here is this process.
    monkeypatch.setattr(os, "environ", os.environ.copy())


def _order(folder, environment):
    run = planned(Asked(arch="MobileNetV2", task="diagnosis", budget="smoke"))
    return Order(run, 1, False, folder / "home", b"running", str(folder), environment)


def test_a_node_has_the_sweeps_threads_and_its_own_data_folder(tmp_path, monkeypatch):
    for name, value in {"DERMBENCH_DATA": "own", "OMP_NUM_THREADS": "7"}.items():
        monkeypatch.setenv(name, value)
    environment = {"DERMBENCH_DATA": "theirs", "MKL_NUM_THREADS": "2"}
    _settle(_order(tmp_path, environment))
    assert os.environ["DERMBENCH_DATA"] == "own"
    assert os.environ["MKL_NUM_THREADS"] == "2"
    assert "OMP_NUM_THREADS" not in os.environ
    assert Path.cwd() == tmp_path


def test_a_node_has_what_others_wrote_and_tracks_where_the_sweep_does(tmp_path, monkeypatch):
    file = tmp_path / "zoo_of_a_node.py"
    file.write_text(PLUGIN)
    asked = {plugins.VARIABLE: str(file), trackers.VARIABLE: "mlflow"}
    os.environ.update(asked, MLFLOW_TRACKING_URI="http://there")
    environment = sweep_environment()
    for name in environment:
        del os.environ[name]
    monkeypatch.setattr(METHODS, "_loaded", dict(METHODS._loaded))
    monkeypatch.setattr(METHODS, "_files", {})
    try:
        _settle(_order(tmp_path, environment))
        assert METHODS.get("of-a-node").summary == "one"
    finally:
        sys.modules.pop(f"dermbench_plugin_{file.stem}", None)
    assert os.environ[trackers.VARIABLE] == "mlflow"
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://there"


def test_a_plugin_that_a_node_lacks_is_named(tmp_path):
    os.environ.pop(plugins.VARIABLE, None)
    lacking = {plugins.VARIABLE: str(tmp_path / "zoo.py")}
    end = Runner(None).run(_order(tmp_path, lacking))
    assert end.ending is Ending.REFUSED
    assert "zoo.py does not exist" in end.reason
