"""Calibration against scikit-learn, hand-made tables, plain loops and its own algebra."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve

from benchmark.metrics.calibration import (
    SCORES,
    TEMPERATURES,
    adaptive_ece,
    brier,
    classwise_ece,
    ece,
    fit_temperature,
    negative_log_likelihood,
    reliability_table,
    resampled,
    scaled,
    scores,
)
from benchmark.metrics.classification import predicted_classes


@st.composite
def samples(draw):
    """Labels, probabilities (some on a coarse grid, so that confidences tie) and weights."""
    images, classes = draw(st.integers(1, 30)), draw(st.integers(2, 5))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = generator.integers(draw(st.sampled_from([1, classes])), size=images)
    probabilities = generator.dirichlet(np.ones(classes), images)
    if draw(st.booleans()):
        probabilities = generator.multinomial(5, probabilities) / 5
    weights = generator.integers(0, 4, (draw(st.integers(1, 4)), images))
    return labels, probabilities, weights


def two_classes(confidence, correct):
    """Labels and probabilities of images of class 0 or not, all called class 0."""
    confidence = np.asarray(confidence)
    return 1 - np.asarray(correct), np.stack([confidence, 1 - confidence], axis=1)


def of(labels, probabilities):
    """Confidence and whether it is right, of images without ties between classes."""
    return probabilities.max(axis=1), predicted_classes(probabilities) == labels


def plain_ece(truth, confidence, bins):
    """Bin by bin, as it is defined."""
    total = 0.0
    for k in range(bins):
        inside = (confidence >= k / bins) & ((confidence < (k + 1) / bins) | (k == bins - 1))
        if inside.any():
            total += inside.mean() * abs(truth[inside].mean() - confidence[inside].mean())
    return total


def plain_adaptive_ece(truth, confidence, bins):
    """Of confidences that do not tie."""
    parts = np.array_split(np.argsort(confidence), bins)
    gaps = [abs(truth[p].mean() - confidence[p].mean()) * len(p) for p in parts if len(p)]
    return sum(gaps) / len(truth)


@settings(max_examples=150, deadline=None)
@given(samples(), st.integers(1, 15))
def test_ece_and_classwise_ece_are_the_sums_over_their_bins(sample, bins):
    labels, probabilities, _ = sample
    confidence, correct = of(labels, probabilities)
    assert ece(labels, probabilities, bins) == pytest.approx(plain_ece(correct, confidence, bins))
    by_class = [plain_ece(labels == k, each, bins) for k, each in enumerate(probabilities.T)]
    assert classwise_ece(labels, probabilities, bins) == pytest.approx(np.mean(by_class))


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_adaptive_ece_without_ties_is_that_of_numpys_equal_parts(images, bins, seed):
    generator = np.random.default_rng(seed)
    labels, probabilities = generator.integers(3, size=images), generator.dirichlet([1] * 3, images)
    confidence, correct = of(labels, probabilities)
    expected = plain_adaptive_ece(correct, confidence, bins)
    assert adaptive_ece(labels, probabilities, bins) == pytest.approx(expected)


def test_adaptive_ece_divides_ties_on_a_border_in_proportion():
    # Two bins of two images; the two of 0.8, one of them right, are half in each.
    labels, probabilities = two_classes([0.6, 0.8, 0.8, 0.9], [0, 1, 0, 1])
    expected = (abs(0.6 + (0.8 - 0.5)) + abs((0.8 - 0.5) + (0.9 - 1))) / 4
    assert adaptive_ece(labels, probabilities, 2) == pytest.approx(expected)


def test_adaptive_ece_of_one_confidence_is_the_gap():
    labels, probabilities = two_classes([0.8] * 7, [1, 1, 1, 0, 0, 0, 0])
    assert adaptive_ece(labels, probabilities) == pytest.approx(0.8 - 3 / 7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_confidence_on_an_edge_is_in_the_bin_above_it(dtype):
    edges = np.array([0.6, 0.7, 0.8, 0.9, 1.0])
    labels, probabilities = two_classes(edges.astype(dtype), [1] * 5)
    assert reliability_table(labels, probabilities)["n"].tolist() == [0] * 6 + [1, 1, 1, 2]
    three = np.array([[0.3, 0.3, 0.2, 0.2]], dtype)
    assert reliability_table([0], three)["n"].tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]


@settings(max_examples=50, deadline=None)
@given(samples())
def test_scikit_learn_agrees_on_brier_likelihood_and_calibration_curve(sample):
    labels, probabilities, _ = sample
    classes = list(range(probabilities.shape[1]))
    # Class by class: before 1.7 it scores two classes at most.
    by_class = [
        reference.brier_score_loss(labels == k, each, pos_label=True)
        for k, each in enumerate(probabilities.T)
    ]
    assert brier(labels, probabilities) == pytest.approx(sum(by_class))
    positive = np.clip(probabilities, 1e-9, 1)
    positive /= positive.sum(axis=1, keepdims=True)
    assert negative_log_likelihood(labels, positive) == pytest.approx(
        reference.log_loss(labels, positive, labels=classes)
    )
    confidence, correct = of(labels, probabilities)
    # It holds the upper edge of a bin where we hold the lower one: away from edges they agree.
    inside = np.abs(confidence * 10 - np.round(confidence * 10)) > 1e-6
    if inside.any():
        table = reliability_table(labels[inside], probabilities[inside]).query("n > 0")
        shares, means = calibration_curve(correct[inside], confidence[inside], n_bins=10)
        np.testing.assert_allclose(table["accuracy"], shares)
        np.testing.assert_allclose(table["mean_confidence"], means)


def test_brier_by_hand_sums_over_classes():
    assert brier([0, 1], np.array([[0.0, 1.0], [0.2, 0.8]])) == pytest.approx((2 + 0.08) / 2)


def test_a_true_class_of_probability_zero_costs_a_finite_amount():
    value = negative_log_likelihood([0], np.array([[0.0, 1.0]], np.float32))
    assert value == pytest.approx(-np.log(2.0**-126))


def test_ece_and_its_table_equal_the_vector():
    data = os.environ.get("DERMBENCH_DATA")
    source = Path(data).parent / "reference" / "method_vectors.json" if data else None
    if source is None or not source.is_file():
        pytest.skip("no reference/method_vectors.json beside the folder that DERMBENCH_DATA names")
    vector = json.loads(source.read_text())["ece"]
    labels, probabilities = two_classes(vector["confidence"], vector["correct"])
    assert ece(labels, probabilities) == pytest.approx(vector["ece"], abs=1e-8)
    table = reliability_table(labels, probabilities).query("n > 0")
    rows = np.array(vector["rows_lower_n_acc_conf_gap"])
    columns = table[["low", "n", "accuracy", "mean_confidence"]]
    np.testing.assert_allclose(columns, rows[:, :4], atol=1e-8)
    gaps = (table["accuracy"] - table["mean_confidence"]).abs()
    assert gaps.max() == pytest.approx(vector["mce"])


@given(st.lists(st.integers(6, 20), min_size=1, max_size=6))
def test_a_calibrated_network_has_no_calibration_error(tenths):
    # Of 20 images of confidence m / 20, m are right.
    confidence = np.repeat(np.array(tenths) / 20, 20)
    correct = np.concatenate([np.arange(20) < m for m in tenths])
    rest = (1 - confidence[:, None]) / 4
    probabilities = np.concatenate([confidence[:, None], np.repeat(rest, 4, axis=1)], axis=1)
    # The wrong ones are divided evenly among the other classes as far as they can be.
    wrong = np.cumsum(~correct) % 4 + 1
    labels = np.where(correct, 0, wrong)
    assert ece(labels, probabilities) == pytest.approx(0, abs=1e-12)


@settings(max_examples=150, deadline=None)
@given(samples())
def test_a_weight_repeats_the_image(sample):
    labels, probabilities, weights = sample
    found = resampled(labels, probabilities, weights)
    assert tuple(found) == SCORES
    for row, weight in enumerate(weights):
        got = {name: value[row] for name, value in found.items()}
        if weight.sum() == 0:
            assert np.isnan(list(got.values())).all()
            continue
        repeated = scores(np.repeat(labels, weight), np.repeat(probabilities, weight, axis=0))
        assert got == pytest.approx(repeated, abs=1e-12)


def test_chunks_do_not_change_resamples(monkeypatch):
    generator = np.random.default_rng(0)
    labels, probabilities = generator.integers(3, size=12), generator.dirichlet([1] * 3, 12)
    weights = generator.integers(0, 3, (200, 12))
    whole = resampled(labels, probabilities, weights)
    monkeypatch.setattr("benchmark.metrics.binary._CHUNK_ELEMENTS", 1)
    monkeypatch.setattr("benchmark.metrics.binary._CHUNK_LEAST", 3)
    for name, value in resampled(labels, probabilities, weights).items():
        np.testing.assert_allclose(whole[name], value, rtol=1e-12)


def test_no_resample_gives_empty_metrics():
    found = resampled([0, 1], np.eye(2), np.ones((0, 2), int))
    assert {name: value.shape for name, value in found.items()} == dict.fromkeys(SCORES, (0,))


@settings(max_examples=50, deadline=None)
@given(samples(), st.integers(0, 2**32 - 1))
def test_order_of_images_and_classes_does_not_matter(sample, seed):
    labels, probabilities, _ = sample
    generator = np.random.default_rng(seed)
    images = generator.permutation(len(labels))
    classes = generator.permutation(probabilities.shape[1])
    moved = np.argsort(classes)[labels[images]], probabilities[images][:, classes]
    assert scores(*moved) == pytest.approx(scores(labels, probabilities), abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(samples())
def test_float32_gives_the_same_scores(sample):
    labels, probabilities, _ = sample
    single = scores(labels, probabilities.astype(np.float32))
    wide = scores(labels, probabilities)
    for name in ("ece", "brier", "aurc", "accuracy_at_coverage_80"):
        assert single[name] == pytest.approx(wide[name], abs=1e-5)


def test_one_image_has_every_score():
    found = scores([1], np.array([[0.25, 0.75]]))
    assert found["ece"] == found["adaptive_ece"] == found["classwise_ece"] == 0.25
    assert found["brier"] == 0.125
    assert found["negative_log_likelihood"] == pytest.approx(-np.log(0.75))
    assert found["aurc"] == 0
    assert found["accuracy_at_coverage_50"] == 1


@settings(max_examples=100, deadline=None)
@given(samples())
def test_a_fitted_temperature_never_raises_the_loss_and_beats_a_grid(sample):
    labels, probabilities, _ = sample
    temperature = fit_temperature(labels, probabilities)
    assert TEMPERATURES[0] <= temperature <= TEMPERATURES[1]
    before = negative_log_likelihood(labels, probabilities)
    after = negative_log_likelihood(labels, scaled(probabilities, temperature))
    assert after <= before + 1e-12
    for other in np.geomspace(*TEMPERATURES, 25):
        tried = negative_log_likelihood(labels, scaled(probabilities, other))
        # A floor lies under the reported loss, not under the one that is minimised.
        if probabilities.min() > 1e-3:
            assert after <= tried + 1e-6


def test_fit_finds_the_temperature_that_sharpened_calibrated_outputs():
    generator = np.random.default_rng(0)
    honest = generator.dirichlet(np.ones(4), 20_000)
    labels = (generator.random(20_000)[:, None] > honest.cumsum(axis=1)).sum(axis=1)
    logits = np.log(honest) + generator.normal(size=(20_000, 1))
    for wanted in (0.5, 1.0, 2.5):
        sharpened = softmax(logits * wanted, axis=1).astype(np.float32)
        assert fit_temperature(labels, sharpened) == pytest.approx(wanted, rel=0.03)


def test_fit_stops_at_its_bounds_and_stays_at_1_where_nothing_is_to_be_won():
    sure = np.array([[0.8, 0.2], [0.3, 0.7]])
    assert fit_temperature([0, 1], sure) == TEMPERATURES[0]
    assert fit_temperature([1, 0], sure) == TEMPERATURES[1]
    assert fit_temperature([0, 1, 2], np.full((3, 3), 1 / 3)) == 1
    assert fit_temperature([0, 1], np.eye(2)) == 1


@settings(max_examples=100, deadline=None)
@given(samples(), st.floats(0.05, 20))
def test_scaling_keeps_the_predicted_class_and_1_changes_nothing(sample, temperature):
    probabilities = sample[1].astype(np.float32)
    found = scaled(probabilities, temperature)
    np.testing.assert_array_equal(predicted_classes(found), predicted_classes(probabilities))
    np.testing.assert_allclose(found.sum(axis=1), 1)
    np.testing.assert_allclose(scaled(probabilities, 1.0), probabilities, atol=1e-6)


def test_scaling_by_hand():
    assert scaled(np.array([[0.8, 0.2]]), 2.0).tolist() == [pytest.approx([2 / 3, 1 / 3])]
    assert scaled(np.array([[1.0, 0.0]]), 1.0).tolist() == [pytest.approx([1, 0])]


@pytest.mark.parametrize(
    ("labels", "probabilities", "told"),
    [
        ([0, 1], [[0.5, 0.5]], "must be"),
        ([], np.zeros((0, 2)), "no image"),
        ([0.0], [[0.5, 0.5]], "integers"),
        ([2], [[0.5, 0.5]], r"in \[0, 2\)"),
        ([-1], [[0.5, 0.5]], r"in \[0, 2\)"),
        ([0], [[np.nan, 0.5]], r"in \[0, 1\]"),
        ([0], [[1.5, -0.5]], r"in \[0, 1\]"),
        ([0], [[0.9, 0.9]], "sum to 1"),
    ],
)
def test_what_is_no_sample_is_refused(labels, probabilities, told):
    with pytest.raises(ValueError, match=told):
        scores(labels, np.array(probabilities))


def test_impossible_bins_and_temperatures_are_refused():
    for score in (ece, adaptive_ece, classwise_ece, reliability_table):
        with pytest.raises(ValueError, match="bin"):
            score([0], np.array([[0.6, 0.4]]), 0)
    with pytest.raises(ValueError, match="above 0"):
        scaled(np.array([[0.6, 0.4]]), 0)
