"""Classification scores against scikit-learn, hand-made tables and their own algebra."""

import json
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from benchmark.metrics.classification import (
    PER_CLASS,
    SCORES,
    UNDECIDED,
    confusion,
    g_mean,
    hard_label_auc,
    per_class,
    predicted_classes,
    resampled,
    resampled_per_class,
    scores,
)

# Ten images of three classes, small enough to score by hand.
LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 0])
PROBABILITIES = np.array(
    [
        [0.7, 0.2, 0.1],
        [0.5, 0.3, 0.2],
        [0.25, 0.6, 0.15],
        [0.8, 0.15, 0.05],
        [0.3, 0.5, 0.2],
        [0.45, 0.4, 0.15],
        [0.1, 0.8, 0.1],
        [0.2, 0.2, 0.6],
        [0.5, 0.1, 0.4],
        [0.6, 0.19, 0.21],
    ]
)


@st.composite
def samples(draw, least_classes=2):
    """Labels, probabilities on a coarse grid (so that scores tie) and weights."""
    images = draw(st.integers(1, 25))
    classes = draw(st.integers(least_classes, 5))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = generator.integers(classes, size=images)
    probabilities = generator.integers(0, draw(st.sampled_from([3, 1000])), (images, classes)) / 10
    weights = generator.integers(0, 4, (draw(st.integers(1, 4)), images))
    return labels, probabilities, weights


def by_scikit_learn(labels, probabilities):
    """The scores of `SCORES` put together from scikit-learn, undecided images as a class apart."""
    classes = probabilities.shape[1]
    predicted = np.where((p := predicted_classes(probabilities)) == UNDECIDED, classes, p)
    present = np.unique(labels)
    options = {"labels": present, "average": "macro", "zero_division": 0}
    one_kind = len(present) == 1
    return {
        "accuracy": reference.accuracy_score(labels, predicted),
        "balanced_accuracy": reference.recall_score(labels, predicted, **options),
        "macro_sensitivity": reference.recall_score(labels, predicted, **options),
        "macro_specificity": np.nan
        if one_kind
        else np.mean(
            [reference.recall_score(labels != c, predicted != c) for c in present.tolist()]
        ),
        "macro_precision": reference.precision_score(labels, predicted, **options),
        "macro_f1": reference.f1_score(labels, predicted, **options),
        "macro_auc": np.nan
        if one_kind
        else np.mean([reference.roc_auc_score(labels == c, probabilities[:, c]) for c in present]),
    }


def test_scores_of_a_small_table_by_hand():
    found = scores(LABELS, PROBABILITIES)
    assert found == pytest.approx(
        {
            "accuracy": 7 / 10,
            "balanced_accuracy": (4 / 5 + 2 / 3 + 1 / 2) / 3,
            "macro_sensitivity": (4 / 5 + 2 / 3 + 1 / 2) / 3,
            "macro_specificity": (3 / 5 + 6 / 7 + 1) / 3,
            "macro_precision": (4 / 6 + 2 / 3 + 1) / 3,
            "macro_f1": (8 / 11 + 2 / 3 + 2 / 3) / 3,
            "macro_auc": (0.86 + 19 / 21 + 1) / 3,
        }
    )


def test_confusion_of_a_small_table_by_hand():
    table = confusion(LABELS, predicted_classes(PROBABILITIES), 3)
    assert table.tolist() == [[4, 1, 0], [1, 2, 0], [1, 0, 1]]


@settings(max_examples=150, deadline=None)
@given(samples())
def test_scores_equal_scikit_learn(sample):
    labels, probabilities, _ = sample
    with warnings.catch_warnings():
        # It warns of single classes and of predictions that are no true class (undecided ones).
        warnings.simplefilter("ignore", UserWarning)
        expected = by_scikit_learn(labels, probabilities)
    assert scores(labels, probabilities) == pytest.approx(expected, abs=1e-12, nan_ok=True)


@settings(max_examples=50, deadline=None)
@given(samples())
def test_balanced_accuracy_equals_scikit_learns_own(sample):
    labels, probabilities, _ = sample
    predicted = predicted_classes(probabilities)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        expected = reference.balanced_accuracy_score(labels, predicted)
    assert scores(labels, probabilities)["balanced_accuracy"] == pytest.approx(expected)


@settings(max_examples=150, deadline=None)
@given(samples())
def test_a_weight_repeats_the_image(sample):
    labels, probabilities, weights = sample
    found = resampled(labels, probabilities, weights)
    for row, weight in enumerate(weights):
        got = {name: value[row] for name, value in found.items()}
        if weight.sum() == 0:
            assert np.isnan(list(got.values())).all()
            continue
        repeated = scores(np.repeat(labels, weight), np.repeat(probabilities, weight, axis=0))
        assert got == pytest.approx(repeated, abs=1e-12, nan_ok=True)


def test_scores_are_the_resample_of_weight_one():
    ones = np.ones((2, len(LABELS)), dtype=int)
    found = resampled(LABELS, PROBABILITIES, ones)
    assert tuple(found) == SCORES
    for name, value in scores(LABELS, PROBABILITIES).items():
        assert (found[name] == value).all()


def test_chunks_do_not_change_resamples(monkeypatch):
    weights = np.random.default_rng(0).integers(0, 3, (700, len(LABELS)))
    whole = resampled(LABELS, PROBABILITIES, weights)
    monkeypatch.setattr("benchmark.metrics.binary._CHUNK_ELEMENTS", 1)
    monkeypatch.setattr("benchmark.metrics.binary._CHUNK_LEAST", 3)
    chunked = resampled(LABELS, PROBABILITIES, weights)
    for name in SCORES:
        np.testing.assert_array_equal(whole[name], chunked[name])


@settings(max_examples=150, deadline=None)
@given(samples())
def test_resampled_per_class_is_per_class_of_the_repeated_images(sample):
    labels, probabilities, weights = sample
    classes = [str(c) for c in range(probabilities.shape[1])]
    found = resampled_per_class(labels, probabilities, weights)
    assert tuple(found) == PER_CLASS
    for row, weight in enumerate(weights):
        if weight.sum() == 0:
            assert all(np.isnan(value[row]).all() for value in found.values())
            continue
        repeated = np.repeat(labels, weight), np.repeat(probabilities, weight, axis=0)
        table = per_class(*repeated, classes)
        for name, value in found.items():
            np.testing.assert_array_equal(value[row], table[name])


@settings(max_examples=50, deadline=None)
@given(samples())
def test_per_class_equals_scikit_learn(sample):
    labels, probabilities, weights = sample
    predicted = predicted_classes(probabilities)
    found = resampled_per_class(labels, probabilities, weights)
    for row, weight in enumerate(weights):
        for c in range(probabilities.shape[1]):
            got = {name: value[row, c] for name, value in found.items()}
            true, called, options = labels == c, predicted == c, {"sample_weight": weight}
            if weight[true].sum() == 0:
                assert np.isnan(list(got.values())).all()
                continue
            alone = weight[~true].sum() == 0
            options["zero_division"] = 0
            assert got == pytest.approx(
                {
                    "sensitivity": reference.recall_score(true, called, **options),
                    "specificity": np.nan
                    if alone
                    else reference.recall_score(~true, ~called, **options),
                    "precision": reference.precision_score(true, called, **options),
                    "f1": reference.f1_score(true, called, **options),
                    "auc": np.nan
                    if alone
                    else reference.roc_auc_score(true, probabilities[:, c], sample_weight=weight),
                },
                abs=1e-12,
                nan_ok=True,
            )


@settings(max_examples=100, deadline=None)
@given(samples())
def test_macro_scores_are_means_of_resampled_per_class(sample):
    labels, probabilities, weights = sample
    found = resampled_per_class(labels, probabilities, weights)
    macro = resampled(labels, probabilities, weights)
    present = ~np.isnan(found["sensitivity"])
    for name in PER_CLASS:
        for row, there in enumerate(present):
            mean = found[name][row, there].mean() if there.any() else np.nan
            assert macro[f"macro_{name}"][row] == pytest.approx(mean, abs=1e-12, nan_ok=True)


def test_resampled_per_class_of_no_resample_is_empty():
    found = resampled_per_class(LABELS, PROBABILITIES, np.ones((0, len(LABELS)), dtype=int))
    assert {name: value.shape for name, value in found.items()} == dict.fromkeys(PER_CLASS, (0, 3))


def test_chunks_do_not_change_resampled_per_class(monkeypatch):
    weights = np.random.default_rng(0).integers(0, 3, (700, len(LABELS)))
    whole = resampled_per_class(LABELS, PROBABILITIES, weights)
    monkeypatch.setattr("benchmark.metrics.binary._CHUNK_ELEMENTS", 1)
    monkeypatch.setattr("benchmark.metrics.binary._CHUNK_LEAST", 3)
    chunked = resampled_per_class(LABELS, PROBABILITIES, weights)
    for name in PER_CLASS:
        np.testing.assert_array_equal(whole[name], chunked[name])


@pytest.mark.parametrize(
    ("sensitivities", "expected"),
    [
        ([0.25, 1.0], 0.5),
        ([0.8, 0.8, 0.8], 0.8),
        ([0.1, 0.2, 0.4], 0.2),
        ([0.9, 0.0, 1.0], 0.0),
        ([0.25, np.nan, 1.0], 0.5),
        ([np.nan, np.nan], np.nan),
        ([1e-3] * 200, 1e-3),
    ],
)
def test_g_mean_by_hand(sensitivities, expected):
    assert g_mean(sensitivities) == pytest.approx(expected, nan_ok=True)


@settings(max_examples=100, deadline=None)
@given(samples())
def test_g_mean_of_resamples_is_the_root_of_the_product(sample):
    sensitivity = resampled_per_class(*sample)["sensitivity"]
    found = g_mean(sensitivity)
    assert found.shape == sensitivity.shape[:1]
    for row, value in zip(sensitivity, found, strict=True):
        there = row[~np.isnan(row)]
        expected = there.prod() ** (1 / len(there)) if len(there) else np.nan
        assert value == pytest.approx(expected, nan_ok=True)
        if len(there):
            assert there.min() - 1e-12 <= value <= there.mean() + 1e-12


@settings(max_examples=100, deadline=None)
@given(samples())
def test_hard_label_auc_is_scikit_learns_auc_of_the_predicted_classes(sample):
    labels, probabilities, weights = sample
    predicted = predicted_classes(probabilities)
    found = resampled_per_class(labels, probabilities, weights)
    hard = hard_label_auc(found["sensitivity"], found["specificity"])
    assert hard.shape == (len(weights),)
    for weight, value in zip(weights, hard, strict=True):
        present = np.unique(labels[weight > 0])
        if len(present) < 2:
            assert np.isnan(value)
            continue
        areas = [
            reference.roc_auc_score(labels == c, predicted == c, sample_weight=weight)
            for c in present
        ]
        assert value == pytest.approx(np.mean(areas), abs=1e-12)


def test_hard_label_auc_of_two_classes_is_the_balanced_accuracy():
    generator = np.random.default_rng(0)
    labels = generator.integers(2, size=50)
    positive = generator.random(50)
    probabilities = np.stack([1 - positive, positive], axis=1)
    table = per_class(labels, probabilities, ["benign", "malignant"])
    found = scores(labels, probabilities)
    hard = hard_label_auc(table["sensitivity"], table["specificity"])
    assert hard == pytest.approx(found["balanced_accuracy"], abs=1e-12)
    assert hard != pytest.approx(found["macro_auc"], abs=1e-3)


def test_scores_equal_the_hand_computed_vectors():
    data = os.environ.get("DERMBENCH_DATA")
    source = Path(data).parent / "reference" / "method_vectors.json" if data else None
    if source is None or not source.is_file():
        pytest.skip("no reference/method_vectors.json beside the folder that DERMBENCH_DATA names")
    vector = json.loads(source.read_text())["multiclass_metrics"]
    labels, probabilities = np.array(vector["y"]), np.array(vector["prob"])
    found = scores(labels, probabilities)
    for ours, theirs in {
        "accuracy": "accuracy",
        "balanced_accuracy": "balanced_accuracy_macro_sensitivity",
        "macro_sensitivity": "balanced_accuracy_macro_sensitivity",
        "macro_specificity": "specificity_macro",
        "macro_f1": "f1_macro",
        "macro_auc": "auc_ovr_macro",
    }.items():
        assert found[ours] == pytest.approx(vector[theirs], abs=1e-7)
    table = per_class(labels, probabilities, ["a", "b", "c"])
    for ours, theirs in {
        "sensitivity": "sensitivity_per_class",
        "specificity": "specificity_per_class",
        "f1": "f1_per_class",
        "auc": "auc_ovr_per_class",
    }.items():
        assert table[ours].tolist() == pytest.approx(vector[theirs], abs=1e-7)
    counts = confusion(labels, predicted_classes(probabilities), 3)
    assert counts.tolist() == vector["confusion_rows_true"]


@settings(max_examples=50, deadline=None)
@given(samples(), st.randoms(use_true_random=False))
def test_order_of_images_and_classes_does_not_matter(sample, random):
    labels, probabilities, _ = sample
    images, classes = list(range(len(labels))), list(range(probabilities.shape[1]))
    random.shuffle(images)
    random.shuffle(classes)
    renamed = np.argsort(classes)[labels]
    moved = scores(renamed[images], probabilities[images][:, classes])
    assert moved == pytest.approx(scores(labels, probabilities), abs=1e-12, nan_ok=True)


def test_a_tie_for_the_largest_probability_is_wrong_for_every_class():
    labels, probabilities = np.array([0, 1]), np.array([[0.5, 0.5], [0.5, 0.5]])
    assert predicted_classes(probabilities).tolist() == [UNDECIDED, UNDECIDED]
    assert confusion(labels, predicted_classes(probabilities), 2).sum() == 0
    found = scores(labels, probabilities)
    assert found["accuracy"] == found["macro_f1"] == found["balanced_accuracy"] == 0
    assert found["macro_auc"] == 0.5


def test_a_class_without_images_is_not_scored_but_predicting_it_is_wrong():
    labels = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1, 0.0], [0.2, 0.1, 0.7], [0.1, 0.9, 0.0], [0.1, 0.9, 0.0]])
    found = scores(labels, probabilities)
    assert found["macro_sensitivity"] == 0.75
    assert found["macro_precision"] == 1.0
    table = per_class(labels, probabilities, ["a", "b", "c"])
    assert table.loc["c", "n"] == 0
    assert table.loc["c"].drop("n").isna().all()


def test_images_of_a_single_class_leave_specificity_and_auc_undefined():
    found = scores(np.array([1, 1]), np.array([[0.2, 0.8], [0.9, 0.1]]))
    assert np.isnan(found["macro_specificity"])
    assert np.isnan(found["macro_auc"])
    assert found["macro_sensitivity"] == 0.5


def test_per_class_means_are_the_macro_scores():
    table = per_class(LABELS, PROBABILITIES, ["a", "b", "c"])
    found = scores(LABELS, PROBABILITIES)
    assert table["n"].tolist() == [5, 3, 2]
    for column in ("sensitivity", "specificity", "precision", "f1", "auc"):
        assert table[column].mean() == pytest.approx(found[f"macro_{column}"])


@pytest.mark.parametrize(
    ("labels", "probabilities", "says"),
    [
        ([], np.empty((0, 2)), "no image"),
        ([0, 1], [[0.5, 0.5]], "probabilities"),
        ([0, 2], [[0.5, 0.5], [0.1, 0.9]], r"\[0, 2\)"),
        ([0, -1], [[0.5, 0.5], [0.1, 0.9]], r"\[0, 2\)"),
        ([0.0, 1.0], [[0.5, 0.5], [0.1, 0.9]], "integers"),
        ([0, 1], [[0.5, np.nan], [0.1, 0.9]], "finite"),
    ],
)
def test_bad_input_is_refused(labels, probabilities, says):
    with pytest.raises(ValueError, match=says):
        scores(labels, probabilities)


@pytest.mark.parametrize(
    "weights", [np.ones((1, 9), int), -np.ones((1, 10), int), np.ones((1, 10))]
)
def test_bad_weights_are_refused(weights):
    for call in (resampled, resampled_per_class):
        with pytest.raises(ValueError, match="weights"):
            call(LABELS, PROBABILITIES, weights)


def test_confusion_refuses_a_class_out_of_range():
    with pytest.raises(ValueError, match="classes"):
        confusion([0, 1], [0, 2], 2)
