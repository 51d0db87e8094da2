"""Risk and coverage, on small tables and against shuffled orders."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.metrics.selective import accuracy, aurc, risk_coverage_table


def two_classes(confidence, correct):
    """Labels and probabilities of images that are all called class 0."""
    confidence = np.asarray(confidence)
    return 1 - np.asarray(correct), np.stack([confidence, 1 - confidence], axis=1)


SMALL = two_classes([0.9, 0.6, 0.8, 0.7], [1, 0, 0, 1])


def test_aurc_by_hand():
    # By falling confidence: right, wrong, right, wrong.
    assert aurc(*SMALL) == pytest.approx((0 + 1 / 2 + 1 / 3 + 2 / 4) / 4)


def test_accuracy_by_hand_rounds_the_number_kept_up():
    assert [accuracy(*SMALL, percent) for percent in (1, 25, 26, 50, 75, 100)] == pytest.approx(
        [1, 1, 1 / 2, 1 / 2, 2 / 3, 1 / 2]
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.6, 0.7, 0.8]), st.booleans()), min_size=1, max_size=6))
def test_aurc_of_ties_is_the_mean_over_their_orders(images):
    confidence, correct = map(np.array, zip(*images, strict=True))
    generator = np.random.default_rng(0)
    areas = []
    for _ in range(4000):
        order = np.lexsort([generator.random(len(images)), -confidence])
        errors = np.cumsum(~correct[order])
        areas.append(np.mean(errors / np.arange(1, len(images) + 1)))
    spread = np.std(areas) / np.sqrt(len(areas))
    found = aurc(*two_classes(confidence, correct.astype(int)))
    assert found == pytest.approx(np.mean(areas), abs=5 * spread + 1e-9)


def test_a_confidence_that_says_nothing_has_the_error_rate_at_every_coverage():
    labels, probabilities = two_classes([0.7] * 9, [1, 0, 0] * 3)
    assert aurc(labels, probabilities) == pytest.approx(2 / 3)
    risk = risk_coverage_table(labels, probabilities)["risk"]
    np.testing.assert_allclose(risk, 2 / 3)


def test_an_undecided_image_is_wrong():
    assert aurc([0], np.array([[0.5, 0.5]])) == 1


def test_the_table_has_every_coverage_and_whom_it_keeps():
    table = risk_coverage_table(*SMALL)
    assert table.index.tolist() == list(range(1, 101))
    assert table.loc[[1, 25, 26, 75, 76, 100], "n"].tolist() == [1, 1, 2, 3, 4, 4]
    expected = [0.9, 0.8, 0.7, 0.6]
    assert table.loc[[25, 50, 75, 100], "least_confidence"].tolist() == pytest.approx(expected)
    assert table.loc[50, "accuracy"] == accuracy(*SMALL, 50) == 1 - table.loc[50, "risk"]


@pytest.mark.parametrize("percent", [0, 101])
def test_an_impossible_coverage_is_refused(percent):
    with pytest.raises(ValueError, match="1 to 100"):
        accuracy(*SMALL, percent)
