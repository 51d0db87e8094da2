"""Whole runs over two label fractions on the smoke budget."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import benchmark.data
from benchmark.cli import main
from benchmark.common.progress import SilentDisplay
from benchmark.errors import DataError, UserError
from benchmark.records.folder import RunFolder
from benchmark.records.record import Metric
from benchmark.run import run
from benchmark.running.guards import Guards
from benchmark.running.trial import TrialRunner
from tasks.given import Trial
from tasks.semi_supervised import SemiSupervised, SemiSupervisedOptions

SMALL = {"images": 72, "size": 96}


def _run(out, framework, **settings):
    task_options = {"label_fractions": "5,50", **settings.pop("task_options", {})}
    return run(
        "MobileNetV2",
        "semi-supervised",
        framework=framework,
        budget="smoke",
        dataset_options=SMALL,
        task_options=task_options,
        out=out,
        **settings,
    )


class _Heard(SilentDisplay):
    """Keeps what is said and counts the epochs; interrupts the run at a line that begins so."""

    def __init__(self, stop="never"):
        self.lines, self.epochs, self.stop = [], 0, stop

    def say(self, line):
        if line.startswith(self.stop):
            raise KeyboardInterrupt
        if not line.startswith("note"):
            self.lines.append(line)

    def epoch(self, *arguments):
        self.epochs += 1
        return super().epoch(*arguments)


def test_the_command_line_takes_the_options_of_the_task(monkeypatch, capsys):
    asked = {}

    def stopped(*_, task_options, **settings):
        asked.update(task_options)
        raise UserError("stopped")

    monkeypatch.setattr("benchmark.run.run", stopped)
    line = "run --arch Xception --task semi-supervised --label-fractions 5,10 --unlabelled a/b"
    assert main(line.split()) == 1
    assert asked == {"label_fractions": "5,10", "unlabelled": "a/b"}
    assert capsys.readouterr().err == "error: stopped\n"


@pytest.fixture(scope="module")
def whole_run(framework, tmp_path_factory, shared_cache):
    """One run of two fractions that the tests below look at."""
    out, display = tmp_path_factory.mktemp("results"), _Heard()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DERMBENCH_CACHE", str(shared_cache))
        return _run(out, framework, display=display), out, display


def test_a_run_records_every_fraction_and_their_area(whole_run):
    record, _, _ = whole_run
    few, half = record.trials
    assert (few.name, half.name) == ("labels-5", "labels-50")
    assert few.n_train < half.n_train
    assert few.n_train + few.n_unlabelled == half.n_train + half.n_unlabelled
    assert few.split_fingerprint == half.split_fingerprint
    assert few.labelled_fingerprint != half.labelled_fingerprint
    assert record.headline == "macro_f1_area"
    heights = [trial.metrics["macro_f1"].value for trial in record.trials]
    assert record.metrics["macro_f1_area"].value == pytest.approx(np.mean(heights))
    assert isinstance(record.metrics["macro_auc_at_50"], Metric)
    assert [note.split(":")[0] for note in record.notes if "with a label" in note] == [
        "labels-5",
        "labels-50",
    ]


def test_a_run_says_which_fraction_is_trained(whole_run):
    record, _, display = whole_run
    few, half = record.trials
    told = [line for line in display.lines if line.startswith("labels-")]
    assert told == [
        f"labels-5: {few.n_train} labelled, {few.n_unlabelled} unlabelled (1 of 2)",
        f"labels-50: {half.n_train} labelled, {half.n_unlabelled} unlabelled (2 of 2)",
    ]


def test_a_run_leaves_the_curve_and_a_frozen_split_of_its_seed(whole_run):
    record, out, _ = whole_run
    folder = RunFolder.of_record(out, record)
    assert folder.drawings()[0] == folder.path / "plots" / "label-fractions.png"
    table = pd.read_csv(folder.path / "label_fractions.csv", index_col="percent")
    assert folder.tables() == [folder.path / "label_fractions.csv"]
    assert table.at[5, "macro_f1"] == pytest.approx(record.metrics["macro_f1_at_5"].value)
    (frozen,) = out.glob("v1/splits/*/*.csv")
    assert frozen.name.endswith("-seed=0.csv")
    rows = pd.read_csv(frozen).groupby(["trial", "part"]).size()
    assert rows["labels-5", "unlabelled"] == record.trials[0].n_unlabelled


def test_a_run_that_was_stopped_trains_only_what_is_left(whole_run, framework, tmp_path):
    record, _, _ = whole_run
    with pytest.raises(KeyboardInterrupt):
        _run(tmp_path, framework, display=_Heard(stop="labels-50"))
    display = _Heard()
    again = _run(tmp_path, framework, display=display)
    assert [line for line in display.lines if "continuing" in line or "labelled" in line] == [
        *whole_run[2].lines[:1],
        "train: continuing after epoch 1",
        *whole_run[2].lines[1:2],
    ]
    assert display.epochs == 1
    assert again.run_id == record.run_id
    assert again.metrics == record.metrics


def test_a_run_with_a_folder_of_further_images_tells_no_path(framework, tmp_path, pool, whole_run):
    record = _run(tmp_path, framework, task_options={"unlabelled": str(pool)})
    assert record.run_id != whole_run[0].run_id
    assert record.trials[0].n_unlabelled == whole_run[0].trials[0].n_unlabelled + 3
    assert record.trials[0].test_fingerprint == whole_run[0].trials[0].test_fingerprint
    assert "anna" not in record.model_dump_json()
    assert record.config["task_options"]["unlabelled"] == "pool"
    (frozen,) = tmp_path.glob("v1/splits/*/*.csv")
    assert "unlabelled=" not in frozen.name
    assert "anna" not in frozen.read_text()


def test_a_file_of_the_folder_that_is_no_image_stops_the_run_before_training(
    framework, tmp_path, pool, monkeypatch
):
    (pool / "inner" / "e.jpg").write_bytes(b"no image")
    monkeypatch.setattr("benchmark.running.trial.make_engine", lambda *_: pytest.fail("trained"))
    with pytest.raises(DataError, match=r"e\.jpg") as caught:
        _run(tmp_path, framework, task_options={"unlabelled": str(pool)})
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("v1/splits/*/*"))


def test_another_seed_labels_other_images_of_the_same_split(framework, tmp_path, whole_run):
    guards = Guards.of_run(tmp_path, False, SilentDisplay())
    dataset = benchmark.data.load("synthetic", None, **SMALL)
    task = SemiSupervised(SemiSupervisedOptions(label_fractions="5,50"))
    options = {"label_fractions": "5,50"}
    first, second = (guards.split(task, dataset, dataset, options, seed) for seed in (0, 1))
    assert first.path != second.path
    for name in first.trials:
        one, other = Trial(name, **first.trials[name]), Trial(name, **second.trials[name])
        assert one.fingerprint == other.fingerprint == whole_run[0].trials[0].split_fingerprint
        assert one.labelled_fingerprint != other.labelled_fingerprint


@pytest.mark.parametrize(
    ("task", "options", "known"),
    [
        ("diagnosis", {}, set()),
        ("semi-supervised", {"label_fractions": "100"}, set()),
        ("semi-supervised", {"label_fractions": "50,100"}, {"labelled"}),
    ],
)
def test_what_is_labelled_is_part_of_the_run_id_only_where_not_all_is(
    task, options, known, framework, tmp_path, monkeypatch
):
    """The ids of runs whose images are all labelled were made without it."""
    asked = {}

    def stopped(config, protocol):
        asked.update(protocol)
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmark.run.run_id", stopped)
    settings = {"framework": framework, "budget": "smoke", "dataset_options": SMALL}
    with pytest.raises(KeyboardInterrupt):
        run("MobileNetV2", task, task_options=options, out=tmp_path, **settings)
    earlier = {"weights", "task_version", "data", "splits", "pretraining"}
    assert set(asked) == earlier | known
    if known:
        half, whole = asked["labelled"]
        assert len(half) == 64
        assert whole == ""


def _predicted(out):
    (path,) = out.glob("v1/runs/*/labels-5/predictions.csv")
    return path.read_bytes()


@pytest.mark.slow
def test_labels_that_are_hidden_are_out_of_reach_of_a_real_network(
    framework, tmp_path, monkeypatch
):
    """As of every method with a network of points, and that labels that are known are not."""
    whole = TrialRunner.run

    def poison(part):
        def run_poisoned(self, dataset, trial, earlier):
            labels, chosen = dataset.table["label"].copy(), list(getattr(trial, part))
            labels[chosen] = (labels[chosen] + 1) % len(dataset.classes)
            table = dataset.table.assign(label=labels)
            return whole(self, replace(dataset, table=table), trial, earlier)

        monkeypatch.setattr(TrialRunner, "run", run_poisoned)

    asked = {"method": "isdl-plus", "epochs": 2, "task_options": {"label_fractions": "5"}}
    _run(tmp_path / "true", framework, **asked)
    poison("unlabelled")
    _run(tmp_path / "poisoned", framework, **asked)
    assert _predicted(tmp_path / "poisoned") == _predicted(tmp_path / "true")
    poison("train")
    _run(tmp_path / "mislabelled", framework, **asked)
    assert _predicted(tmp_path / "mislabelled") != _predicted(tmp_path / "true")
