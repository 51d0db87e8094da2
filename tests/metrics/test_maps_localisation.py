"""Threshold-free scores against scikit-learn, by hand, and by exact brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmark.metrics import maps
from benchmark.metrics.maps import LOCALISATION_SCORES, localisation_scores

# Values as an 8-bit picture has them: ties abound.
levels = st.integers(0, 255).map(lambda level: np.float32(level / 255))
shares = st.integers(0, 8).map(lambda count: np.float32(count / 8))
a_case = array_shapes(min_dims=2, max_dims=2, max_side=6).flatmap(
    lambda shape: st.tuples(
        arrays(np.float32, shape, elements=shares), arrays(np.float32, shape, elements=levels)
    )
)


def brute_force(reference, predicted):
    """Each score from its definition, every threshold and every pair in turn."""
    s, p = reference.ravel().astype(np.float64), predicted.ravel().astype(np.float64)
    if not s.any():
        return dict.fromkeys(LOCALISATION_SCORES, np.nan)
    positives, negatives = s.sum(), (1 - s).sum()
    above = (p[:, None] > p[None, :]) + 0.5 * (p[:, None] == p[None, :])
    thresholds = sorted(set(p), reverse=True)
    hits = [s[p >= level].sum() for level in thresholds]
    kept = [(p >= level).sum() for level in thresholds]
    gains = np.diff([0, *hits])
    mask = s >= 0.5 if (s >= 0.5).any() else s > 0
    last = next(i for i, number in enumerate(kept) if number >= positives)
    before, hits_before = ([0, *kept][last], [0, *hits][last])
    part = (positives - before) / (kept[last] - before)
    return {
        "auprc": sum(g / positives * h / n for g, h, n in zip(gains, hits, kept, strict=True)),
        "auroc": s @ above @ (1 - s) / (positives * negatives) if negatives else np.nan,
        "pointing_game": s[p == p.max()].mean(),
        "relevance_mass": (s * p).sum() / p.sum() if p.any() else np.nan,
        "relevance_rank": (hits_before + part * gains[last]) / positives,
        "best_iou": max(
            (mask & (p >= level)).sum() / (mask | (p >= level)).sum() for level in thresholds
        ),
    }


@settings(max_examples=300, deadline=None)
@given(a_case)
def test_every_score_is_its_definition(case):
    assert localisation_scores(*case) == pytest.approx(brute_force(*case), abs=1e-6, nan_ok=True)


@settings(max_examples=100, deadline=None)
@given(a_case)
def test_scores_stay_in_bounds_and_ignore_joint_flips_and_stretching(case):
    reference, predicted = case
    found = localisation_scores(reference, predicted)
    assert tuple(found) == LOCALISATION_SCORES
    assert all(np.isnan(value) or 0 <= value <= 1 for value in found.values())
    for flip in (np.fliplr, np.flipud, np.transpose):
        flipped = localisation_scores(flip(reference), flip(predicted))
        assert flipped == pytest.approx(found, abs=1e-6, nan_ok=True)
    halved = localisation_scores(reference, predicted / 2)
    assert halved == pytest.approx(found, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("name", LOCALISATION_SCORES)
def test_each_function_alone_gives_what_all_give_together(name):
    generator = np.random.default_rng(0)
    reference, predicted = generator.integers(0, 9, (20, 30)) / 8, generator.random((20, 30))
    expected = localisation_scores(reference, predicted)[name]
    assert getattr(maps, name)(reference, predicted) == expected


@pytest.mark.parametrize("number", [2, 7, 256, None])
def test_on_binary_references_the_areas_are_those_of_scikit_learn(number):
    """With few levels, so many ties, exactly; on floats within 1e-4, the price of a histogram."""
    generator = np.random.default_rng(0)
    reference = generator.random((300, 200)) > 0.8
    predicted = np.clip(generator.random((300, 200)) ** 3 + 0.1 * reference, 0, 1)
    predicted = predicted.astype(np.float32)
    if number:
        predicted = np.floor(predicted * (number - 1)) / (number - 1)
    found = localisation_scores(reference, predicted)
    auroc = roc_auc_score(reference.ravel(), predicted.ravel())
    auprc = average_precision_score(reference.ravel(), predicted.ravel())
    tolerance = 1e-10 if number else 1e-4
    assert found["auroc"] == pytest.approx(auroc, abs=tolerance)
    assert found["auprc"] == pytest.approx(auprc, abs=tolerance)


def test_on_graded_references_the_areas_are_scikit_learns_with_weights():
    """Each pixel once as a positive of weight s and once as a negative of weight 1 - s."""
    generator = np.random.default_rng(0)
    s = generator.integers(0, 9, (60, 70)) / 8
    p = generator.integers(0, 256, (60, 70)) / 255
    label = np.repeat([1, 0], s.size)
    both = (label, np.tile(p.ravel(), 2))
    weight = np.concatenate([s.ravel(), 1 - s.ravel()])
    assert maps.auroc(s, p) == pytest.approx(roc_auc_score(*both, sample_weight=weight))
    assert maps.auprc(s, p) == pytest.approx(average_precision_score(*both, sample_weight=weight))


@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
def test_the_histogram_costs_maps_of_a_long_tail_less_than_a_ten_thousandth(method):
    generator = np.random.default_rng(0)
    # Most of the map is near 0, where any equally spaced levels would tie it.
    cells = np.exp(5 * generator.normal(size=(10, 10)))
    predicted = maps.normalise(maps.upscale(cells, (269, 410), method))
    reference = maps.upscale(generator.random((5, 5)), (269, 410)) > 0.6
    flat = (reference.ravel(), predicted.ravel())
    found = localisation_scores(reference, predicted)
    assert found["auroc"] == pytest.approx(roc_auc_score(*flat), abs=1e-4)
    assert found["auprc"] == pytest.approx(average_precision_score(*flat), abs=1e-4)
    order = np.argsort(flat[1], kind="stable")[::-1]
    top = flat[0][order][: reference.sum()].mean()
    assert found["relevance_rank"] == pytest.approx(top, abs=1e-4)
    hits = np.cumsum(flat[0][order])
    iou = hits / (np.arange(1, hits.size + 1) + hits[-1] - hits)
    assert found["best_iou"] == pytest.approx(iou.max(), abs=1e-4)


def test_the_scores_by_hand():
    reference = np.array([[1.0, 0.5, 0.25, 0.25]])
    predicted = np.array([[0.4, 1.0, 0.4, 0.0]])
    found = localisation_scores(reference, predicted)
    # By level: 1 pixel with share 0.5, then 2 with 1.25, then 1 with 0.25; 2 marked, 2 not.
    assert found == pytest.approx(
        {
            "auprc": 0.25 * 0.5 / 1 + 0.625 * 1.75 / 3 + 0.125 * 2 / 4,
            "auroc": (0.5 * 0.25 + 0.75 * (0.5 + 1.25 / 2) + 0.75 * (1.75 + 0.25 / 2)) / 4,
            "pointing_game": 0.5,
            "relevance_mass": (0.4 + 0.5 + 0.1) / 1.8,
            "relevance_rank": (0.5 + 0.5 * 1.25) / 2,
            "best_iou": 2 / 3,
        }
    )


def test_a_perfect_binary_map_scores_one_everywhere():
    reference = np.zeros((5, 6))
    reference[1:3, 2:5] = 1
    assert localisation_scores(reference, reference) == dict.fromkeys(LOCALISATION_SCORES, 1)


@pytest.mark.parametrize("level", [0.0, 0.4, 1.0])
def test_a_constant_map_scores_the_mean_share_and_one_half(level):
    reference = np.zeros((10, 10))
    reference[:2], reference[2] = 1, 0.25
    found = localisation_scores(reference, np.full((10, 10), level))
    mass = 0.225 if level else float("nan")
    expected = dict.fromkeys(LOCALISATION_SCORES, 0.225)
    expected |= {"auroc": 0.5, "best_iou": 0.2, "relevance_mass": mass}
    assert found == pytest.approx(expected, nan_ok=True)


def test_where_no_pixel_has_half_of_the_annotators_the_mask_is_what_anybody_marked():
    reference = np.array([[0.25, 0.125, 0.0, 0.0]])
    assert maps.best_iou(reference, np.array([[0.9, 0.8, 0.1, 0.2]])) == 1
    assert maps.best_iou(reference * 2, np.array([[0.9, 0.8, 0.1, 0.2]])) == 1
    assert maps.best_iou(reference * 2, np.array([[0.1, 0.9, 0.8, 0.2]])) == 0.25


def test_an_empty_reference_is_undefined_and_a_full_one_has_no_negatives():
    predicted = np.array([[0.1, 0.7], [0.2, 1.0]])
    empty = localisation_scores(np.zeros((2, 2)), predicted)
    assert all(np.isnan(value) for value in empty.values())
    full = localisation_scores(np.ones((2, 2)), predicted)
    assert np.isnan(full.pop("auroc"))
    assert full == pytest.approx(dict.fromkeys(full, 1))


def test_minus_zero_is_zero():
    reference, signed = np.array([[1.0, 0.0, 0.0]]), np.array([[0.0, -0.0, -0.0]])
    assert maps.auroc(reference, signed) == 0.5


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.01, 1.01])
def test_values_out_of_range_have_no_localisation(bad):
    good, wrong = np.full((2, 2), 0.5), np.array([[0.5, bad], [0.5, 0.5]])
    with pytest.raises(ValueError, match="reference"):
        localisation_scores(wrong, good)
    with pytest.raises(ValueError, match="predicted"):
        localisation_scores(good, wrong)


def test_localisation_takes_two_maps_of_one_size():
    with pytest.raises(ValueError, match="one size"):
        localisation_scores(np.ones((2, 3)), np.ones((3, 2)))
    with pytest.raises(ValueError, match="one size"):
        localisation_scores(np.ones((1, 2, 3)), np.ones((1, 2, 3)))
