"""Scores of ordered grades against scikit-learn and hand-made tables."""

import json
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from benchmark.metrics.ordinal import (
    SCORES,
    mean_absolute_grade_error,
    predicted_grades,
    quadratic_kappa,
    referable_auc,
    resampled,
    scores,
)


@st.composite
def samples(draw):
    """Labels, probabilities, the referable grade and weights."""
    images, grades = draw(st.integers(1, 25)), draw(st.integers(2, 5))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = generator.integers(grades, size=images)
    probabilities = generator.multinomial(6, generator.dirichlet([1] * grades, images)) / 6
    weights = generator.integers(0, 4, (draw(st.integers(1, 4)), images))
    return labels, probabilities, draw(st.integers(1, grades - 1)), weights


@settings(max_examples=150, deadline=None)
@given(samples())
def test_scores_equal_scikit_learn(sample):
    labels, probabilities, referable, _ = sample
    grades = probabilities.shape[1]
    predicted = predicted_grades(probabilities)
    alone = len(np.unique(np.concatenate([labels, predicted]))) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kappa = reference.cohen_kappa_score(
            labels, predicted, labels=list(range(grades)), weights="quadratic"
        )
    true = labels >= referable
    score = probabilities[:, referable:].sum(axis=1)
    expected = {
        "quadratic_kappa": np.nan if alone else kappa,
        "mean_absolute_grade_error": reference.mean_absolute_error(labels, predicted),
        "referable_auc": np.nan if true.all() or not true.any() else None,
    }
    if expected["referable_auc"] is None:
        expected["referable_auc"] = reference.roc_auc_score(true, score)
    found = scores(labels, probabilities, referable)
    assert tuple(found) == SCORES
    assert found == pytest.approx(expected, abs=1e-12, nan_ok=True)
    assert found == pytest.approx(
        {
            "quadratic_kappa": quadratic_kappa(labels, predicted, grades),
            "mean_absolute_grade_error": mean_absolute_grade_error(labels, predicted, grades),
            "referable_auc": referable_auc(labels, probabilities, referable),
        },
        nan_ok=True,
    )


@settings(max_examples=100, deadline=None)
@given(samples())
def test_a_weight_repeats_the_image(sample):
    labels, probabilities, referable, weights = sample
    found = resampled(labels, probabilities, referable, weights)
    for row, weight in enumerate(weights):
        got = {name: value[row] for name, value in found.items()}
        if weight.sum() == 0:
            assert np.isnan(list(got.values())).all()
            continue
        repeated = np.repeat(labels, weight), np.repeat(probabilities, weight, axis=0)
        assert got == pytest.approx(scores(*repeated, referable), abs=1e-12, nan_ok=True)


def test_far_errors_weigh_more_than_near_ones():
    labels = [0, 1, 2, 3, 4]
    near, far = [0, 1, 2, 3, 3], [0, 1, 2, 3, 0]
    assert quadratic_kappa(labels, labels, 5) == 1
    # 1 - observed / chance, from the sums of the grades and of their squares.
    assert quadratic_kappa(labels, near, 5) == pytest.approx(1 - 1 * 5 / (5 * 53 - 2 * 10 * 9))
    assert quadratic_kappa(labels, far, 5) == pytest.approx(1 - 16 * 5 / (5 * 44 - 2 * 10 * 6))
    assert quadratic_kappa([0, 4], [4, 0], 5) == -1


def test_kappa_of_one_grade_is_undefined():
    assert np.isnan(quadratic_kappa([2, 2], [2, 2], 5))
    assert quadratic_kappa([2, 2], [2, 1], 5) == 0


def test_scores_of_the_multiclass_vector():
    data = os.environ.get("DERMBENCH_DATA")
    source = Path(data).parent / "reference" / "method_vectors.json" if data else None
    if source is None or not source.is_file():
        pytest.skip("no reference/method_vectors.json beside the folder that DERMBENCH_DATA names")
    vector = json.loads(source.read_text())["multiclass_metrics"]
    confusion = np.array(vector["confusion_rows_true"])
    distance = np.abs(np.subtract.outer(np.arange(3), np.arange(3)))
    chance = np.outer(confusion.sum(axis=1), confusion.sum(axis=0)) / confusion.sum()
    found = scores(vector["y"], vector["prob"], 1)
    assert found["mean_absolute_grade_error"] == pytest.approx((confusion * distance).sum() / 10)
    kappa = 1 - (confusion * distance**2).sum() / (chance * distance**2).sum()
    assert found["quadratic_kappa"] == pytest.approx(kappa)
    # Whoever is not of grade 0 is referred, by 1 minus the probability of grade 0.
    assert found["referable_auc"] == pytest.approx(vector["auc_ovr_per_class"][0], abs=1e-7)


def test_unsigned_grades_have_distances_too():
    labels, predicted = np.array([0, 2], np.uint8), np.array([2, 0], np.uint8)
    assert mean_absolute_grade_error(labels, predicted, 3) == 2
    assert quadratic_kappa(labels, predicted, 3) == -1


def test_of_tied_grades_the_lowest_is_predicted():
    assert predicted_grades([[0.2, 0.4, 0.4], [0.4, 0.2, 0.4]]).tolist() == [1, 0]


@pytest.mark.parametrize("referable", [0, 3, -1])
def test_a_referable_grade_that_refers_all_or_none_is_refused(referable):
    with pytest.raises(ValueError, match=r"in \[1, 3\)"):
        referable_auc([0, 2], np.full((2, 3), 1 / 3), referable)


@pytest.mark.parametrize(
    ("labels", "predicted", "told"),
    [
        ([0, 1], [0], "must both be"),
        ([], [], "no image"),
        ([0.0], [0], "integers"),
        ([0], [3], r"\[0, 3\)"),
        ([-1], [0], r"\[0, 3\)"),
    ],
)
def test_what_are_no_grades_is_refused(labels, predicted, told):
    for score in (quadratic_kappa, mean_absolute_grade_error):
        with pytest.raises(ValueError, match=told):
            score(labels, predicted, 3)
