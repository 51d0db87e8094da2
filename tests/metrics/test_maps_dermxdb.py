"""The rule of the 2023 benchmark, step by step as its authors' code takes them."""

import numpy as np
import pytest
from PIL import Image

from benchmark.metrics.maps import fuse, published_map, published_reference


def test_the_reference_is_what_pillow_stores_and_reads_back():
    """Sum, over the maximum, times 256, to mode L, divided by 255: for each number of masks."""
    for most in range(1, 61):
        masks = np.arange(most)[:, None, None] < np.arange(most + 1)[None, None, :]
        total = (masks * np.uint8(255)).sum(axis=0)
        stored = Image.fromarray(total / total.max() * 256).convert("L")
        np.testing.assert_allclose(
            published_reference(masks), np.asarray(stored) / 255, rtol=0, atol=6e-8
        )


def test_the_reference_by_hand():
    masks = np.zeros((3, 1, 4), bool)
    masks[:, 0, 0], masks[:2, 0, 1], masks[:1, 0, 2] = True, True, True
    # 3/3, 2/3, 1/3 and 0 of 256, clipped at 255, without the fraction.
    assert published_reference(masks)[0] == pytest.approx(np.array([255, 170, 85, 0]) / 255)


def test_the_reference_is_the_fused_sum_but_for_its_eight_bits():
    masks = np.random.default_rng(0).random((11, 20, 30)) > 0.6
    np.testing.assert_allclose(published_reference(masks), fuse(masks, "sum"), atol=1 / 255)
    assert not published_reference(np.zeros((2, 3, 3), bool)).any()


def mirrored(small, large):
    """Weights (large, small) of linear interpolation at half-pixel centres, edges mirrored."""
    weights = np.zeros((large, small))
    for row, centre in enumerate((np.arange(large) + 0.5) * small / large - 0.5):
        for cell in (int(np.floor(centre)), int(np.floor(centre)) + 1):
            # The mirror stands on the centre of the outermost cell.
            inside = small - 1 - abs(abs(cell) - (small - 1))
            weights[row, inside] += 1 - abs(centre - cell)
    return weights


@pytest.mark.parametrize("method", [Image.Resampling.BICUBIC, Image.Resampling.NEAREST])
@pytest.mark.parametrize("shape", [(10, 10), (13, 10), (25, 18)])
def test_the_map_is_cut_to_eight_bits_and_resized_twice(shape, method):
    weighted_sum = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    relative = np.maximum(weighted_sum, 0) / weighted_sum.max()
    eight_bits = np.uint8(255 * relative) / 255
    stored = mirrored(shape[0], 300) @ eight_bits @ mirrored(shape[1], 400).T
    resized = np.asarray(Image.fromarray(stored.astype(np.float32)).resize((164, 108), method))
    expected = (resized - resized.min()) / (resized.max() - resized.min())
    name = method.name.lower()
    found = published_map(weighted_sum, (108, 164), name)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    rectified = np.maximum(weighted_sum, 0)
    np.testing.assert_array_equal(published_map(rectified, (108, 164), name), found)


@pytest.mark.parametrize("method", ["bicubic", "nearest"])
@pytest.mark.parametrize("value", [0, -1, np.nan, np.inf])
def test_a_map_with_nothing_positive_or_not_finite_is_all_zero(value, method):
    weighted_sum = np.full((7, 7), -1.0)
    weighted_sum[3, 3] = value
    found = published_map(weighted_sum, (30, 40), method)
    assert found.shape == (30, 40)
    assert not found.any()


def test_a_constant_positive_map_is_all_one():
    assert (published_map(np.full((7, 7), 0.3), (30, 40), "bicubic") == 1).all()


def test_maps_larger_than_the_stored_size_are_refused():
    with pytest.raises(ValueError, match="larger"):
        published_map(np.ones((301, 400)), (30, 40), "nearest")
