"""Weights, margins, priors, ramps and CReST's choice, on small tables made by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from benchmark.methods import crest, rates

ISIC_2018 = [1113, 6705, 514, 327, 1099, 115, 142]
COUNTS = st.lists(st.integers(1, 10_000), min_size=2, max_size=9)


@given(COUNTS)
def test_inverse_frequency_weights_are_scikit_learns(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    expected = compute_class_weight("balanced", classes=np.arange(len(counts)), y=labels)
    np.testing.assert_allclose(rates.inverse_frequency_weights(counts), expected, rtol=1e-12)


def test_an_absent_class_changes_no_other_weight_or_margin():
    without, absent = [60, 30, 10], [60, 0, 30, 10]
    for function in (
        rates.inverse_frequency_weights,
        lambda counts: rates.effective_number_weights(counts, 0.99),
        lambda counts: rates.ldam_margins(counts, 0.5),
    ):
        assert function(absent)[1] == 0
        assert np.delete(function(absent), 1).tolist() == function(without).tolist()


@given(COUNTS, st.floats(1e-6, 1 - 1e-9))
def test_effective_number_weights_sum_to_the_number_of_classes(counts, beta):
    weights = rates.effective_number_weights(counts, beta)
    assert weights.sum() == pytest.approx(len(counts), rel=1e-12)
    order = np.argsort(counts)
    assert (np.diff(weights[order]) <= 1e-12).all()


def test_effective_number_weights_go_from_equal_to_inverse_frequency():
    counts = [60, 30, 10]
    assert rates.effective_number_weights(counts, 1e-9) == pytest.approx([1, 1, 1])
    inverse = np.array([1 / 60, 1 / 30, 1 / 10])
    found = rates.effective_number_weights(counts, 1 - 1e-9)
    assert found == pytest.approx(3 * inverse / inverse.sum(), rel=1e-6)


def test_ldam_margins_by_hand():
    assert rates.ldam_margins([16, 1, 81], 0.6) == pytest.approx([0.3, 0.6, 0.2], rel=1e-12)


def test_log_prior_by_hand():
    assert rates.log_prior([3, 1]) == pytest.approx([math.log(0.75), math.log(0.25)])


def test_a_class_without_images_has_the_prior_of_one_image():
    assert rates.log_prior([6, 0, 4]) == pytest.approx(np.log([0.6, 0.1, 0.4]))


@pytest.mark.parametrize(
    "function",
    [
        rates.inverse_frequency_weights,
        lambda counts: rates.effective_number_weights(counts, 0.9),
        lambda counts: rates.ldam_margins(counts, 0.5),
        rates.log_prior,
        lambda counts: crest.sampling_rates(counts, 1 / 3),
    ],
)
@pytest.mark.parametrize("counts", [[0, 0], [], [3, -1], [3, math.nan], [[3, 1]], 3])
def test_counts_that_are_none_are_refused(function, counts):
    with pytest.raises(ValueError, match=r"no class has an image|class counts are numbers"):
        function(counts)


@pytest.mark.parametrize("beta", [-0.1, 0, 1, 1.5, math.nan])
def test_a_beta_out_of_range_is_refused(beta):
    with pytest.raises(ValueError, match="above 0 and below 1"):
        rates.effective_number_weights([3, 1], beta)


def test_the_ramp_starts_at_exp_of_minus_five_and_ends_at_one():
    found = [rates.sigmoid_rampup(step, 10) for step in (-1, 0, 5, 10, 11)]
    expected = [math.exp(-5), math.exp(-5), math.exp(-1.25), 1, 1]
    assert found == pytest.approx(expected, rel=1e-12)
    assert rates.sigmoid_rampup(0, 0) == 1
    with pytest.raises(ValueError, match="0 or more"):
        rates.sigmoid_rampup(0, -1)


def test_a_mean_teacher_is_the_mean_of_its_students_until_the_limit():
    students, teacher = [4.0, 1.0, 7.0, 2.0], 100.0
    for step, student in enumerate(students):
        kept = rates.ema_rate(step)
        teacher = kept * teacher + (1 - kept) * student
    assert teacher == pytest.approx(np.mean(students))
    assert rates.ema_rate(98) < 0.99
    assert rates.ema_rate(99) == pytest.approx(0.99)
    assert rates.ema_rate(100) == rates.ema_rate(10**9) == 0.99
    assert rates.ema_rate(10**9, limit=0.999) == 0.999
    with pytest.raises(ValueError, match="0 or more"):
        rates.ema_rate(-1)


def test_crest_rates_by_hand():
    """Ranks 1, 0, 2 by count: the middle class has the middle count for an opposite."""
    assert crest.sampling_rates([4, 8, 1], 1 / 3) == pytest.approx([0.5 ** (1 / 3), 0.5, 1])


def test_crest_rates_rank_by_count_and_not_by_index():
    """The class-order trap, on data whose classes are not sorted by count."""
    found = crest.sampling_rates(ISIC_2018, 1 / 3)
    rarest, commonest = np.argmin(ISIC_2018), np.argmax(ISIC_2018)
    assert found[rarest] == 1
    assert found[commonest] == found.min() == pytest.approx((115 / 6705) ** (1 / 3))


@given(st.permutations(range(7)), st.floats(0, 3))
def test_crest_rates_follow_their_classes_when_those_are_permuted(order, alpha):
    counts = np.array(ISIC_2018)
    expected = crest.sampling_rates(counts, alpha)[order]
    assert crest.sampling_rates(counts[order], alpha).tolist() == expected.tolist()


@given(COUNTS, st.floats(0, 3))
def test_crest_rates_do_not_fall_with_rarity_and_end_at_one(counts, alpha):
    found = crest.sampling_rates(counts, alpha)
    assert (np.diff(found[np.argsort(-np.array(counts), kind="stable")]) >= 0).all()
    assert found.max() == 1
    assert found.min() > 0


def test_crest_rates_of_alpha_zero_keep_everything():
    assert crest.sampling_rates([5, 0, 9], 0).tolist() == [1, 1, 1]


def test_crest_rates_with_ties_and_absent_classes():
    # Ranks 0, 1, 2, 3: class 0 stands before class 1, which has as many.
    assert crest.sampling_rates([8, 8, 2, 1], 1).tolist() == [1 / 8, 2 / 8, 1, 1]
    assert crest.sampling_rates([8, 4, 0], 1).tolist() == [0, 0.5, 1]


def test_crest_refuses_a_negative_alpha():
    with pytest.raises(ValueError, match="0 or more"):
        crest.sampling_rates([3, 1], -1)


def _sure(counts):
    """Probabilities whose predicted classes have these counts, the later the surer."""
    labels = np.repeat(np.arange(len(counts)), counts)
    confidence = np.linspace(0.6, 0.9, len(labels))[:, None]
    picked = np.eye(len(counts))[labels]
    return picked * confidence + (1 - picked) * (1 - confidence) / (len(counts) - 1)


def test_crest_keeps_the_surest_of_each_predicted_class():
    found = crest.select(_sure([4, 3]), np.array([0.5, 1.0]))
    assert found.tolist() == [3, 2, 6, 5, 4]
    assert found.dtype == np.int64


@pytest.mark.parametrize(
    ("count", "rate", "kept"), [(10, 0.3, 3), (100, 0.29, 29), (100, 0.57, 57), (100, 0.2999, 29)]
)
def test_crest_keeps_whole_numbers_whole(count, rate, kept):
    assert len(crest.select(_sure([count, 5]), np.array([rate, 0.0]))) == kept


@given(st.integers(1, 2000), st.integers(0, 2000))
def test_crest_keeps_exactly_the_share_asked_for(count, kept):
    """The rate kept / count, rounded to float64, asks for `kept` images."""
    kept = min(kept, count)
    found = crest.select(_sure([count, 1]), np.array([kept / count, 0.0]))
    assert len(found) == kept


def test_crest_keeps_the_earlier_of_equally_sure_images():
    probabilities = np.array([[0.8, 0.2]] * 4)
    assert crest.select(probabilities, np.array([0.5, 1.0])).tolist() == [0, 1]


def test_crest_keeps_nothing_of_nothing():
    assert crest.select(np.zeros((0, 3)), np.ones(3)).tolist() == []


@pytest.mark.parametrize("rates_given", [[0.5], [0.5, 1.1], [-0.1, 1.0], [0.5, math.nan]])
def test_crest_refuses_rates_that_are_no_shares(rates_given):
    with pytest.raises(ValueError, match=r"2 rates in 0\.\.1"):
        crest.select(np.array([[0.8, 0.2]]), np.array(rates_given))
