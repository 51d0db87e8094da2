"""Map scores by hand-made cases and closed forms, and the properties they must have."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from benchmark.metrics.maps import (
    FUZZY_SCORES,
    centred_gaussian,
    fuse,
    fuzzy_scores,
    leave_one_out_agreement,
    normalise,
    upscale,
)

# Values as an 8-bit picture has them.
levels = st.integers(0, 255).map(lambda level: level / 255)
a_map = array_shapes(min_dims=2, max_dims=2, max_side=6).flatmap(
    lambda shape: arrays(np.float64, shape, elements=levels)
)
two_maps = array_shapes(min_dims=2, max_dims=2, max_side=6).flatmap(
    lambda shape: st.tuples(*[arrays(np.float64, shape, elements=levels)] * 2)
)


def mask(*rows):
    """A mask drawn with # and . , one string a row."""
    return np.array([[pixel == "#" for pixel in row] for row in rows])


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


def test_fusing_by_sum_counts_masks_and_by_share_counts_annotators():
    plaque, scale = mask("##.", "..."), mask("#..", "#..")
    second = mask("#.#", "...")
    masks, annotators = np.stack([plaque, scale, second]), ["ann", "ann", "ben"]
    assert fuse(masks, "sum", annotators) == pytest.approx(np.array([[3, 1, 1], [1, 0, 0]]) / 3)
    assert fuse(masks, "share", annotators) == pytest.approx(np.array([[2, 1, 1], [1, 0, 0]]) / 2)
    assert fuse(masks, "share") == pytest.approx(np.array([[3, 1, 1], [1, 0, 0]]) / 3)


def test_an_annotator_with_an_empty_mask_lowers_the_share_and_not_the_sum():
    masks = np.stack([mask("#."), mask("..")])
    assert fuse(masks, "share").tolist() == [[0.5, 0.0]]
    assert fuse(masks, "sum").tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("rule", ["sum", "share"])
def test_fusing_empty_masks_gives_the_zero_map(rule):
    assert not fuse(np.zeros((2, 3, 3), bool), rule).any()


@pytest.mark.parametrize(
    ("masks", "rule", "annotators"),
    [
        (np.zeros((0, 3, 3), bool), "sum", None),
        (np.zeros((3, 3), bool), "sum", None),
        (np.full((1, 3, 3), 255, np.uint8), "sum", None),
        (np.zeros((2, 3, 3), bool), "median", None),
        (np.zeros((2, 3, 3), bool), "share", ["ann"]),
    ],
)
def test_fusing_refuses_what_is_not_a_stack_of_masks(masks, rule, annotators):
    with pytest.raises(ValueError, match=r"masks|rule"):
        fuse(masks, rule, annotators)


@pytest.mark.parametrize("rule", ["sum", "share"])
def test_each_annotator_is_scored_against_the_others_fused(rule):
    generator = np.random.default_rng(0)
    by_annotator = {
        name: generator.random((count, 6, 7)) > 0.6
        for name, count in {"ann": 1, "ben": 3, "cem": 2}.items()
    }
    found = leave_one_out_agreement(by_annotator, rule)
    assert list(found) == ["ann", "ben", "cem"]
    for name, agreement in found.items():
        others = [other for other in by_annotator if other != name]
        reference = fuse(
            np.concatenate([by_annotator[other] for other in others]),
            rule,
            [other for other in others for _ in by_annotator[other]],
        )
        own = fuse(by_annotator[name], rule, [name] * len(by_annotator[name]))
        expected = {score: float(v) for score, v in fuzzy_scores(reference, own).items()}
        assert agreement == pytest.approx(expected)


def test_annotators_who_agree_reach_one_and_a_lone_one_has_no_ceiling():
    same = mask("##.", "#..")[None]
    found = leave_one_out_agreement({"ann": same, "ben": same}, "share")
    assert found["ann"]["f1"] == found["ben"]["iou"] == 1
    assert leave_one_out_agreement({"ann": same}, "share") == {}


def test_agreement_refuses_masks_of_different_sizes():
    with pytest.raises(ValueError, match="size"):
        leave_one_out_agreement(
            {"ann": np.ones((1, 2, 3), bool), "ben": np.ones((1, 3, 2), bool)}, "sum"
        )


def test_upscaling_is_separable_cubic_convolution_at_half_pixel_centres():
    """Against Keys' kernel with a = -1/2, edges renormalised, written out as a matrix."""

    def matrix(small, large):
        centres = (np.arange(large) + 0.5) * small / large - 0.5
        x = np.abs(centres[:, None] - np.arange(small)[None, :])
        near = 1.5 * x**3 - 2.5 * x**2 + 1
        far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
        kernel = np.where(x < 1, near, np.where(x < 2, far, 0))
        return kernel / kernel.sum(axis=1, keepdims=True)

    heatmap = np.random.default_rng(0).random((7, 5))
    expected = matrix(7, 31) @ heatmap @ matrix(5, 44).T
    np.testing.assert_allclose(upscale(heatmap, (31, 44)), expected, atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, 0.3, 1.0])
def test_a_constant_map_survives_upscaling_and_normalising(value):
    up = upscale(np.full((7, 7), value), (97, 61))
    assert (up == np.float32(value)).all()
    assert (normalise(up) == np.float32(value)).all()


def test_a_map_of_the_masks_size_is_not_resampled():
    heatmap = np.random.default_rng(0).random((5, 6)).astype(np.float32)
    np.testing.assert_array_equal(upscale(heatmap, (5, 6)), heatmap)


@settings(max_examples=100, deadline=None)
@given(arrays(np.float64, (2, 3, 4), elements=st.floats(-1e3, 1e3)))
def test_normalised_maps_span_zero_to_one_unless_constant(maps):
    found = normalise(maps)
    for before, after in zip(maps, found, strict=True):
        if before.min() == before.max():
            assert (after == np.clip(before, 0, 1).astype(np.float32)).all()
        else:
            assert (after.min(), after.max()) == (0, 1)


@pytest.mark.parametrize("function", [normalise, lambda m: upscale(m, (4, 4))])
def test_maps_that_are_not_finite_are_refused(function):
    with pytest.raises(ValueError, match="finite"):
        function(np.array([[0.0, np.nan], [1.0, 0.5]]))


def test_the_centred_gaussian_is_centred_and_symmetric():
    found = centred_gaussian((21, 31))
    assert found[10, 15] == found.max() == 1
    assert found[0, 0] == found.min() == 0
    np.testing.assert_allclose(found, found[::-1, ::-1], atol=1e-6)
    flat = centred_gaussian((400, 300), sigma=0.25)
    edge, corner = np.exp(-2), np.exp(-4)
    assert flat[200, 0] == pytest.approx((edge - corner) / (1 - corner), abs=0.01)
