"""Every task: its parts, its headline, its pictures. `test_explainability` has that task's own."""

import dataclasses

import cv2
import pytest

from benchmark.errors import DataError, UserError
from tasks.base import Task
from tasks.diagnosis import Diagnosis
from tasks.explainability import Explainability
from tasks.given import Score, Trial


def test_the_parts_of_a_trial_are_disjoint_and_whole(dataset):
    (trial,) = Diagnosis().trials(dataset)
    parts = [set(trial.train), set(trial.validation), set(trial.test)]
    assert set.union(*parts) == set(dataset.table.index)
    assert sum(len(part) for part in parts) == len(dataset.table)


def test_the_split_fingerprint_depends_on_the_parts_not_on_their_order():
    trial = Trial("main", ("a", "b"), ("c",), ("d",))
    assert trial.fingerprint == Trial("other", ("b", "a"), ("c",), ("d",)).fingerprint
    assert trial.fingerprint != Trial("main", ("a", "c"), ("b",), ("d",)).fingerprint


def test_perfect_predictions_score_one(dataset, trial, outputs_of):
    score = Diagnosis().score(dataset, trial, outputs_of(trial.test))
    for name in ("macro_auc", "macro_f1", "accuracy"):
        assert score.metrics[name].value == 1
    assert score.metrics["accuracy"].n == 6
    assert list(score.tables["per_class"].index) == ["benign", "malignant"]


@pytest.mark.parametrize("task", [Diagnosis(), Explainability()])
def test_a_single_class_is_refused(dataset, task: Task):
    with pytest.raises(DataError, match="at least two classes"):
        task.check(dataclasses.replace(dataset, classes=("benign",)))


@pytest.mark.parametrize("task", [Diagnosis(), Explainability()])
def test_every_task_draws_its_pictures(dataset, trial, outputs_of, task: Task, tmp_path):
    outputs = outputs_of(trial.test, wrong=trial.test[:1])
    drawn = task.draw(dataset, outputs, task.score(dataset, trial, outputs), tmp_path / "plots")
    assert any(path.suffix == ".png" for path in drawn)
    for path in drawn:
        if path.suffix == ".png":
            picture = cv2.imread(str(path))
            assert picture is not None
            assert picture.std() > 5


@pytest.mark.parametrize("task", [Diagnosis, Explainability])
def test_the_headline_is_among_the_shown_metrics(task, dataset, trial, outputs_of):
    outputs = dataclasses.replace(outputs_of(trial.test), temperature=1.5)
    metrics = task().score(dataset, trial, outputs).metrics
    assert task.headline in task.shown
    assert set(task.shown) <= set(metrics)


def test_a_score_without_its_interval_is_refused_with_what_makes_one():
    with pytest.raises(
        UserError, match=r"'share' is 0.25 \(float\), expected a Metric.*mean_metric"
    ):
        Score({"share": 0.25})
