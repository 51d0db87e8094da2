"""The options of `sweep`: what they accept, and what they say of the rest."""

import json

import pytest

from benchmark.cli import main

PLAN = ("sweep", "plan", "--arch", "MobileNetV2", "--task", "diagnosis", "--budget", "smoke")
DATA = ("--data-option", "images=54", "--data-option", "size=64")


@pytest.fixture(autouse=True)
def _signals_are_left_alone(monkeypatch):
    monkeypatch.setattr("benchmark.common.interrupt.heed", lambda: None)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ((*PLAN, "--seeds", "0..4"), "write 0-4, or 0,3,7-9"),
        ((*PLAN, "--seeds", "0,4-1"), "4-1 is empty, write 1-4"),
        ((*PLAN, "--cpus", "0"), "write a whole number such as 4"),
        ((*PLAN, "--gpus", "2"), "write 1, 0 or a part of one such as 0.5"),
        (("sweep", "run", "plan.jsonl", "--shard", "5/4"), "write 1/4 to 4/4"),
        (("sweep", "run", "plan.jsonl", "--shard", "0/4"), "write 1/4 to 4/4"),
        (("sweep", "run", "plan.jsonl", "--time-limit", "90"), "write 90m, 3h or 30s"),
        (("sweep", "run", "plan.jsonl", "--time-limit", "0h"), "write 90m, 3h or 30s"),
    ],
)
def test_an_option_that_means_nothing_is_refused_with_an_example(arguments, hint, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert hint in capsys.readouterr().err


def test_a_plan_that_is_not_there_is_refused(tmp_path, capsys):
    assert main(["sweep", "run", str(tmp_path / "plan.jsonl")]) == 1
    assert "there is no plan" in capsys.readouterr().err


def test_a_plan_names_what_it_leaves_out_and_what_its_runs_may_cost(tmp_path, capsys):
    plan = tmp_path / "plan.jsonl"
    arguments = [*PLAN, *DATA, "--method", "cross-entropy,sall", "--seeds", "3,0-1"]
    assert main([*arguments, "--plan", str(plan), "--out", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert "3 runs; their cost is not known: no run like them is done" in said.out
    assert "left out, 3 runs: method sall trains one network for several diseases" in said.err
    assert "    MobileNetV2/torch/diagnosis/sall/synthetic/3,0,1" in said.err
    assert [json.loads(line)["seed"] for line in plan.read_text().splitlines()] == [3, 0, 1]


def test_a_plan_says_what_its_runs_need(tmp_path):
    plan = tmp_path / "plan.jsonl"
    arguments = [*PLAN, *DATA, "--cpus", "4", "--gpus", ".5", "--plan", str(plan)]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    line = json.loads(plan.read_text())
    assert (line["cpus"], line["gpus"]) == (4, 0.5)
