"""Batches: the same bytes whatever the number of threads."""

import numpy as np
import pytest

from benchmark.config import Augmentation
from benchmark.data.pipeline import Samples, augment, plain_batches, training_batches

STRONG = Augmentation(
    horizontal_flip=True,
    vertical_flip=True,
    rotation=180,
    shear=10,
    zoom=0.3,
    brightness=(0.5, 1.5),
)


@pytest.fixture
def samples() -> Samples:
    pixels = np.random.default_rng(5).integers(0, 256, (40, 20, 24, 3)).astype(np.uint8)
    rows = np.arange(3, 30)
    return Samples(pixels, rows, rows % 4)


def _epoch(samples, epoch=0, seed=7, threads=1, ranges=STRONG, batch=8):
    return list(training_batches(samples, ranges, batch, seed, epoch, threads))


@pytest.mark.parametrize("threads", [2, 5])
def test_batches_are_the_same_for_any_number_of_threads(samples, threads):
    for one, many in zip(_epoch(samples), _epoch(samples, threads=threads), strict=True):
        np.testing.assert_array_equal(one[0], many[0])
        np.testing.assert_array_equal(one[1], many[1])


def test_epochs_and_seeds_differ(samples):
    first = _epoch(samples)[0][0]
    assert not np.array_equal(first, _epoch(samples, epoch=1)[0][0])
    assert not np.array_equal(first, _epoch(samples, seed=8)[0][0])


def test_an_epoch_holds_each_image_once_but_for_the_dropped_remainder(samples):
    plain = Augmentation()
    batches = _epoch(samples, ranges=plain)
    assert [len(images) for images, _ in batches] == [8, 8, 8]
    seen = {image.tobytes() for images, _ in batches for image in images}
    known = {samples.pixels[row].tobytes() for row in samples.rows}
    assert len(seen) == 24
    assert seen <= known


def test_a_part_smaller_than_a_batch_is_one_batch(samples):
    assert [len(images) for images, _ in _epoch(samples, batch=64)] == [27]


def test_labels_travel_with_their_images(samples):
    by_bytes = {samples.pixels[row].tobytes(): row % 4 for row in samples.rows}
    for images, labels in _epoch(samples, ranges=Augmentation()):
        assert [by_bytes[image.tobytes()] for image in images] == list(labels)


def test_plain_batches_keep_order_and_every_image(samples):
    images = np.concatenate(list(plain_batches(samples, 8, threads=3)))
    np.testing.assert_array_equal(images, samples.pixels[samples.rows])


def test_no_augmentation_leaves_the_image_alone(samples):
    image = samples.pixels[0]
    np.testing.assert_array_equal(augment(image, Augmentation(), np.random.default_rng(1)), image)


def test_flips_alone_give_the_four_mirror_images(samples):
    image = samples.pixels[0]
    ranges = Augmentation(horizontal_flip=True, vertical_flip=True)
    rng = np.random.default_rng(0)
    found = {augment(image, ranges, rng).tobytes() for _ in range(50)}
    expected = {image[::y, ::x].tobytes() for y in (1, -1) for x in (1, -1)}
    assert found == expected


def test_a_quarter_turn_keeps_the_centre(samples):
    image = np.zeros((21, 21, 3), np.uint8)
    image[8:13, 8:13] = 200
    turned = augment(image, Augmentation(rotation=180), np.random.default_rng(2))
    assert abs(int(turned[10, 10, 0]) - 200) <= 1
    assert turned[0, 0, 0] == 0


def test_brightness_multiplies_and_saturates():
    image = np.full((4, 4, 3), 200, np.uint8)
    bright = augment(image, Augmentation(brightness=(1.5, 1.5)), np.random.default_rng(0))
    dark = augment(image, Augmentation(brightness=(0.5, 0.5)), np.random.default_rng(0))
    assert (bright == 255).all()
    assert (dark == 100).all()
