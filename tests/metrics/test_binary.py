"""Scores of one class against the rest: scikit-learn, exact fractions, hand-made tables."""

import json
import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from benchmark.metrics.binary import (
    SCORES,
    average_precision,
    in_chunks,
    resampled,
    scores,
    sensitivity_at_specificity,
)
from benchmark.metrics.classification import hard_label_auc, per_class
from benchmark.metrics.classification import scores as of_classes

# Ten negatives and four positives; a positive and a negative share the score 0.6.
LABELS = np.array([False] * 10 + [True] * 4)
VALUES = np.array([0.0, 0.1, 0.1, 0.2, 0.3, 0.3, 0.4, 0.5, 0.6, 0.8, 0.9, 0.7, 0.6, 0.05])


@st.composite
def samples(draw):
    """Labels, scores on a coarse or fine grid (so that they tie) and weights."""
    images = draw(st.integers(1, 40))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = generator.random(images) < draw(st.sampled_from([0.1, 0.5, 0.9]))
    values = generator.integers(-3, draw(st.sampled_from([0, 3, 1000])), images) / 10
    weights = generator.integers(0, 4, (draw(st.integers(1, 4)), images))
    return labels, values, weights


def largest_sensitivity(labels, values, weight, specificity):
    """By trying every threshold in fractions, which do not round."""
    positives, negatives = int(weight[labels].sum()), int(weight[~labels].sum())
    if not positives or not negatives:
        return np.nan
    best = 0.0
    for threshold in np.unique(values):
        called = values >= threshold
        if Fraction(int(weight[~called & ~labels].sum()), negatives) >= specificity:
            best = max(best, weight[called & labels].sum() / positives)
    return best


def by_reference(labels, values, weight):
    """The scores of `SCORES` from scikit-learn and from fractions."""
    positives, negatives = weight[labels].sum(), weight[~labels].sum()
    options = {"sample_weight": weight}
    return {
        "auc": reference.roc_auc_score(labels, values, **options)
        if positives and negatives
        else np.nan,
        "average_precision": reference.average_precision_score(labels, values, **options)
        if positives
        else np.nan,
        "sensitivity_at_90_specificity": largest_sensitivity(
            labels, values, weight, Fraction(90, 100)
        ),
        "sensitivity_at_95_specificity": largest_sensitivity(
            labels, values, weight, Fraction(95, 100)
        ),
    }


def test_scores_of_a_small_table_by_hand():
    # The positives are above 10, 9, 8 (and level with one) and 1 of the ten negatives.
    assert scores(LABELS, VALUES) == pytest.approx(
        {
            "auc": (10 + 9 + 8.5 + 1) / 40,
            "average_precision": (1 + 2 / 3 + 3 / 5 + 4 / 13) / 4,
            "sensitivity_at_90_specificity": 2 / 4,
            "sensitivity_at_95_specificity": 1 / 4,
        }
    )


@pytest.mark.parametrize(
    ("specificity", "sensitivity"),
    [(0, 1), (0.1, 1), (0.11, 3 / 4), (0.8, 3 / 4), (0.81, 2 / 4), (0.9, 2 / 4), (1, 1 / 4)],
)
def test_sensitivity_at_a_specificity_by_hand(specificity, sensitivity):
    assert sensitivity_at_specificity(LABELS, VALUES, specificity) == sensitivity


@settings(max_examples=300, deadline=None)
@given(samples())
def test_weighted_scores_equal_scikit_learn_and_exact_fractions(sample):
    labels, values, weights = sample
    found = resampled(labels, values, weights)
    assert tuple(found) == SCORES
    for row, weight in enumerate(weights):
        got = {name: value[row] for name, value in found.items()}
        expected = by_reference(labels, values, weight)
        assert got == pytest.approx(expected, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("seed", range(5))
def test_bootstrap_of_many_images_equals_scikit_learn(seed):
    generator = np.random.default_rng(seed)
    labels = generator.random(700) < 0.08
    values = np.round(generator.normal(size=700) + labels, 1)
    weights = generator.multinomial(700, np.full(700, 1 / 700), size=20)
    found = resampled(labels, values, weights)
    for row, weight in enumerate(weights):
        got = {name: value[row] for name, value in found.items()}
        assert got == pytest.approx(by_reference(labels, values, weight), abs=1e-12)


@settings(max_examples=150, deadline=None)
@given(samples())
def test_a_weight_repeats_the_image(sample):
    labels, values, weights = sample
    found = resampled(labels, values, weights)
    for row, weight in enumerate(weights):
        got = {name: value[row] for name, value in found.items()}
        if weight.sum() == 0:
            assert np.isnan(list(got.values())).all()
            continue
        repeated = scores(np.repeat(labels, weight), np.repeat(values, weight))
        assert got == pytest.approx(repeated, abs=1e-12, nan_ok=True)


@settings(max_examples=100, deadline=None)
@given(samples(), st.floats(0, 1))
def test_functions_of_one_sample_equal_the_scores(sample, specificity):
    labels, values, _ = sample
    found = scores(labels, values)
    one = np.ones(len(labels), dtype=int)
    equal = {
        "average_precision": average_precision(labels, values),
        "sensitivity_at_90_specificity": sensitivity_at_specificity(labels, values, 0.90),
        "sensitivity_at_95_specificity": sensitivity_at_specificity(labels, values, 0.95),
    }
    for name, value in equal.items():
        np.testing.assert_equal(value, found[name])
    np.testing.assert_equal(
        sensitivity_at_specificity(labels, values, specificity),
        largest_sensitivity(labels, values, one, specificity),
    )


@settings(max_examples=100, deadline=None)
@given(samples(), st.randoms(use_true_random=False))
def test_order_of_images_does_not_matter(sample, random):
    labels, values, weights = sample
    images = list(range(len(labels)))
    random.shuffle(images)
    moved = resampled(labels[images], values[images], weights[:, images])
    for name, value in resampled(labels, values, weights).items():
        np.testing.assert_allclose(moved[name], value, rtol=0, atol=1e-12)


@settings(max_examples=100, deadline=None)
@given(
    samples(), st.sampled_from([np.exp, lambda x: x**3 + x, lambda x: np.rint(10 * x).astype(int)])
)
def test_a_monotone_transform_of_the_scores_changes_nothing(sample, transform):
    labels, values, weights = sample
    moved = resampled(labels, transform(values), weights)
    for name, value in resampled(labels, values, weights).items():
        np.testing.assert_array_equal(moved[name], value)


@settings(max_examples=100, deadline=None)
@given(samples())
def test_auc_is_that_of_two_classes(sample):
    labels, values, _ = sample
    two = of_classes(labels.astype(int), np.stack([-values, values], axis=1))
    np.testing.assert_equal(scores(labels, values)["auc"], two["macro_auc"])


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 400), st.integers(0, 400))
@example(10, 9)
@example(10, 7)
@example(20, 19)
def test_a_specificity_that_is_exactly_met_is_not_lost_to_rounding(negatives, kept):
    kept = min(kept, negatives)
    # The one positive is above `kept` negatives, and the specificity asked for is that very share.
    labels = np.append(np.zeros(negatives, dtype=bool), True)
    values = np.append(np.arange(negatives), kept - 0.5)
    share = float(Fraction(kept, negatives))
    assert sensitivity_at_specificity(labels, values, share) == 1
    if kept < negatives:
        assert sensitivity_at_specificity(labels, values, np.nextafter(share, 1)) == 0


def test_all_scores_equal_are_one_threshold():
    found = scores(LABELS, np.full(14, 0.5))
    assert found == {
        "auc": 0.5,
        "average_precision": pytest.approx(4 / 14),
        "sensitivity_at_90_specificity": 0,
        "sensitivity_at_95_specificity": 0,
    }


def test_without_positives_every_score_is_undefined():
    assert np.isnan(list(scores(np.zeros(3, dtype=bool), np.arange(3)).values())).all()


def test_without_negatives_all_but_the_average_precision_is_undefined():
    found = scores(np.ones(3, dtype=bool), np.arange(3))
    assert found.pop("average_precision") == 1
    assert np.isnan(list(found.values())).all()


def test_chunks_do_not_change_resamples(monkeypatch):
    weights = np.random.default_rng(0).integers(0, 3, (700, len(LABELS)))
    whole = resampled(LABELS, VALUES, weights)
    monkeypatch.setattr("benchmark.metrics.binary._CHUNK_ELEMENTS", 1)
    monkeypatch.setattr("benchmark.metrics.binary._CHUNK_LEAST", 3)
    chunked = resampled(LABELS, VALUES, weights)
    for name in SCORES:  # an average precision adds fractions, so its last digit may differ
        np.testing.assert_allclose(whole[name], chunked[name], rtol=0, atol=1e-15)


def test_no_chunk_holds_more_images_and_resamples_than_allowed():
    sizes = []

    def measure(by_image):
        sizes.append(by_image.shape)
        return {"total": by_image.sum(axis=0)}

    weights = np.ones((2000, 2000), dtype=np.int8)
    assert (in_chunks(weights, 2000, measure)["total"] == 2000).all()
    assert max(images * resamples for images, resamples in sizes) <= 2**20
    assert sum(resamples for _, resamples in sizes) == 2000


def test_no_resample_gives_empty_scores():
    found = resampled(LABELS, VALUES, np.ones((0, len(LABELS)), dtype=int))
    assert {name: value.shape for name, value in found.items()} == dict.fromkeys(SCORES, (0,))


def test_scores_equal_the_hand_computed_vectors():
    data = os.environ.get("DERMBENCH_DATA")
    source = Path(data).parent / "reference" / "method_vectors.json" if data else None
    if source is None or not source.is_file():
        pytest.skip("no reference/method_vectors.json beside the folder that DERMBENCH_DATA names")
    vector = json.loads(source.read_text())["binary_metrics"]
    labels, values = np.array(vector["y"]), np.array(vector["score"])
    assert scores(labels == 1, values)["auc"] == pytest.approx(vector["auc_of_scores"])

    probabilities = np.stack([1 - values, values], axis=1)
    table = per_class(labels, probabilities, ["negative", "positive"])
    found = of_classes(labels, probabilities)
    assert table.loc["positive", "sensitivity"] == pytest.approx(vector["sensitivity"])
    assert table.loc["positive", "specificity"] == pytest.approx(vector["specificity"])
    assert table.loc["positive", "f1"] == pytest.approx(vector["f1_positive"])
    assert table.loc["negative", "f1"] == pytest.approx(vector["f1_negative"])
    assert found["macro_f1"] == pytest.approx(vector["f1_macro"])
    assert found["balanced_accuracy"] == pytest.approx(vector["balanced_accuracy"])
    hard = hard_label_auc(table["sensitivity"], table["specificity"])
    assert hard == pytest.approx(vector["auc_of_hard_labels"])
    assert hard == pytest.approx(found["balanced_accuracy"])


@pytest.mark.parametrize(
    ("labels", "values", "says"),
    [
        ([], [], "no image"),
        ([True, False], [0.5], r"\(N,\)"),
        ([[True, False]], [[0.5, 0.1]], r"\(N,\)"),
        ([1, 0], [0.5, 0.1], "bool"),
        ([True, False], [0.5, np.nan], "finite"),
    ],
)
def test_bad_input_is_refused(labels, values, says):
    labels = np.array(labels, dtype=None if labels else bool)
    for call in (scores, average_precision):
        with pytest.raises(ValueError, match=says):
            call(labels, values)
    with pytest.raises(ValueError, match=says):
        sensitivity_at_specificity(labels, values, 0.9)


@pytest.mark.parametrize("specificity", [-0.1, 1.1, np.nan])
def test_a_specificity_out_of_range_is_refused(specificity):
    with pytest.raises(ValueError, match="specificity"):
        sensitivity_at_specificity(LABELS, VALUES, specificity)


@pytest.mark.parametrize(
    "weights", [np.ones((1, 9), int), -np.ones((1, 14), int), np.ones((1, 14)), np.ones(14, int)]
)
def test_bad_weights_are_refused(weights):
    with pytest.raises(ValueError, match="weights"):
        resampled(LABELS, VALUES, weights)
