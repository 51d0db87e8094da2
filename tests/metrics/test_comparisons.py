"""Comparing scores: what the tests find, how often they err, what they leave open."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.metrics import classification
from benchmark.metrics.statistics import (
    difference_over_seeds,
    group_weights,
    holm,
    interval,
    over_seeds,
    paired_test,
    rank_intervals,
    smallest_shown,
)

p_values = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def _correct(generator, skill, images):
    """(N,) 1.0 where a network of this accuracy is right; hard images are hard for all."""
    return (images < generator.normal(skill, 0.5, size=len(images))).astype(float)


def _resampled(correct, weights):
    return weights @ correct / weights.sum(axis=1)


def _pair(generator, better, groups=150, resamples=400):
    """The test of two networks on the same images, two a lesion."""
    images = np.repeat(generator.normal(0, 1, size=groups), 2)
    weights = group_weights(np.repeat(np.arange(groups), 2), resamples, seed=0)
    one, other = (_correct(generator, skill, images) for skill in (0.5 + better, 0.5))
    samples = _resampled(one, weights) - _resampled(other, weights)
    return paired_test(one.mean() - other.mean(), samples)


def test_equally_good_networks_are_told_apart_as_often_as_the_level_allows():
    generator = np.random.default_rng(0)
    found = [_pair(generator, better=0.0).p < 0.05 for _ in range(400)]
    assert 0.02 <= np.mean(found) <= 0.085


def test_a_planted_difference_is_found():
    generator = np.random.default_rng(1)
    tests = [_pair(generator, better=0.5) for _ in range(50)]
    assert np.mean([test.p < 0.05 for test in tests]) > 0.9
    assert all(test.low <= test.value <= test.high for test in tests)


def test_the_interval_of_a_difference_covers_the_true_one():
    generator = np.random.default_rng(2)
    tests = [_pair(generator, better=0.0) for _ in range(400)]
    assert 0.92 <= np.mean([test.low <= 0 <= test.high for test in tests]) <= 0.985


def test_the_same_answers_are_no_difference():
    found = paired_test(0.0, np.zeros(100))
    assert (found.low, found.high, found.p) == (0, 0, 1)


def test_the_test_has_no_direction():
    samples = np.random.default_rng(0).normal(0.1, 0.1, size=999)
    one, other = paired_test(0.1, samples), paired_test(-0.1, -samples)
    assert one.p == other.p
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


def test_a_p_value_is_never_zero_and_undefined_resamples_do_not_enter():
    samples = np.full(101, 0.5)
    assert paired_test(0.5, samples[:99]).p == pytest.approx(2 / 100)
    samples[99:] = np.nan
    assert paired_test(0.5, samples).p == pytest.approx(2 / 100)
    samples[40:] = np.nan
    assert np.isnan(paired_test(0.5, samples).p)
    assert np.isnan(paired_test(np.nan, np.zeros(9)).p)


def test_holm_by_hand():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.5, np.nan, 0.9]), [1, np.nan, 1])


@settings(max_examples=100, deadline=None)
@given(p_values, st.randoms(use_true_random=False))
def test_holm_keeps_the_order_never_helps_and_knows_no_order_of_rows(values, random):
    corrected = holm(values)
    assert (corrected >= np.array(values)).all()
    assert (corrected <= 1).all()
    order = np.argsort(values, kind="stable")
    assert (np.diff(corrected[order]) >= 0).all()
    moved = list(range(len(values)))
    random.shuffle(moved)
    np.testing.assert_allclose(holm([values[i] for i in moved]), corrected[moved])


def test_of_many_equal_networks_hardly_one_is_called_different():
    """The family's error, not the single test's: in 100 boards of ten, few have a false finding."""
    generator = np.random.default_rng(3)
    weights = group_weights(np.arange(200), 500, seed=0)
    wrong = 0
    for _ in range(100):
        images = generator.normal(size=200)
        right = np.array([_correct(generator, 0.5, images) for _ in range(10)])
        values, samples = right.mean(axis=1), np.array([_resampled(r, weights) for r in right])
        first = right[0].mean()
        p = [paired_test(first - values[i], samples[0] - samples[i]).p for i in range(1, 10)]
        wrong += (holm(p) < 0.05).any()
    assert wrong <= 10


def _board(skills, images=500, resamples=1000):
    generator = np.random.default_rng(4)
    labels = generator.integers(4, size=images)
    weights = group_weights(np.arange(images), resamples, seed=0)
    samples = []
    for skill in skills:
        said = generator.normal(size=(images, 4))
        said[np.arange(images), labels] += skill
        samples.append(classification.resampled(labels, said, weights, ["macro_f1"])["macro_f1"])
    return np.array(samples)


def test_ranks_of_equal_networks_are_open_and_that_of_a_much_better_one_is_not():
    found = rank_intervals(_board([1.5] * 20 + [3.0]))
    assert found[-1].tolist() == [1, 1]
    assert (found[:-1, 0] >= 2).all()
    assert np.median(found[:-1, 1] - found[:-1, 0]) > 8


def test_rows_that_are_the_same_share_the_better_rank():
    samples = _board([1.5, 3.0])
    found = rank_intervals(np.array([samples[0], samples[1], samples[0]]))
    assert found.tolist() == [[2, 2], [1, 1], [2, 2]]


def test_ranks_are_open_where_nothing_is_defined():
    assert rank_intervals(np.full((3, 5), np.nan)).tolist() == [[1, 3]] * 3
    half = np.array([[1.0, np.nan], [0.5, 0.7]])
    assert rank_intervals(half).tolist() == [[1, 1], [2, 2]]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 8), st.integers(1, 30), st.integers(0, 1000))
def test_rank_intervals_are_ranks_and_follow_the_rows(rows, resamples, seed):
    generator = np.random.default_rng(seed)
    samples = generator.integers(5, size=(rows, resamples)).astype(float)
    found = rank_intervals(samples)
    assert (found[:, 0] <= found[:, 1]).all()
    assert found.min() >= 1
    assert found.max() <= rows
    order = generator.permutation(rows)
    np.testing.assert_array_equal(rank_intervals(samples[order]), found[order])


def test_one_seed_keeps_its_resamples():
    samples = np.random.default_rng(0).normal(size=(1, 50))
    np.testing.assert_array_equal(over_seeds([0.1], samples), samples[0])


def test_seeds_that_agree_add_nothing():
    samples = np.tile(np.random.default_rng(0).normal(size=50), (3, 1))
    np.testing.assert_allclose(over_seeds([0.5] * 3, samples), samples[0])
    twice = difference_over_seeds(([0.5] * 3, [0.5] * 3), (samples, samples))
    np.testing.assert_allclose(twice, 0, atol=1e-12)


def test_the_spread_over_seeds_is_students_t():
    values = [0.1, 0.2, 0.3]
    low, high = interval(over_seeds(values, np.repeat([values], 20_000, axis=0).T))
    # 4.303 is t of 2 degrees of freedom at 97.5 %.
    half = 4.303 * 0.1 / np.sqrt(3)
    assert (low, high) == pytest.approx((0.2 - half, 0.2 + half), abs=0.01)


def test_a_difference_over_seeds_has_welchs_spread():
    one, other = np.array([0.1, 0.2, 0.3]), np.array([0.0, 0.1, 0.2])

    def spread(*sides):
        samples = tuple(np.repeat([side], 20_000, axis=0).T for side in sides)
        return interval(difference_over_seeds(sides, samples))

    # 2.776 is t of 4 degrees of freedom at 97.5 %: equal spreads, so those of both sides.
    half = 2.776 * 0.1 * np.sqrt(2 / 3)
    assert spread(one, other) == pytest.approx((0.1 - half, 0.1 + half), abs=0.01)
    # 4.303: only one side's spread is known.
    half = 4.303 * 0.1 / np.sqrt(3)
    assert spread(one, other[:1]) == pytest.approx((0.2 - half, 0.2 + half), abs=0.01)


def test_single_seeds_differ_by_their_resamples():
    one, other = np.random.default_rng(0).normal(size=(2, 1, 50))
    found = difference_over_seeds(([0.5], [0.4]), (one, other))
    np.testing.assert_array_equal(found, (one - other)[0])


def test_a_seed_without_a_score_leaves_the_resample_undefined():
    samples = np.array([[0.1, 0.2], [np.nan, 0.4]])
    assert np.isnan(over_seeds([0.1, 0.3], samples)).tolist() == [True, False]
    found = difference_over_seeds(([0.1, 0.3], [0.1, 0.3]), (samples, samples))
    assert np.isnan(found).tolist() == [True, False]
    assert np.isnan(over_seeds([np.nan, 0.3], samples)).all()


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_nested_intervals_cover_the_mean_over_networks_and_images(seeds):
    generator = np.random.default_rng(seeds)
    weights = group_weights(np.arange(100), 400, seed=0)
    hits = []
    for draw in range(300):
        images = generator.normal(size=100)
        right = [0.6 + 0.1 * images + generator.normal(0, 0.02) for _ in range(seeds)]
        samples = np.array([_resampled(one, weights) for one in right])
        low, high = interval(over_seeds([one.mean() for one in right], samples, draw))
        hits.append(low <= 0.6 <= high)
    assert 0.91 <= np.mean(hits) <= 0.995


@pytest.mark.parametrize("seeds", [(2, 2), (3, 3), (5, 2)])
def test_rows_that_differ_in_their_seeds_alone_are_told_apart_rarely(seeds):
    """Whether a seed is right of an image is partly its own matter, as between networks."""
    generator = np.random.default_rng(sum(seeds))
    weights = group_weights(np.arange(100), 300, seed=0)
    found = []
    for draw in range(300):
        images = generator.normal(size=100)
        rows = [
            [images + generator.normal(0, 0.5, 100) < generator.normal(0.5, 0.1) for _ in range(n)]
            for n in seeds
        ]
        values = tuple([one.mean() for one in row] for row in rows)
        samples = tuple(np.array([_resampled(one, weights) for one in row]) for row in rows)
        value = np.mean(values[0]) - np.mean(values[1])
        found.append(paired_test(value, difference_over_seeds(values, samples, draw)).p < 0.05)
    assert np.mean(found) <= 0.08


def test_the_smallest_difference_shown_is_found_four_times_in_five():
    generator = np.random.default_rng(5)
    spread = 0.02
    least = smallest_shown(spread)
    assert least == pytest.approx(2.8016 * spread, rel=1e-4)
    found = []
    for _ in range(400):
        value = generator.normal(least, spread)
        found.append(paired_test(value, generator.normal(value, spread, size=400)).p < 0.05)
    assert 0.74 <= np.mean(found) <= 0.86
