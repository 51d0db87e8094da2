"""Batches: the same bytes whatever the number of threads, and drawn as they should be."""

import hashlib

import numpy as np
import pytest

from benchmark.data.pipeline import Samples, plain_batches, training_batches
from benchmark.recipe import Augmentation

STRONG = Augmentation(
    horizontal_flip=True,
    vertical_flip=True,
    rotation=180,
    shear=10,
    zoom=0.3,
    brightness=(0.5, 1.5),
)
COLOURS = Augmentation(
    crop=(0.3, 1.0), jitter=(0.8, 0.8, 0.8, 0.2), greyscale_probability=0.2, blur_probability=0.5
)


@pytest.fixture
def samples() -> Samples:
    pixels = np.random.default_rng(5).integers(0, 256, (40, 20, 24, 3)).astype(np.uint8)
    rows = np.arange(3, 30)
    return Samples(pixels, rows, rows % 4)


def _epoch(samples, epoch=0, seed=7, threads=1, ranges=STRONG, batch=8, shares=None):
    """The batches of a single view, and their labels."""
    batches = training_batches(samples, [ranges], batch, seed, epoch, shares, threads=threads)
    return [(images, samples.labels[places]) for (images,), places in batches]


def _views(samples, views, epoch=0, batch=8, shares=None, threads=1):
    """All views and labels of an epoch: a list of (N, H, W, 3), and (N,)."""
    batches = list(training_batches(samples, views, batch, 7, epoch, shares, threads=threads))
    shown = [np.concatenate(parts) for parts in zip(*(each for each, _ in batches), strict=True)]
    return shown, samples.labels[np.concatenate([places for _, places in batches])]


# Of the first release, whose records must stay repeatable.
@pytest.mark.parametrize(
    ("border", "digest"),
    [
        ("reflect", "dc8c99ab67c0b42f60fd05035e6ede740662063bdd85529dc33c6f70ecadeccd"),
        ("nearest", "15f88392331e8fc6b46cdd003b2ad0ff2d4835c4c9c9e281db7c0d506a50981c"),
    ],
)
def test_one_view_gives_the_bytes_it_always_gave(samples, border, digest):
    found = hashlib.sha256()
    for epoch in (0, 1):
        ranges = STRONG.model_copy(update={"border": border})
        for images, labels in _epoch(samples, epoch, ranges=ranges):
            found.update(images.tobytes())
            found.update(labels.tobytes())
    assert found.hexdigest() == digest


@pytest.mark.parametrize("shares", [None, np.full(4, 0.25)])
@pytest.mark.parametrize("threads", [2, 5])
def test_batches_are_the_same_for_any_number_of_threads(samples, threads, shares):
    views = [STRONG, COLOURS]
    one, one_labels = _views(samples, views, shares=shares)
    many, many_labels = _views(samples, views, shares=shares, threads=threads)
    np.testing.assert_array_equal(one, many)
    np.testing.assert_array_equal(one_labels, many_labels)


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


def test_places_are_where_their_images_stand(samples):
    for (images,), places in training_batches(samples, [Augmentation()], 8, 7, 0):
        assert places.dtype == np.int64
        np.testing.assert_array_equal(samples.pixels[samples.rows[places]], images)


def test_plain_batches_keep_order_and_every_image(samples):
    images = np.concatenate(list(plain_batches(samples, 8, threads=3)))
    np.testing.assert_array_equal(images, samples.pixels[samples.rows])


def test_views_show_the_same_image_and_the_first_is_the_single_one(samples):
    (plain, first, second, third), labels = _views(
        samples, [Augmentation(), STRONG, STRONG, COLOURS]
    )
    by_bytes = {samples.pixels[row].tobytes(): row % 4 for row in samples.rows}
    assert [by_bytes[image.tobytes()] for image in plain] == list(labels)
    (alone,), _ = _views(samples, [STRONG])
    (leading, _), _ = _views(samples, [STRONG, COLOURS])
    np.testing.assert_array_equal(leading, alone)
    for one, other in ((alone, first), (first, second), (second, third)):
        assert not any(np.array_equal(*pair) for pair in zip(one, other, strict=True))


def test_views_differ_in_nothing_but_their_draws(samples):
    ranges = Augmentation(horizontal_flip=True, vertical_flip=True)
    plain, first, second = _views(samples, [Augmentation(), ranges, ranges])[0]
    for image, *shown in zip(plain, first, second, strict=True):
        mirrored = {image[::y, ::x].tobytes() for y in (1, -1) for x in (1, -1)}
        assert {view.tobytes() for view in shown} <= mirrored


def test_an_image_is_read_once_for_all_its_views(samples):
    read = []

    class Counted:
        def __getitem__(self, row):
            read.append(int(row))
            return samples.pixels[row]

    counted = Samples(Counted(), samples.rows, samples.labels)
    _views(counted, [STRONG, Augmentation(), COLOURS], batch=27)
    assert sorted(read) == list(samples.rows)


def _drawn(samples, shares, epochs):
    """Rows drawn in some epochs of whole batches."""
    by_bytes = {samples.pixels[row].tobytes(): row for row in samples.rows}
    rows = []
    for epoch in range(epochs):
        for images, labels in _epoch(samples, epoch, ranges=Augmentation(), shares=shares, batch=9):
            rows += [by_bytes[image.tobytes()] for image in images]
            np.testing.assert_array_equal(labels, np.array(rows[-len(labels) :]) % 4)
    return np.array(rows)


def test_classes_are_drawn_by_their_shares_and_their_images_alike(samples):
    kept = np.r_[0:16, 16:27:4]  # 4, 4, 4 and 7 images
    unequal = Samples(samples.pixels, samples.rows[kept], samples.labels[kept])
    shares = np.array([0.1, 0.2, 0.3, 0.4])
    assert sorted(np.bincount(unequal.labels)) == [4, 4, 4, 7]
    rows = _drawn(unequal, shares, 300)
    labels = unequal.rows % 4
    probability = shares[labels] / np.bincount(labels)[labels]
    expected = len(rows) * probability
    counts = np.array([(rows == row).sum() for row in unequal.rows])
    # Chi-square of 19 images, 18 degrees of freedom, 0.1%.
    assert ((counts - expected) ** 2 / expected).sum() < 42.3
    class_counts = np.bincount(rows % 4)
    # 3 degrees of freedom.
    assert ((class_counts - len(rows) * shares) ** 2 / (len(rows) * shares)).sum() < 16.3


def test_an_epoch_by_shares_is_as_long_as_one_without(samples):
    batches = _epoch(samples, shares=np.full(4, 0.25))
    assert [len(images) for images, _ in batches] == [8, 8, 8]


def test_epochs_by_shares_differ(samples):
    shares = np.full(4, 0.25)
    first = _epoch(samples, ranges=Augmentation(), shares=shares)[0][0]
    second = _epoch(samples, 1, ranges=Augmentation(), shares=shares)[0][0]
    assert not np.array_equal(first, second)


def test_a_class_without_a_share_is_never_drawn(samples):
    rows = _drawn(samples, np.array([0.5, 0.0, 0.5, 0.0]), 20)
    assert set(rows % 4) == {0, 2}


def test_repeated_draws_of_an_image_are_augmented_anew(samples):
    one = Samples(samples.pixels, samples.rows[:6], np.array([0, 1, 1, 1, 1, 1]))
    shares = np.array([1.0, 0.0])
    first, second = _views(one, [STRONG, STRONG], batch=6, shares=shares)[0]
    assert len({image.tobytes() for image in np.concatenate([first, second])}) == 12


def test_the_first_draw_of_an_image_is_augmented_as_in_an_epoch_without_shares(samples):
    (usual,), _ = _views(samples, [STRONG], batch=27)
    (plain,), _ = _views(samples, [Augmentation()], batch=27)
    by_bytes = {image.tobytes(): shown for image, shown in zip(plain, usual, strict=True)}
    seen = set()
    by_shares = _views(samples, [Augmentation(), STRONG], batch=27, shares=np.full(4, 0.25))[0]
    assert len(by_shares[0]) == 27
    (alone,), _ = _views(samples, [STRONG], batch=27, shares=np.full(4, 0.25))
    for image, shown in zip(by_shares[0], alone, strict=True):
        same = np.array_equal(by_bytes[image.tobytes()], shown)
        assert same == (image.tobytes() not in seen)
        seen.add(image.tobytes())
    assert 5 < len(seen) < 27


def test_a_share_for_a_class_without_images_is_refused(samples):
    with pytest.raises(ValueError, match=r"class 4 has a share of 0\.2 but no image"):
        training_batches(samples, [STRONG], 8, 0, 0, np.full(5, 0.2))


def test_shares_for_too_few_classes_are_refused(samples):
    with pytest.raises(ValueError, match="3 class shares, but a label of 3"):
        training_batches(samples, [STRONG], 8, 0, 0, np.full(3, 1 / 3))


def test_without_a_view_there_are_the_same_places_and_no_image_is_read(samples):
    class Sealed(np.ndarray):
        def __getitem__(self, key):
            raise AssertionError("a pixel was read")

    sealed = Samples(samples.pixels.view(Sealed), samples.rows, samples.labels)
    ours = list(training_batches(sealed, (), 8, 7, 0))
    shown = list(training_batches(samples, (STRONG,), 8, 7, 0))
    assert all(images == () for images, _ in ours)
    for (_, places), (_, expected) in zip(ours, shown, strict=True):
        np.testing.assert_array_equal(places, expected)
