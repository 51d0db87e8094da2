"""The bootstrap over groups: what it draws, what it covers, what it cannot know."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.metrics.statistics import (
    Estimate,
    bootstrap,
    combine_seeds,
    group_weights,
    interval,
)

some_groups = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=30)


@settings(max_examples=50, deadline=None)
@given(some_groups)
def test_images_of_a_group_enter_together_and_as_many_groups_as_there_are(groups):
    weights = group_weights(groups, resamples=20, seed=1)
    assert weights.shape == (20, len(groups))
    names, first = np.unique(groups, return_index=True)
    for name in names:
        columns = weights[:, np.array(groups) == name]
        assert (columns == columns[:, :1]).all()
    drawn = len(names) if len(names) > 1 else 0
    assert (weights[:, first].sum(axis=1) == drawn).all()


@settings(max_examples=50, deadline=None)
@given(some_groups, st.randoms(use_true_random=False))
def test_weights_follow_the_images_when_these_are_reordered(groups, random):
    order = list(range(len(groups)))
    random.shuffle(order)
    weights = group_weights(groups, resamples=5, seed=3)
    moved = group_weights([groups[i] for i in order], resamples=5, seed=3)
    np.testing.assert_array_equal(moved, weights[:, order])


def test_same_seed_same_weights_and_another_seed_others():
    groups = list("aabbccdd")
    np.testing.assert_array_equal(group_weights(groups, 50, 0), group_weights(groups, 50, 0))
    assert (group_weights(groups, 50, 0) != group_weights(groups, 50, 1)).any()


@pytest.mark.parametrize("count", [2, 7, 600, 3001])
def test_each_resample_is_the_next_draw_however_many_are_drawn_at_a_time(count):
    """Records of all times were scored by these draws."""
    generator = np.random.default_rng(5)
    one_by_one = [
        np.bincount(generator.integers(count, size=count), minlength=count) for _ in range(300)
    ]
    np.testing.assert_array_equal(group_weights(np.arange(count), 300, 5), one_by_one)


def test_every_group_is_drawn_equally_often():
    weights = group_weights(list("abcd"), resamples=20_000, seed=0)
    np.testing.assert_allclose(weights.mean(axis=0), 1, atol=0.03)


def test_a_single_group_has_a_value_and_no_interval():
    found = bootstrap([0.2, 0.4], ["patient", "patient"])
    assert found.value == pytest.approx(0.3)
    assert np.isnan([found.low, found.high]).all()
    assert (found.n, found.groups) == (2, 1)


def test_undefined_images_do_not_enter():
    found = bootstrap([0.0, np.nan, 1.0, np.nan], ["a", "a", "b", "c"])
    assert (found.value, found.n, found.groups) == (0.5, 2, 2)
    assert (found.low, found.high) == (0.0, 1.0)


def test_no_defined_image_gives_no_value():
    found = bootstrap([np.nan], ["a"])
    assert np.isnan(found.value)
    assert (found.n, found.groups) == (0, 0)


def test_interval_holds_the_middle_of_the_samples():
    assert interval(np.arange(101.0), level=0.9) == pytest.approx((5, 95))
    assert interval(np.append(np.arange(101.0), np.nan), level=0.9) == pytest.approx((5, 95))


def test_interval_is_undefined_when_most_samples_are():
    assert np.isnan(interval([0.5, np.nan, np.nan])).all()
    assert np.isnan(interval([])).all()


def test_interval_covers_the_truth_when_images_of_a_group_are_alike():
    """400 simulated test sets, 50 patients of 1 to 8 alike images, true mean 0: 95 % is nominal.

    Resampling images as if they were independent covers it far less often.
    """
    generator = np.random.default_rng(0)
    by_group = by_image = 0
    simulations = 400
    for seed in range(simulations):
        sizes = generator.integers(1, 9, 50)
        groups = np.repeat(np.arange(50), sizes)
        values = np.repeat(generator.normal(size=50), sizes) + generator.normal(
            scale=0.3, size=len(groups)
        )
        found = bootstrap(values, groups, resamples=400, seed=seed)
        by_group += found.low <= 0 <= found.high
        alone = bootstrap(values, np.arange(len(groups)), resamples=400, seed=seed)
        by_image += alone.low <= 0 <= alone.high
    assert 0.90 <= by_group / simulations <= 0.98
    assert by_image / simulations < 0.75


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="values"):
        bootstrap([0.1, 0.2], ["a"])


def test_one_seed_keeps_its_own_interval():
    alone = Estimate(0.7, 0.6, 0.75, 100, 90)
    assert combine_seeds([alone]) == alone


def test_seeds_that_agree_keep_the_spread_over_images():
    seed = Estimate(0.7, 0.6, 0.75, 100, 90)
    found = combine_seeds([seed, seed, seed])
    assert (found.value, found.low, found.high) == pytest.approx((0.7, 0.6, 0.75))


def test_the_spread_over_seeds_is_students_t():
    seeds = [Estimate(v, v, v, 10, 10) for v in (0.5, 0.6, 0.7)]
    half = 4.302653 * 0.1 / np.sqrt(3)  # t(0.975, 2 degrees of freedom) from a printed table
    found = combine_seeds(seeds)
    assert (found.low, found.high) == pytest.approx((0.6 - half, 0.6 + half), abs=1e-6)


def test_a_seed_without_a_value_leaves_the_mean_undefined():
    nan = float("nan")
    found = combine_seeds([Estimate(0.7, 0.6, 0.8, 10, 9), Estimate(nan, nan, nan, 0, 0)])
    assert np.isnan([found.value, found.low, found.high]).all()
    assert (found.n, found.groups) == (0, 0)


def test_combined_interval_covers_the_mean_over_networks_and_images():
    """300 simulated results of three seeds: images and seeds both vary, the true score is 0.6."""
    generator = np.random.default_rng(1)
    covered = 0
    for _ in range(300):
        shared = generator.normal(0, 0.15, 150)  # how hard each image is, the same for all seeds
        seeds = []
        for _ in range(3):
            values = 0.6 + shared + generator.normal(0, 0.02) + generator.normal(0, 0.05, 150)
            half = 1.96 * values.std(ddof=1) / np.sqrt(150)
            mean = values.mean()
            seeds.append(Estimate(mean, mean - half, mean + half, 150, 150))
        found = combine_seeds(seeds)
        covered += found.low <= 0.6 <= found.high
    assert 0.93 <= covered / 300 <= 1.0
