"""Imbalance: what is thinned, what is scored, and which classes are frequent or rare."""

import dataclasses

import cv2
import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

import benchmark.data
from benchmark.data import splits
from benchmark.data.dataset import UNLABELLED, Dataset
from benchmark.errors import DataError, UserError
from benchmark.metrics import binary, classification
from tasks.base import SPLIT_SEED
from tasks.given import Outputs, Trial
from tasks.imbalance import Imbalance, ImbalanceOptions
from tasks.reliability import RELIABILITY

CLASSES = ("nevus", "melanoma", "carcinoma")
BINARY = set(binary.SCORES)


def _task(**options):
    return Imbalance(ImbalanceOptions(**options))


def _dataset(counts, classes=CLASSES, size=1):
    """`counts` images of each class, `size` images a group."""
    labels = np.repeat(np.arange(len(counts)), counts)
    places = np.concatenate([np.arange(count) // size for count in counts])
    groups = [f"{label}-{place}" for label, place in zip(labels, places, strict=True)]
    ids = [f"i{number:05d}" for number in range(len(labels))]
    table = pd.DataFrame({"path": ids, "label": labels, "group": groups, "split": ""}, index=ids)
    return Dataset("hand", "here", table.rename_axis("id"), tuple(classes))


def _counts(dataset, ids):
    return np.bincount(dataset.table.loc[list(ids), "label"], minlength=len(dataset.classes))


def _trial(dataset, n_train, n_test):
    """The first images of each class train, the next are the test part; validation has the last."""
    parts: tuple[list[str], list[str]] = ([], [])
    for label, (train, test) in enumerate(zip(n_train, n_test, strict=True)):
        ids = list(dataset.table.index[dataset.table["label"] == label])
        parts[0].extend(ids[:train])
        parts[1].extend(ids[train : train + test])
    rest = dataset.table.index.difference([*parts[0], *parts[1]])
    return Trial("main", tuple(parts[0]), tuple(rest), tuple(parts[1]))


def _outputs(dataset, trial, said):
    """Certain outputs: for each test image of a class, the classes that are said in turn."""
    labels = dataset.table.loc[list(trial.test), "label"].to_numpy()
    probabilities = np.full((len(labels), len(dataset.classes)), 0.1, np.float32)
    for label, calls in said.items():
        rows = np.flatnonzero(labels == label)
        probabilities[rows, np.resize(calls, len(rows))] = 0.8
    return Outputs(trial.test, probabilities)


@pytest.fixture(scope="module")
def scored():
    """150, 50 and 10 training images; sensitivities 1, 1/2 and 1/4 on 8, 4 and 4 test images."""
    dataset = _dataset([200, 80, 30])
    trial = _trial(dataset, [150, 50, 10], [8, 4, 4])
    outputs = _outputs(dataset, trial, {0: [0], 1: [1, 0], 2: [2, 0, 0, 1]})
    return dataset, trial, outputs, _task().score(dataset, trial, outputs)


def test_natural_is_the_split_of_every_task():
    dataset = _dataset([300, 60, 20])
    (trial,) = _task().trials(dataset)
    parts = splits.partition(dataset, SPLIT_SEED)
    assert {part: list(getattr(trial, part)) for part in parts} == parts


def test_only_the_training_part_is_thinned():
    dataset = _dataset([600, 200, 100], size=2)
    (whole,) = _task().trials(dataset)
    previous = len(whole.train)
    for imbalance in ("10", "50", "100"):
        (thin,) = _task(imbalance=imbalance).trials(dataset)
        assert (thin.validation, thin.test) == (whole.validation, whole.test)
        assert set(thin.train) < set(whole.train)
        assert len(thin.train) < previous
        previous = len(thin.train)
        rest = set(whole.train) - set(thin.train)
        groups = dataset.table["group"]
        assert not set(groups[list(thin.train)]) & set(groups[list(rest)])


@pytest.mark.parametrize(("imbalance", "tail"), [("10", 60), ("50", 12), ("100", 6)])
def test_the_training_part_has_the_ratio_asked_for(imbalance, tail):
    dataset = _dataset([1000, 1000, 1000])
    (trial,) = _task(imbalance=imbalance).trials(dataset)
    assert _counts(dataset, trial.train).max() == 600
    assert _counts(dataset, trial.train).min() == tail


@pytest.mark.parametrize("counts", [(1000, 300), (300, 1000)])
def test_with_positive_the_ratio_is_that_of_the_larger_class_to_the_smaller(counts):
    dataset = _dataset([counts[0], counts[1] // 2, counts[1] // 2])
    task = _task(imbalance="50", positive="nevus")
    prepared = task.prepare(dataset)
    (trial,) = task.trials(prepared)
    negatives, positives = _counts(prepared, trial.train)
    more, fewer = (positives, negatives) if counts[0] > counts[1] else (negatives, positives)
    assert (more, fewer) == (600, 12)


def test_an_imbalance_that_the_data_do_not_allow_names_the_place():
    with pytest.raises(DataError, match="here: imbalance 100 would leave class carcinoma"):
        _task(imbalance="100").trials(_dataset([300, 60, 10]))


def test_an_imbalance_of_another_value_is_refused():
    with pytest.raises(ValidationError):
        ImbalanceOptions(imbalance="20")


def test_positive_makes_two_classes_and_keeps_all_else():
    dataset = _dataset([3, 2, 1])
    dataset.table.iloc[0, 1] = UNLABELLED
    prepared = _task(positive="melanoma").prepare(dataset)
    assert prepared.classes == ("not melanoma", "melanoma")
    assert list(prepared.table["label"]) == [UNLABELLED, 0, 0, 1, 1, 0]
    assert prepared.table["label"].dtype == dataset.table["label"].dtype
    pd.testing.assert_frame_equal(
        prepared.table.drop(columns="label"), dataset.table.drop(columns="label")
    )
    assert list(dataset.table["label"]) == [UNLABELLED, 0, 0, 1, 1, 2]
    assert _task().prepare(dataset) is dataset


@pytest.mark.parametrize(("classes", "name"), [(CLASSES, "wart"), (("Mole", "Nevus", "x"), "mole")])
def test_an_unknown_positive_class_names_the_classes(classes, name):
    with pytest.raises(UserError, match=f"--positive {name}.*choose one of {', '.join(classes)}"):
        _task(positive=name).prepare(_dataset([3, 2, 1], classes))


def test_bands_follow_the_training_images(scored):
    metrics = scored[3].metrics
    assert metrics["many_shot_sensitivity"].value == 1
    assert metrics["medium_shot_sensitivity"].value == 0.5
    assert metrics["few_shot_sensitivity"].value == 0.25
    assert [metrics[f"{band}_shot_sensitivity"].n for band in ("many", "medium", "few")] == [
        8,
        4,
        4,
    ]
    # By hand: nevus 8 hits of 8, called 12 times; melanoma 2 of 4, called 3; carcinoma 1, 1.
    assert metrics["many_shot_f1"].value == pytest.approx(16 / 20)
    assert metrics["medium_shot_f1"].value == pytest.approx(4 / 7)
    assert metrics["few_shot_f1"].value == pytest.approx(2 / 5)
    assert metrics["few_shot_f1"].n == 16


@pytest.mark.parametrize(
    ("n_train", "bands"),
    [
        ((101, 100, 20), ("many", "medium", "medium")),
        ((102, 20, 19), ("many", "medium", "few")),
        ((100, 19, 1), ("medium", "few", "few")),
    ],
)
def test_bands_begin_above_100_and_end_below_20(n_train, bands):
    dataset = _dataset([200, 200, 200])
    trial = _trial(dataset, n_train, [4, 4, 4])
    # Sensitivities 1, 3/4 and 1/4, so that every band's mean tells its members.
    outputs = _outputs(dataset, trial, {0: [0], 1: [1, 1, 1, 0], 2: [2, 0, 0, 0]})
    metrics = _task().score(dataset, trial, outputs).metrics
    for band in ("many", "medium", "few"):
        own = [value for value, of in zip((1, 0.75, 0.25), bands, strict=True) if of == band]
        found = metrics[f"{band}_shot_sensitivity"]
        assert found.value == (np.mean(own) if own else None)
        assert bool(found.note) == (not own)


def test_an_empty_band_says_why():
    dataset = _dataset([50, 50, 50])
    trial = _trial(dataset, [30, 30, 30], [4, 4, 4])
    outputs = _outputs(dataset, trial, {0: [0], 1: [1], 2: [2]})
    metrics = _task().score(dataset, trial, outputs).metrics
    assert metrics["many_shot_f1"].note == "no class has more than 100 training images"
    assert metrics["few_shot_sensitivity"].note == "no class has less than 20 training images"
    assert metrics["few_shot_sensitivity"].value is None


def test_the_scores_are_those_of_diagnosis_and_three_more(scored):
    dataset, _, outputs, score = scored
    labels = dataset.table.loc[list(outputs.ids), "label"].to_numpy()
    expected = classification.scores(labels, outputs.probabilities)
    for name, value in expected.items():
        assert score.metrics[name].value == pytest.approx(value)
    assert score.metrics["g_mean"].value == pytest.approx((1 * 0.5 * 0.25) ** (1 / 3))
    # Specificities by hand: 4 of 8, 11 of 12, 12 of 12.
    by_hand = np.mean([(1 + 4 / 8) / 2, (0.5 + 11 / 12) / 2, (0.25 + 1) / 2])
    assert score.metrics["hard_label_auc"].value == pytest.approx(by_hand)


def test_every_score_lies_in_its_interval(scored):
    for name, found in scored[3].metrics.items():
        assert found.low is not None, name
        assert found.low <= found.value <= found.high, name
    few = scored[3].metrics["few_shot_sensitivity"]
    assert few.low < few.value < few.high


def test_the_table_has_every_class_with_its_images_and_intervals(scored):
    dataset, _, outputs, score = scored
    table = score.tables["per_class"]
    assert table.index.name == "class"
    assert list(table.index) == list(CLASSES)
    assert list(table["n_train"]) == [150, 50, 10]
    assert list(table["n_test"]) == [8, 4, 4]
    labels = dataset.table.loc[list(outputs.ids), "label"].to_numpy()
    expected = classification.per_class(labels, outputs.probabilities, CLASSES)
    for name in ("sensitivity", "specificity", "precision", "f1", "auc"):
        np.testing.assert_allclose(table[name], expected[name])
        assert (table[f"{name}_low"] <= table[name]).all()
        assert (table[name] <= table[f"{name}_high"]).all()
    assert table.at["melanoma", "sensitivity_low"] < 0.5 < table.at["melanoma", "sensitivity_high"]


def test_two_classes_are_also_scored_as_one_against_the_rest():
    dataset = _task(positive="melanoma").prepare(_dataset([60, 30, 30]))
    trial = _trial(dataset, [40, 15], [40, 12])
    rng = np.random.default_rng(0)
    positive = rng.random(52).astype(np.float32)
    outputs = Outputs(trial.test, np.stack([1 - positive, positive], axis=1))
    metrics = _task().score(dataset, trial, outputs).metrics
    labels = dataset.table.loc[list(trial.test), "label"].to_numpy() == 1
    assert labels.sum() == 12
    for name, value in binary.scores(labels, positive).items():
        assert metrics[name].value == pytest.approx(value)
        assert metrics[name].low <= value <= metrics[name].high


def test_more_classes_have_no_scores_of_one_against_the_rest(scored):
    assert not BINARY & set(scored[3].metrics)


def test_the_shown_metrics_are_all_that_there_are_but_for_some_of_reliability(scored):
    others = set(RELIABILITY)
    assert set(Imbalance.shown) - others == (set(scored[3].metrics) | BINARY) - others
    assert len(Imbalance.shown) == len(set(Imbalance.shown))
    assert Imbalance.shown[0] == Imbalance.headline


def test_the_note_counts_the_training_part_that_there_is():
    dataset = _dataset([1000, 500, 200])
    task = _task(imbalance="10")
    (trial,) = task.trials(dataset)
    outputs = _outputs(dataset, trial, {0: [0], 1: [1], 2: [2]})
    (note,) = task.score(dataset, trial, outputs).notes
    assert note == (
        "850 training images, thinned from 1020: nevus 600, melanoma 190, carcinoma 60; the"
        " largest class has 10.0 times the images of the rarest"
    )
    (whole,) = _task().trials(dataset)
    (note,) = _task().score(dataset, whole, outputs).notes
    assert note == (
        "1020 training images: nevus 600, melanoma 300, carcinoma 120; the largest class has 5.0"
        " times the images of the rarest"
    )


def test_a_class_that_misses_the_profile_is_told():
    # Four images a lesion, so of the profile's seven of the rarest class there can be only four.
    dataset = _dataset([1160, 1100, 1040], size=4)
    task = _task(imbalance="100")
    (trial,) = task.trials(dataset)
    assert list(_counts(dataset, trial.train)) == [696, 68, 4]
    outputs = _outputs(dataset, trial, {0: [0], 1: [1], 2: [2]})
    _, told = task.score(dataset, trial, outputs).notes
    assert told.startswith("class carcinoma has 4 training images where the profile has 7")


def test_pictures_are_drawn(scored, tmp_path):
    dataset, _, outputs, score = scored
    drawn = _task().draw(dataset, outputs, score, tmp_path)
    assert [path.stem for path in drawn] == [
        *("sensitivity-by-frequency", "confusion", "reliability", "risk-coverage"),
    ]
    for path in drawn:
        assert cv2.imread(str(path)).std() > 5


def test_the_validation_score_is_the_headline():
    labels = np.array([0, 0, 0, 1])
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.3, 0.7]], np.float32)
    # By hand: F1 4/5 and 2/3.
    assert _task().selection(labels, probabilities) == pytest.approx((4 / 5 + 2 / 3) / 2)


def test_real_images_are_thinned_by_lesion(real_data):
    dataset = benchmark.data.load("isic2018", real_data / "isic2018-task3")
    (whole,) = _task().trials(dataset)
    (thin,) = _task(imbalance="50").trials(dataset)
    natural, counts = (_counts(dataset, trial.train) for trial in (whole, thin))
    assert natural.max() / natural.min() == pytest.approx(56.6, abs=0.1)
    assert list(counts) == [78, 149, 22, 11, 41, 3, 6]
    assert (thin.validation, thin.test) == (whole.validation, whole.test)


def test_dermamnist_keeps_its_published_parts(real_data):
    dataset = benchmark.data.load(
        "medmnist", real_data / "dermamnist-rebuilt", file="dermamnist.npz"
    )
    (whole,) = _task().trials(dataset)
    (thin,) = _task(imbalance="100").trials(dataset)
    assert (len(whole.train), len(thin.validation), len(thin.test)) == (7007, 1003, 2005)
    counts = _counts(dataset, thin.train)
    assert counts.max() == 674
    assert counts.max() / counts.min() == pytest.approx(100, rel=0.05)
    task = _task(positive="mel")
    binary_data = task.prepare(dataset)
    assert dataclasses.asdict(binary_data)["classes"] == ("not mel", "mel")
    assert list(_counts(binary_data, task.trials(binary_data)[0].train)) == [6228, 779]
