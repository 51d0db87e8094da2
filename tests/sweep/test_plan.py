"""The file of a sweep: written the same every time, read with suspicion."""

import json
from dataclasses import replace

import pytest

from benchmark.cli import main
from benchmark.errors import UserError
from benchmark.sweep import plan
from benchmark.sweep.plan import Asked, Estimate, Needs, planned


def _asked(**settings):
    return Asked(**{"arch": "MobileNetV2", "task": "diagnosis", "budget": "smoke", **settings})


def _written(path, *runs):
    plan.write(path, runs)
    return path.read_text().splitlines()


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / "plan.jsonl"
    settings = {"method_options": {"gamma": 2.0}, "image_size": (80, 96)}
    runs = [
        planned(_asked(method="focal", pretrain_on=("synthetic",), **settings)),
        planned(_asked(seed=3), Estimate(12.5, "runs of these settings: 1")),
    ]
    _written(path, *runs)
    again = plan.read(path)
    assert [(run.id, run.config, run.estimate) for run in again] == [
        (run.id, run.config, run.estimate) for run in runs
    ]
    assert again[0].name == "MobileNetV2/torch/diagnosis/focal/synthetic/0"


def test_a_path_may_hold_signs_that_end_lines_elsewhere(tmp_path):
    run = planned(_asked(dataset="folder", data_dir="/data/my\u2028images"))
    plan.write(tmp_path / "p", [run])
    assert [each.config for each in plan.read(tmp_path / "p")] == [run.config]


def test_a_line_says_what_is_asked_and_no_defaults(tmp_path):
    (line,) = _written(tmp_path / "plan.jsonl", planned(_asked()))
    assert list(json.loads(line)) == [
        *("id", "arch", "framework", "task", "method", "dataset", "budget", "seed")
    ]


def test_the_id_is_of_what_decides_the_result():
    ids = [
        planned(_asked(**settings)).id
        for settings in (
            *({}, {"seed": 1}, {"epochs": 3}, {"framework": "keras"}),
            {"method": "focal", "method_options": {"gamma": 3.0}},
        )
    ]
    assert len(set(ids)) == len(ids)
    assert planned(_asked(device="cpu")).id == ids[0]
    assert planned(_asked(dataset="synthetic")).id == ids[0]


def test_a_setting_that_came_later_and_is_not_used_changes_no_id():
    """Else nobody could go on with a plan after an update. The id is that of earlier plans."""
    asked = Asked(arch="MobileNetV2", task="diagnosis", budget="smoke")
    assert planned(asked).id == "pe878cea6521c"


def test_what_a_run_needs_is_in_its_line_and_not_in_its_id(tmp_path):
    run = replace(planned(_asked()), needs=Needs(cpus=4, gpus=0.5))
    (line,) = _written(tmp_path / "plan.jsonl", run)
    assert (json.loads(line)["cpus"], json.loads(line)["gpus"]) == (4, 0.5)
    assert [(each.id, each.needs) for each in plan.read(tmp_path / "plan.jsonl")] == [
        (planned(_asked()).id, run.needs)
    ]


def test_another_version_of_the_task_is_another_run(tmp_path, monkeypatch):
    _written(tmp_path / "plan.jsonl", planned(_asked()))
    monkeypatch.setattr("tasks.diagnosis.Diagnosis.version", "99")
    with pytest.raises(UserError, match="this DermBench reads it otherwise"):
        plan.read(tmp_path / "plan.jsonl")


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{", "Invalid JSON"),
        ("[]", "object"),
        ('{"task": "diagnosis"}', "arch is missing"),
        ('{"arch": "MobileNetV2", "task": "diagnosis", "seeds": 1}', "there is no setting 'seeds'"),
        ('{"arch": "MobileNetV2", "task": "diagnosis", "seed": "x"}', "seed: "),
        ('{"arch": "MobileNetV2", "task": "diagnosis", "cpus": 0}', "cpus: "),
        ('{"arch": "MobileNetV2", "task": "diagnosis", "gpus": 2}', "gpus: "),
        ('{"arch": "MobilNetV2", "task": "diagnosis"}', "did you mean MobileNetV2"),
        ('{"arch": "MobileNetV2", "task": "diagnosis", "method": "sall"}', "task grading"),
        (
            '{"id": "p000000000000", "arch": "MobileNetV2", "task": "diagnosis"}',
            "and not p000000000000: the line was edited",
        ),
        ('{"arch": "MobileNetV2", "task": "diagnosis", "budget": "smoke"}', "line 1 asks the same"),
    ],
)
def test_a_faulty_line_is_named_by_file_and_line(tmp_path, line, fault):
    path = tmp_path / "plan.jsonl"
    (good,) = _written(path, planned(_asked()))
    path.write_text(f"{good}\n\n{line}\n")
    with pytest.raises(UserError) as refused:
        plan.read(path)
    assert str(refused.value).startswith(f"{path}:3: ")
    assert fault in str(refused.value)


def test_a_plan_without_a_run_is_refused(tmp_path):
    (tmp_path / "plan.jsonl").write_text("\n")
    with pytest.raises(UserError, match="has no run"):
        plan.read(tmp_path / "plan.jsonl")
    with pytest.raises(UserError, match="there is no plan"):
        plan.read(tmp_path / "another.jsonl")


def test_an_edited_plan_is_not_written_over(tmp_path):
    path = tmp_path / "plan.jsonl"
    _written(path, planned(_asked()))
    _written(path, planned(_asked()))
    with pytest.raises(UserError, match="is another plan"):
        plan.write(path, [planned(_asked(seed=1))])


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 12])
def test_shards_partition_a_plan(parts):
    runs = [planned(_asked(seed=seed)) for seed in range(10)]
    dealt = [plan.shard(runs, part, parts) for part in range(1, parts + 1)]
    assert sorted(run.id for each in dealt for run in each) == sorted(run.id for run in runs)
    assert max(map(len, dealt)) - min(map(len, dealt)) <= 1


def test_runs_of_a_framework_that_is_not_here_are_planned_with_a_note(
    tmp_path, monkeypatch, capsys
):
    here = {"torch": "", "keras": "tensorflow"}
    monkeypatch.setattr("architectures.lacking", here.get)
    words = ["sweep", "plan", "--arch", "VGG16", "--task", "diagnosis", "--framework", "all"]
    words += ["--plan", str(tmp_path / "plan.jsonl"), "--out", str(tmp_path)]
    assert main(words) == 0
    told = capsys.readouterr()
    assert "2 runs" in told.out
    assert "note: runs in keras, 1 here, need tensorflow" in told.err
    assert "torch" not in told.err
