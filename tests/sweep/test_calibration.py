"""What is run to know what a plan costs, how it is kept, and what becomes of what fails."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.errors import UserError
from benchmark.records.store import Store
from benchmark.sweep import calibration, measured
from benchmark.sweep.cost import Costs
from benchmark.sweep.local import LocalExecutor

sys.path.insert(0, str(Path(__file__).parent))
made = importlib.import_module("made_runs")
sys.path.insert(0, str(Path(__file__).parent.parent / "records"))
record = importlib.import_module("records_made").record

PLAN = [
    made.run(arch, images, method=method, epochs=8, seed=seed)
    for arch in ("VGG16", "MobileNet", "MobileNetV2")
    for images in made.IMAGES
    for method in ("cross-entropy", "supercon", "focal")
    for seed in range(2)
]
ROOT = Path(__file__).parents[2]
# Stands for the process of a run: makes a record of it, or says why not.
CHILD = """
import importlib, json, sys
sys.path[:0] = [{tests!r}]
record = importlib.import_module("records_made").record
from benchmark.records.store import Store
order = json.loads(sys.stdin.readline())
config = order["config"]
with open(order["events"], "a") as events:
    if config["method"] == {failing!r}:
        print(json.dumps({{"ending": "refused", "reason": "no such thing"}}), file=events)
        sys.exit(65)
    made = record(
        "r" + sys.argv[-1], "accuracy", {{}}, config,
        seconds={{"training": 4.0}}, hardware={{"processor": "p", "cores": 2}},
    )
    Store(order["out"]).save(made)
    print(json.dumps({{"ending": "done", "run_id": made.run_id}}), file=events)
"""


def _known(runs):
    costs = Costs()
    for run in runs:
        costs.add(made.measured(run))
    return costs


def _calibrated(monkeypatch, out, runs, costs, failing="", stop_after=None):
    """Calibrate with processes that only pretend; how many were started."""
    script = CHILD.format(tests=str(ROOT / "tests" / "records"), failing=failing)
    command = [sys.executable, "-c", script]
    started = []

    class Pretending(LocalExecutor):
        def __init__(self, *arguments):
            super().__init__(*arguments, command=command)

        def start(self, run, files, overwrite):
            started.append(run)
            if len(started) == stop_after:
                scheduler.stop()
            return super().start(run, files, overwrite)

    monkeypatch.setattr(calibration, "LocalExecutor", Pretending)
    monkeypatch.setattr(calibration, "_decode", lambda runs: None)
    with calibration.begun(runs, out, costs, ()) as scheduler:
        scheduler.run()
    return started


def test_the_fewest_runs_that_tell_of_all_are_chosen_most_on_the_smallest_network():
    chosen = calibration.missing(PLAN, Costs())
    # Three networks, and beyond the first of each: two methods, one question.
    assert len(chosen) == 3 + 2 + 1
    assert sum(run.config.arch == "MobileNetV2" for run in chosen) == 4
    assert {run.config.recipe.epochs for run in chosen} == {calibration.EPOCHS}
    costs = _known(chosen)
    assert all(costs.estimate(run.config) for run in PLAN)
    assert calibration.missing(PLAN, costs) == []


def test_what_is_known_already_is_not_run_again():
    costs = _known([made.run("VGG16", epochs=3), made.run("VGG16", 120, method="focal", epochs=3)])
    chosen = calibration.missing(PLAN, costs)
    assert len(chosen) == 4
    for run in chosen:
        costs.add(made.measured(run))
    assert all(costs.estimate(run.config) for run in PLAN)


def test_each_framework_and_size_is_run_for_itself():
    both = [made.run(framework=framework, epochs=4) for framework in ("torch", "keras")]
    assert len(calibration.missing(both, Costs())) == 2
    larger = made.run(image_size=128, epochs=4)
    assert len(calibration.missing([larger], _known([made.run(epochs=4)]))) == 1


def test_a_run_of_fewer_epochs_is_run_as_it_is():
    run = made.run(epochs=2)
    assert calibration.missing([run], Costs()) == [run]


def test_what_was_measured_before_it_was_stopped_is_neither_lost_nor_repeated(
    monkeypatch, tmp_path
):
    runs = [made.run(seed=seed) for seed in range(3)]
    file = tmp_path / measured.CALIBRATION
    started = _calibrated(monkeypatch, tmp_path, runs, Costs(), stop_after=2)
    assert len(started) == 2
    kept = measured.kept(file)
    assert kept[0].seconds == {"training": 4.0}
    assert kept[0].wall > 0
    assert kept[0].processor == "p, 2"
    # No record, no folder of a run, nothing of the sweep.
    assert Store(tmp_path).run_ids() == []
    assert {path.name for path in file.parent.iterdir()} == {file.name, "calibration.lock"}
    costs = Costs.of_results(tmp_path)
    assert all(each.run_id in costs for each in kept)


def test_what_fails_is_told_and_the_others_are_measured(monkeypatch, tmp_path, capfd):
    runs = [made.run(method=method) for method in ("cross-entropy", "supercon", "focal")]
    costs = Costs()
    started = _calibrated(monkeypatch, tmp_path, runs, costs, failing="supercon")
    assert len(started) == 3
    told = capfd.readouterr().err
    assert "failed     MobileNetV2/torch/diagnosis/supercon/synthetic/0  no such thing" in told
    assert "about" in told
    assert len(measured.kept(tmp_path / measured.CALIBRATION)) == 2


@pytest.mark.parametrize("damaged", ['{"run_id": "r1", "config', "{}", '{"run_id": 1}'])
def test_a_damaged_line_is_named_with_what_to_do(tmp_path, damaged):
    file = tmp_path / measured.CALIBRATION
    measured.keep(file, made.measured(made.run()))
    with file.open("a") as lines:
        lines.write(damaged + "\n")
    with pytest.raises(UserError, match=r"calibration\.jsonl:2: .* delete it"):
        Costs.of_results(tmp_path)


def test_two_calibrations_of_one_folder_do_not_disturb_each_other(monkeypatch, tmp_path):
    lock = calibration.locks.take((tmp_path / measured.CALIBRATION).with_suffix(".lock"))
    with pytest.raises(UserError, match="another process calibrates"):
        _calibrated(monkeypatch, tmp_path, [made.run()], Costs())
    lock.release()


@pytest.mark.slow
def test_a_plan_is_calibrated_once_and_its_board_stays_empty(tmp_path):
    command = [
        *(sys.executable, "-m", "benchmark", "sweep", "plan", "--arch", "MobileNetV2"),
        *("--task", "diagnosis", "--method", "cross-entropy,focal", "--budget", "smoke"),
        *("--seeds", "0-2", "--data-option", "images=54", "--data-option", "size=64"),
        *("--calibrate", "--out", str(tmp_path), "--plan"),
    ]
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    for plan in (first, second):
        done = subprocess.run(
            [*command, str(plan)], capture_output=True, text=True, timeout=500, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "6 runs; about" in done.stdout
        assert done.stderr.count("done ") == (2 if plan == first else 0), done.stderr
    assert first.read_text() == second.read_text()
    lines = [json.loads(line) for line in first.read_text().splitlines()]
    assert {line["estimated_from"] for line in lines} == {"runs of these settings: 1"}
    assert Store(tmp_path).run_ids() == []
    kept = measured.kept(tmp_path / measured.CALIBRATION)
    assert kept
    assert all(each.start and each.seconds["training"] for each in kept)
