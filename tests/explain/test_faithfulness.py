"""Insertion and deletion curves: known answers from networks that are a formula."""

import numpy as np
import pytest

from benchmark.explain import faithfulness
from benchmark.explain.faithfulness import STEPS, curves

SIDE = 32
# Where the fake network looks.
WINDOW = (slice(8, 16), slice(16, 24))
WINDOW_SHARE = 64 / SIDE**2


class Window:
    """Class 1's odds grow with the brightness of one window, class 0's logit is 0."""

    def __init__(self):
        self.batches = []

    def logits(self, images, batch_size=32):
        self.batches.append(len(images))
        bright = images[:, *WINDOW].mean((1, 2, 3)) / 255
        return np.stack([np.zeros(len(images)), 12 * bright - 6], 1).astype(np.float32)


@pytest.fixture
def images():
    """A bright window on black, and the same on noise."""
    dark = np.zeros((SIDE, SIDE, 3), np.uint8)
    noise = np.random.default_rng(0).integers(0, 60, dark.shape).astype(np.uint8)
    pair = np.stack([dark, noise])
    pair[:, *WINDOW] = 255
    return pair


def window_map():
    heatmap = np.zeros((SIDE, SIDE), np.float32)
    heatmap[WINDOW] = 1
    return heatmap


def run(images, *maps, targets=None):
    """The curves of some maps of the first image."""
    stack = np.stack([np.asarray(one, np.float32) for one in maps])
    targets = np.ones(len(stack), int) if targets is None else np.array(targets)
    return curves(Window(), images[:1].repeat(len(stack), 0), targets, stack)


def test_the_ends_are_the_image_and_its_blurred_version(images):
    found = curves(Window(), images, np.array([1, 1]), np.stack([window_map()] * 2))
    assert found.shares[0] == 0
    assert found.shares[-1] == 1
    assert found.insertion.shape == found.deletion.shape == (2, STEPS + 1)
    assert found.insertion.dtype == found.deletion.dtype == np.float32
    whole = 1 / (1 + np.exp(-6))
    np.testing.assert_allclose(found.insertion[:, -1], whole, rtol=1e-6)
    np.testing.assert_allclose(found.deletion[:, 0], whole, rtol=1e-6)
    np.testing.assert_array_equal(found.insertion[:, 0], found.deletion[:, -1])
    # A blurred window on a dark image is dark.
    assert found.insertion[0, 0] < 0.1


def test_the_right_pixels_first_give_a_step_at_their_share(images):
    found = run(images, window_map())
    after = found.shares >= WINDOW_SHARE
    np.testing.assert_allclose(found.insertion[0, after], found.insertion[0, -1], rtol=1e-6)
    np.testing.assert_allclose(found.deletion[0, after], found.deletion[0, -1], rtol=1e-6)


def test_a_right_map_beats_a_constant_and_a_constant_beats_a_wrong_one(images):
    found = run(images, window_map(), np.ones((SIDE, SIDE)), 1 - window_map())
    inserted, deleted = (
        np.trapezoid(curve, found.shares) for curve in (found.insertion, found.deletion)
    )
    assert inserted[0] > inserted[1] + 0.1 > inserted[2] + 0.2
    assert deleted[0] < deleted[1] - 0.1 < deleted[2] - 0.2


def test_the_curve_follows_the_target_class(images):
    found = run(images, window_map(), window_map(), targets=[0, 1])
    np.testing.assert_allclose(found.insertion.sum(0), 1, rtol=1e-6)
    np.testing.assert_allclose(found.deletion.sum(0), 1, rtol=1e-6)


def test_a_constant_map_inserts_everywhere_at_once_not_from_the_top(images):
    class TopHalf:
        def logits(self, images, batch_size=32):
            bright = images[:, : SIDE // 2].mean((1, 2, 3)) / 255
            return np.stack([1 - bright, bright], 1).astype(np.float32)

    white = np.full((1, SIDE, SIDE, 3), 255, np.uint8)
    white[:, :, ::2] = 0
    found = curves(TopHalf(), white, np.array([1]), np.zeros((1, 3, 3), np.float32))
    # Half of the pixels hold about half of the change; in reading order it would be all of it.
    ends = found.insertion[0, [0, -1]]
    middle = found.insertion[0, STEPS // 2]
    assert abs(middle - ends.mean()) <= 0.25 * abs(ends[1] - ends[0]) + 0.01


def test_only_the_order_of_the_values_matters_and_no_other_image_does(images):
    generator = np.random.default_rng(3)
    # At the image's size, where upscaling leaves the values alone.
    heatmap = generator.permutation(SIDE**2).reshape(SIDE, SIDE).astype(np.float32)
    pair = curves(Window(), images, np.array([1, 1]), np.stack([heatmap, window_map()]))
    alone = curves(Window(), images[:1], np.array([1]), np.sqrt(heatmap)[None])
    np.testing.assert_array_equal(alone.insertion[0], pair.insertion[0])
    np.testing.assert_array_equal(alone.deletion[0], pair.deletion[0])


def test_each_step_takes_its_share_of_the_pixels_and_the_largest_first():
    # Blurred, stripes of black and white are grey: what is black or white was inserted.
    stripes = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    stripes[:, :, ::2] = 255
    inserted = []

    class Watch:
        def logits(self, images, batch_size=32):
            inserted.extend((images == stripes).all(-1).reshape(len(images), -1))
            return np.zeros((len(images), 2), np.float32)

    heatmap = np.arange(SIDE**2, 0, -1, dtype=np.float32).reshape(1, SIDE, SIDE)
    curves(Watch(), stripes, np.array([0]), heatmap)
    reading_order = np.arange(SIDE**2)
    for step in range(STEPS + 1):
        expected = reading_order < step / STEPS * SIDE**2
        np.testing.assert_array_equal(inserted[step], expected)
        if 0 < step < STEPS:
            np.testing.assert_array_equal(inserted[STEPS + step], ~expected)


def test_one_image_is_one_batch_of_two_curves_that_share_their_ends(images):
    network = Window()
    curves(network, images, np.array([1, 1]), np.stack([window_map()] * 2))
    assert network.batches == [2 * STEPS] * 2


def test_the_blur_keeps_the_mean_of_a_flat_image_and_hides_a_window():
    flat = np.full((48, 64, 3), 137, np.uint8)
    np.testing.assert_array_equal(faithfulness._blurred(flat), flat)
    window = np.zeros((64, 64, 3), np.uint8)
    window[20:44, 20:44] = 200
    blurred = faithfulness._blurred(window).astype(float)
    assert np.ptp(blurred) < 0.2 * 200


def test_maps_that_do_not_fit_are_refused(images):
    with pytest.raises(ValueError, match="finite"):
        run(images, np.full((4, 4), np.nan))
    with pytest.raises(ValueError, match="zip"):
        curves(Window(), images, np.array([1]), np.zeros((2, 4, 4), np.float32))
