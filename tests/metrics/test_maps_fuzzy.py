"""Fuzzy scores by hand-made cases and closed forms, and the properties they must have."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from benchmark.metrics.maps import FUZZY_SCORES, fuzzy_scores

# Values as an 8-bit picture has them.
levels = st.integers(0, 255).map(lambda level: level / 255)
a_map = array_shapes(min_dims=2, max_dims=2, max_side=6).flatmap(
    lambda shape: arrays(np.float64, shape, elements=levels)
)
two_maps = array_shapes(min_dims=2, max_dims=2, max_side=6).flatmap(
    lambda shape: st.tuples(*[arrays(np.float64, shape, elements=levels)] * 2)
)


def test_fuzzy_scores_by_hand():
    t = np.array([[1.0, 0.5], [0.0, 0.0]])
    p = np.array([[0.8, 0.9], [0.3, 0.0]])
    found = fuzzy_scores(t, p)
    # min: .8 .5 0 0 ; max: 1 .9 .3 0 ; min of the complements: 0 .1 .7 1
    assert {name: float(value) for name, value in found.items()} == pytest.approx(
        {
            "f1": 2 * 1.3 / (1.5 + 2.0),
            "iou": 1.3 / 2.2,
            "precision": 1.3 / 2.0,
            "sensitivity": 1.3 / 1.5,
            "specificity": 1.8 / 2.5,
            "npv": 1.8 / 2.0,
        }
    )


def test_on_binary_maps_the_fuzzy_scores_are_the_common_ones():
    generator = np.random.default_rng(0)
    t, p = generator.integers(0, 2, (2, 20, 30)).astype(bool)
    tp, fp, fn, tn = (t & p).sum(), (~t & p).sum(), (t & ~p).sum(), (~t & ~p).sum()
    found = {name: float(value) for name, value in fuzzy_scores(t, p).items()}
    assert found == pytest.approx(
        {
            "f1": 2 * tp / (2 * tp + fp + fn),
            "iou": tp / (tp + fp + fn),
            "precision": tp / (tp + fp),
            "sensitivity": tp / (tp + fn),
            "specificity": tn / (tn + fp),
            "npv": tn / (tn + fn),
        }
    )


@pytest.mark.parametrize("level", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_constant_map_scores_the_closed_form(level, share):
    reference = np.zeros((10, 10))
    reference.flat[: int(100 * share)] = 1
    found = fuzzy_scores(reference, np.full((10, 10), level))
    assert found["f1"] == pytest.approx(2 * share * level / (share + level))
    assert found["precision"] == pytest.approx(share)
    assert found["sensitivity"] == pytest.approx(level)
    assert found["specificity"] == pytest.approx(1 - level)


def test_undefined_cases_are_nan_and_an_empty_prediction_has_f1_zero():
    zero, one = np.zeros((2, 2)), np.ones((2, 2))
    half = np.full((2, 2), 0.5)

    def undefined(t, p):
        return {name for name, value in fuzzy_scores(t, p).items() if np.isnan(value)}

    assert undefined(half, zero) == {"precision"}
    assert fuzzy_scores(half, zero)["f1"] == fuzzy_scores(half, zero)["iou"] == 0
    assert undefined(zero, half) == {"sensitivity"}
    assert undefined(half, one) == {"npv"}
    assert undefined(one, half) == {"specificity"}
    assert undefined(zero, zero) == {"f1", "iou", "precision", "sensitivity"}
    assert undefined(one, one) == {"specificity", "npv"}


@settings(max_examples=200, deadline=None)
@given(two_maps)
def test_scores_stay_in_bounds_and_f1_orders_with_iou(maps):
    found = fuzzy_scores(*maps)
    for value in found.values():
        assert np.isnan(value) or 0 <= value <= 1
    if not np.isnan(found["f1"]):
        assert found["f1"] == pytest.approx(2 * found["iou"] / (1 + found["iou"]))


@settings(max_examples=200, deadline=None)
@given(two_maps)
def test_f1_is_one_exactly_for_equal_maps_that_are_not_zero(maps):
    t, p = maps
    assert (fuzzy_scores(t, p)["f1"] == 1) == (np.array_equal(t, p) and t.any())


@settings(max_examples=200, deadline=None)
@given(a_map)
def test_equal_maps_score_one_or_nan_everywhere(t):
    for value in fuzzy_scores(t, t).values():
        assert np.isnan(value) or value == 1


@settings(max_examples=100, deadline=None)
@given(two_maps)
def test_swapping_the_maps_swaps_what_it_should(maps):
    t, p = maps
    one_way, other_way = fuzzy_scores(t, p), fuzzy_scores(p, t)
    pairs = {"f1": "f1", "iou": "iou", "precision": "sensitivity", "specificity": "npv"}
    for name, partner in pairs.items():
        np.testing.assert_array_equal(one_way[name], other_way[partner])


@settings(max_examples=100, deadline=None)
@given(two_maps)
def test_complementing_both_maps_swaps_positive_and_negative(maps):
    t, p = maps
    plain, complement = fuzzy_scores(t, p), fuzzy_scores(1 - t, 1 - p)
    for name, partner in {"sensitivity": "specificity", "precision": "npv"}.items():
        np.testing.assert_allclose(plain[name], complement[partner], atol=1e-9)


@settings(max_examples=100, deadline=None)
@given(two_maps, st.sampled_from([np.fliplr, np.flipud, np.transpose]))
def test_flipping_both_maps_changes_nothing(maps, flip):
    t, p = maps
    straight, flipped = fuzzy_scores(t, p), fuzzy_scores(flip(t), flip(p))
    for name in FUZZY_SCORES:
        np.testing.assert_allclose(straight[name], flipped[name], atol=1e-12)


def test_leading_axes_broadcast():
    generator = np.random.default_rng(0)
    t, p = generator.random((3, 1, 4, 5)), generator.random((2, 4, 5))
    found = fuzzy_scores(t, p)
    for name in FUZZY_SCORES:
        assert found[name].shape == (3, 2)
        assert found[name][2, 1] == fuzzy_scores(t[2, 0], p[1])[name]


@pytest.mark.parametrize("bad", [np.nan, -0.01, 1.01, np.inf])
def test_values_out_of_range_are_refused(bad):
    good, wrong = np.full((2, 2), 0.5), np.array([[0.5, bad], [0.5, 0.5]])
    with pytest.raises(ValueError, match="reference"):
        fuzzy_scores(wrong, good)
    with pytest.raises(ValueError, match="predicted"):
        fuzzy_scores(good, wrong)


def test_maps_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match="size"):
        fuzzy_scores(np.zeros((2, 3)), np.zeros((3, 2)))


def test_sums_of_large_float32_maps_are_exact_to_the_last_pixel():
    """One level of one pixel among 1.8 million must not be lost in the rounding of a sum."""
    t = np.random.default_rng(0).integers(0, 256, (1078, 1640)).astype(np.float32) / 255
    p = t.copy()
    p[500, 800] = 1 - p[500, 800]
    assert fuzzy_scores(t, t)["f1"] == 1
    found = fuzzy_scores(t, p)
    wide_t, wide_p = t.astype(np.float64), p.astype(np.float64)
    both = np.minimum(wide_t, wide_p).sum()
    assert found["f1"] < 1
    assert found["f1"] == pytest.approx(2 * both / (wide_t.sum() + wide_p.sum()), abs=1e-13)
    assert found["sensitivity"] == pytest.approx(both / wide_t.sum(), abs=1e-13)
