"""Tasks on outputs made by hand: what is scored, on which images, against which map."""

import dataclasses

import cv2
import numpy as np
import pandas as pd
import pytest

from benchmark.data.dataset import Dataset
from benchmark.errors import DataError
from benchmark.metrics import maps
from tasks.base import Outputs, Task, Trial
from tasks.diagnosis import Diagnosis
from tasks.explainability import Explainability, explanation, reference

SIDE = 32
COUNT = 12


@pytest.fixture
def dataset(tmp_path) -> Dataset:
    """Twelve images in two classes, two annotators each: a square top left, one a bit smaller."""
    rows, masks = {}, []
    for number in range(COUNT):
        name = f"i{number:02d}"
        path = tmp_path / f"{name}.png"
        cv2.imwrite(str(path), np.full((SIDE, SIDE, 3), 10 * number, np.uint8))
        rows[name] = {"path": str(path), "label": number % 2, "group": f"g{number}", "split": ""}
        for annotator, side in (("a", 16), ("b", 12)):
            mask = np.zeros((SIDE, SIDE), np.uint8)
            mask[:side, :side] = 255
            target = tmp_path / f"{annotator}_{name}.png"
            cv2.imwrite(str(target), mask)
            masks.append((name, annotator, "Plaque", str(target)))
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("id")
    columns = ["id", "annotator", "characteristic", "path"]
    return Dataset(
        "hand", tmp_path, table, ("benign", "malignant"), pd.DataFrame(masks, columns=columns)
    )


@pytest.fixture
def trial(dataset) -> Trial:
    ids = tuple(dataset.table.index)
    return Trial("main", ids[:4], ids[4:6], ids[6:])


def _outputs(dataset: Dataset, ids, wrong=(), cam=None) -> Outputs:
    labels = dataset.table.loc[list(ids), "label"].to_numpy()
    said = np.where(np.isin(ids, wrong), 1 - labels, labels)
    probabilities = np.full((len(ids), 2), 0.2, np.float32)
    probabilities[np.arange(len(ids)), said] = 0.8
    if cam is None:
        cam = np.zeros((4, 4), np.float32)
        cam[:2, :2] = 1
    return Outputs(tuple(ids), probabilities, np.repeat(cam[None], len(ids), axis=0))


def test_the_parts_of_a_trial_are_disjoint_and_whole(dataset):
    (trial,) = Diagnosis().trials(dataset)
    parts = [set(trial.train), set(trial.validation), set(trial.test)]
    assert set.union(*parts) == set(dataset.table.index)
    assert sum(len(part) for part in parts) == COUNT


def test_the_split_fingerprint_depends_on_the_parts_not_on_their_order():
    trial = Trial("main", ("a", "b"), ("c",), ("d",))
    assert trial.fingerprint == Trial("other", ("b", "a"), ("c",), ("d",)).fingerprint
    assert trial.fingerprint != Trial("main", ("a", "c"), ("b",), ("d",)).fingerprint


def test_perfect_predictions_score_one(dataset, trial):
    score = Diagnosis().score(dataset, trial, _outputs(dataset, trial.test))
    for name in ("macro_auc", "macro_f1", "accuracy"):
        assert score.metrics[name].value == 1
    assert score.metrics["accuracy"].n == 6
    assert list(score.tables["per_class"].index) == ["benign", "malignant"]


def test_only_correctly_diagnosed_images_enter_the_headline(dataset, trial):
    wrong = trial.test[:2]
    score = Explainability().score(dataset, trial, _outputs(dataset, trial.test, wrong))
    assert score.metrics["explainability_f1"].n == 4
    assert score.metrics["gaussian_f1"].n == 4
    assert score.metrics["all_images_f1"].n == 6
    assert list(score.tables["per_image"]["correct"]) == [i not in wrong for i in trial.test]


def test_the_score_is_the_fuzzy_f1_of_the_map_against_the_sum_of_all_masks(dataset, trial):
    outputs = _outputs(dataset, trial.test)
    score = Explainability().score(dataset, trial, outputs)
    expert = reference(dataset, trial.test[0])
    # Both annotators marked the inner square, one the rest of the outer.
    assert expert[0, 0] == 1
    assert expert[14, 14] == 0.5
    network = explanation(outputs.maps[0], (SIDE, SIDE))
    by_hand = 2 * np.minimum(expert, network).sum() / (expert.sum() + network.sum())
    assert score.metrics["explainability_f1"].value == pytest.approx(by_hand, rel=1e-6)
    assert by_hand > 0.75


def test_a_map_on_the_lesion_beats_the_centred_gaussian_and_one_off_it_does_not(dataset, trial):
    task = Explainability()
    on = task.score(dataset, trial, _outputs(dataset, trial.test)).metrics
    assert on["explainability_f1"].value > on["gaussian_f1"].value
    away = np.zeros((4, 4), np.float32)
    away[2:, 2:] = 1
    off = task.score(dataset, trial, _outputs(dataset, trial.test, cam=away)).metrics
    assert off["explainability_f1"].value < off["gaussian_f1"].value


def test_the_ceiling_is_one_annotator_against_the_other(dataset, trial):
    metrics = Explainability().score(dataset, trial, _outputs(dataset, trial.test)).metrics
    assert metrics["annotators_f1"].value == pytest.approx(2 * 144 / (144 + 256))


def test_one_annotator_gives_no_ceiling(dataset, trial):
    alone = dataset.masks[dataset.masks["annotator"] == "a"].reset_index(drop=True)
    single = dataclasses.replace(dataset, masks=alone)
    metric = (
        Explainability().score(single, trial, _outputs(single, trial.test)).metrics["annotators_f1"]
    )
    assert metric.value is None
    assert metric.note == "no image has two annotators"


def test_a_zero_map_scores_nothing_and_leaves_precision_undefined(dataset, trial):
    outputs = _outputs(dataset, trial.test, cam=np.zeros((4, 4), np.float32))
    metrics = Explainability().score(dataset, trial, outputs).metrics
    assert metrics["explainability_f1"].value == 0
    assert metrics["explainability_precision"].value is None


def test_no_correct_image_leaves_the_headline_undefined(dataset, trial):
    outputs = _outputs(dataset, trial.test, wrong=trial.test)
    metrics = Explainability().score(dataset, trial, outputs).metrics
    assert metrics["explainability_f1"].value is None
    assert metrics["explainability_f1"].note
    assert metrics["all_images_f1"].value > 0


def test_unmarked_test_images_are_not_scored(dataset):
    (whole,) = Diagnosis().trials(dataset)
    masks = dataset.masks[dataset.masks["id"] != whole.test[0]].reset_index(drop=True)
    (trial,) = Explainability().trials(dataclasses.replace(dataset, masks=masks))
    assert trial.test == whole.test[1:]


def test_data_without_masks_cannot_be_asked_for_explanations(dataset):
    unmarked = dataclasses.replace(dataset, masks=dataset.masks[:0])
    with pytest.raises(DataError, match="needs experts' masks"):
        Explainability().check(unmarked)


@pytest.mark.parametrize("task", [Diagnosis(), Explainability()])
def test_a_single_class_is_refused(dataset, task: Task):
    with pytest.raises(DataError, match="at least two classes"):
        task.check(dataclasses.replace(dataset, classes=("benign",)))


@pytest.mark.parametrize("task", [Diagnosis(), Explainability()])
def test_every_task_draws_its_pictures(dataset, trial, task: Task, tmp_path):
    outputs = _outputs(dataset, trial.test, wrong=trial.test[:1])
    drawn = task.draw(dataset, outputs, task.score(dataset, trial, outputs), tmp_path / "plots")
    for path in drawn:
        picture = cv2.imread(str(path))
        assert picture is not None
        assert picture.std() > 5


@pytest.mark.parametrize("task", [Diagnosis, Explainability])
def test_the_headline_is_among_the_shown_metrics(task, dataset, trial):
    metrics = task().score(dataset, trial, _outputs(dataset, trial.test)).metrics
    assert task.headline in task.shown
    assert set(task.shown) <= set(metrics)


def test_normalised_explanations_reach_zero_and_one():
    cam = np.random.default_rng(0).random((4, 5)).astype(np.float32)
    seen = explanation(cam, (40, 50))
    assert seen.min() == 0
    assert seen.max() == 1
    np.testing.assert_array_equal(seen, maps.normalise(maps.upscale(cam, (40, 50))))
