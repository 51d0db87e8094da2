"""What a run gets of a Ray cluster's nodes, and addresses at which there is no cluster."""

import json
import socket
import sys
import time

import pytest

from benchmark.cli import main
from benchmark.errors import UserError
from benchmark.sweep import ray_cluster
from benchmark.sweep.plan import Asked, Needs, planned
from benchmark.sweep.ray_cluster import Node, resolved

SMALL, LARGE, GPUS = Node("a", "a", 4, 0), Node("b", "b", 16, 0), Node("c", "c", 16, 4)


def _run(device="auto", **needs):
    run = planned(Asked(arch="MobileNetV2", task="diagnosis", budget="smoke", device=device))
    return type(run)(run.id, run.asked, run.config, None, Needs(**needs))


@pytest.mark.parametrize(
    ("run", "nodes", "jobs", "cpus", "gpus"),
    [
        (_run(), [LARGE], None, 16, 0),
        (_run(), [LARGE, SMALL], None, 4, 0),
        (_run(), [LARGE, LARGE], 8, 4, 0),
        (_run(), [LARGE], 64, 1, 0),
        (_run(), [GPUS, LARGE], None, 4, 1),
        (_run(), [GPUS], 2, 8, 1),
        (_run(), [GPUS], 64, 4, 1),
        (_run(device="cpu"), [GPUS], None, 16, 0),
        (_run(gpus=0.5), [GPUS], None, 2, 0.5),
        (_run(cpus=3), [GPUS, SMALL], None, 3, 1),
        (_run(cpus=2, gpus=0), [GPUS], None, 2, 0),
    ],
)
def test_a_run_gets_what_its_plan_says_and_else_its_share(run, nodes, jobs, cpus, gpus):
    assert resolved(run, nodes, jobs) == Needs(cpus=cpus, gpus=gpus)


@pytest.mark.parametrize(("cpus", "gpus", "held"), [(4, 0, 4), (3, 1, 4), (6, 1, 2), (1, 0.5, 8)])
def test_a_node_does_as_many_runs_as_it_has_room_for(cpus, gpus, held):
    assert GPUS.holds(Needs(cpus=cpus, gpus=gpus)) == held


@pytest.mark.parametrize("needs", [{"cpus": 17}, {"gpus": 1.0}])
def test_a_run_that_no_node_can_do_is_refused(needs):
    with pytest.raises(UserError, match=r"no node has as many \(they have 16 and 0, 4 and 0\)"):
        resolved(_run(**needs), [SMALL, LARGE], None)


# How a cluster is joined.


def test_without_ray_the_command_that_installs_it_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    plan = tmp_path / "plan.jsonl"
    plan.write_text(json.dumps({"arch": "MobileNetV2", "task": "diagnosis"}) + "\n")
    for address in ("local", "auto"):
        assert main(["sweep", "run", str(plan), "--out", str(tmp_path), "--ray", address]) == 1
        assert capsys.readouterr().err.count("pip install 'dermbench[ray]'") == 1


@pytest.mark.parametrize("address", ["head", "ray://head:10001", "head:port", ":1"])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(UserError, match="write local, auto or HOST:PORT"):
        ray_cluster._require_reachable(address)


def test_where_nothing_answers_the_sweep_does_not_wait(monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(UserError, match=rf"127.0.0.1:{port}: nothing answers.*ray start"):
            ray_cluster._require_reachable(f"127.0.0.1:{port}")


def test_what_answers_and_is_no_cluster_is_given_up(monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setattr(ray_cluster, "_JOIN_SECONDS", 3.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        began = time.monotonic()
        with pytest.raises(UserError, match=f"127.0.0.1:{port}: no answer in 3 s"):
            ray_cluster._require_reachable(f"127.0.0.1:{port}")
    assert time.monotonic() - began < 12
