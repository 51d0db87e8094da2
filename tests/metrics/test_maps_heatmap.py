"""Upscaling against interpolation matrices and torch; normalising by its properties."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmark.metrics.maps import Upscaling, normalise, upscale

METHODS = get_args(Upscaling)


def test_bicubic_upscaling_is_separable_cubic_convolution_at_half_pixel_centres():
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
    np.testing.assert_allclose(upscale(heatmap, (31, 44), "bicubic"), expected, atol=1e-6)


def linear(small, large):
    """Weights (large, small) of linear interpolation at half-pixel centres, edges repeated."""
    centres = np.clip((np.arange(large) + 0.5) * small / large - 0.5, 0, small - 1)
    return np.maximum(0, 1 - np.abs(centres[:, None] - np.arange(small)[None, :]))


@pytest.mark.parametrize("size", [(31, 44), (7, 5), (4, 3), (1078, 11)])
def test_bilinear_upscaling_is_linear_at_half_pixel_centres(size):
    heatmap = np.random.default_rng(0).random((7, 5))
    expected = linear(7, size[0]) @ heatmap @ linear(5, size[1]).T
    np.testing.assert_allclose(upscale(heatmap, size, "bilinear"), expected, atol=1e-6)


def test_bilinear_upscaling_is_that_of_torch(framework):
    if framework != "torch":
        pytest.skip("a Keras process imports no torch")
    torch = pytest.importorskip("torch")
    heatmap = np.random.default_rng(0).random((10, 10), dtype=np.float32)
    theirs = torch.nn.functional.interpolate(
        torch.from_numpy(heatmap)[None, None], (107, 164), mode="bilinear", align_corners=False
    )
    np.testing.assert_allclose(upscale(heatmap, (107, 164), "bilinear"), theirs[0, 0], atol=1e-6)


def test_nearest_upscaling_repeats_the_cell_under_each_pixel_centre():
    heatmap = np.random.default_rng(0).random((7, 5)).astype(np.float32)
    rows, columns = (
        ((np.arange(large) + 0.5) * small / large).astype(int)
        for small, large in ((7, 31), (5, 44))
    )
    np.testing.assert_array_equal(
        upscale(heatmap, (31, 44), "nearest"), heatmap[np.ix_(rows, columns)]
    )


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="bilinear, bicubic, nearest"):
        upscale(np.ones((2, 2)), (4, 4), "lanczos")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0.0, 0.1, 0.3, 1.0])
def test_a_constant_map_survives_upscaling_and_normalising(value, method):
    up = upscale(np.full((7, 7), value), (97, 61), method)
    assert (up == np.float32(value)).all()
    assert (normalise(up) == np.float32(value)).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_map_of_the_masks_size_is_not_resampled(method):
    heatmap = np.random.default_rng(0).random((5, 6)).astype(np.float32)
    np.testing.assert_array_equal(upscale(heatmap, (5, 6), method), heatmap)


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


def test_float32_and_float64_maps_are_normalised_alike():
    maps = np.random.default_rng(0).random((3, 20, 30)) * 7
    np.testing.assert_allclose(normalise(maps.astype(np.float32)), normalise(maps), atol=1e-6)
