"""Near-identical photographs are found however they were saved; different lesions are not."""

import cv2
import numpy as np
import pytest

import benchmark.data
from benchmark.data import copies, images
from benchmark.data.pixels import open_pixels, resize

HAM = "ham10000-multi-image-lesions"


def _photograph(seed, side=120):
    """A dark spot of random shape on textured skin: (side, side, 3) uint8."""
    rng = np.random.default_rng(seed)
    skin = np.array([205.0, 160, 140]) + rng.normal(0, 6, 3)
    rough = sum(
        cv2.resize(rng.normal(0, 5, (n, n, 3)), (side, side), interpolation=cv2.INTER_CUBIC)
        for n in (4, 9, 18, 40)
    )
    y, x = np.mgrid[:side, :side] / side - rng.uniform(0.4, 0.6, 2)[:, None, None]
    edge = 0.22 + sum(
        rng.normal(0, 0.03) * np.cos(k * np.arctan2(y, x) + rng.uniform(0, 6)) for k in range(2, 6)
    )
    inside = 1 / (1 + np.exp((np.hypot(y, x) - edge) * 60))
    return np.clip(skin + rough - 90 * inside[..., None], 0, 255).astype(np.uint8)


def _jpeg(image, quality):
    coded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1]


def _there_and_back(image, side=100):
    height, width = image.shape[:2]
    small = cv2.resize(image, (side, side * height // width), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def _trimmed(image, share=0.02):
    height, width = image.shape[:2]
    return image[round(height * share) :, round(width * share) :]


def _brighter(image, factor):
    return np.clip(image.astype(np.float32) * factor, 0, 255).astype(np.uint8)


MADE = {
    "the same": lambda image: image,
    "jpeg 75": lambda image: _jpeg(image, 75),
    "jpeg 50": lambda image: _jpeg(image, 50),
    "resized": _there_and_back,
    "trimmed": _trimmed,
    "darker": lambda image: _brighter(image, 0.9),
    "brighter": lambda image: _brighter(image, 1.1),
    "all": lambda image: _jpeg(_brighter(_there_and_back(_trimmed(image)), 1.1), 50),
}
TURNED = [lambda image, k=k: np.rot90(image, k) for k in range(4)]
TURNED += [lambda image, k=k: np.rot90(image, k)[:, ::-1] for k in range(4)]


def _thumbnails(pictures, size=64):
    pixels = np.stack([resize(np.ascontiguousarray(picture), (size, size)) for picture in pictures])
    return copies.thumbnails(pixels, range(len(pixels)))


@pytest.fixture(scope="module")
def photographs():
    return [_photograph(seed) for seed in range(40)]


@pytest.mark.parametrize("size", [28, 64, 96])
@pytest.mark.parametrize("made", MADE)
def test_copy_is_found_and_only_the_copy(photographs, made, size):
    others = [MADE[made](photograph) for photograph in photographs]
    found = copies.find(_thumbnails(photographs, size), _thumbnails(others, size))
    assert sorted(zip(found["first"], found["second"], strict=True)) == [(i, i) for i in range(40)]


@pytest.mark.parametrize("turn", TURNED)
def test_copy_is_found_in_every_orientation(photographs, turn):
    others = [turn(_jpeg(photograph, 75)) for photograph in photographs]
    found = copies.find(_thumbnails(photographs), _thumbnails(others))
    assert sorted(zip(found["first"], found["second"], strict=True)) == [(i, i) for i in range(40)]


def test_symmetric_picture_is_found_once():
    y, x = np.mgrid[:64, :64] - 31.5
    rings = np.repeat(127 + 100 * np.cos(np.hypot(y, x) / 3)[..., None], 3, axis=2).astype(np.uint8)
    assert len(copies.find(_thumbnails([rings]), _thumbnails([rings]))) == 1


def test_unrelated_images_are_not_found(photographs):
    noise = list(np.random.default_rng(0).integers(0, 256, (40, 64, 64, 3)).astype(np.uint8))
    others = [_photograph(seed) for seed in range(100, 140)] + noise
    assert copies.find(_thumbnails(photographs), _thumbnails(others)).empty


def test_flat_images_are_like_nothing(photographs):
    rng = np.random.default_rng(0)
    flat = [np.full((64, 64, 3), value, np.uint8) for value in (0, 127, 127, 255)]
    flat.append(rng.integers(126, 129, (64, 64, 3)).astype(np.uint8))
    thumbs = _thumbnails(flat)
    for other in (thumbs, _thumbnails(photographs)):
        assert copies.find(thumbs, other).empty
    fine = thumbs.fine(np.arange(len(thumbs)))
    assert np.isfinite(copies.similarity(fine, fine[::-1])).all()


def test_negative_is_no_copy(photographs):
    fine = _thumbnails(photographs).fine(np.arange(len(photographs)))
    assert (copies.similarity(fine, 255 - fine) < copies.THRESHOLD).all()


def test_blocks_change_nothing(photographs, monkeypatch):
    first, second = _thumbnails(photographs), _thumbnails([_jpeg(p, 50) for p in photographs[::-1]])
    whole = copies.find(first, second)
    monkeypatch.setattr(copies, "_BLOCK", 7)
    monkeypatch.setattr(copies, "_PAIRS", 3)
    parts = copies.find(first, second)
    assert whole.drop(columns="similarity").equals(parts.drop(columns="similarity"))
    np.testing.assert_allclose(whole["similarity"], parts["similarity"], atol=1e-5)


def test_rows_choose_the_images(photographs):
    thumbs = _thumbnails(photographs)
    found = copies.find(thumbs.take([3, 5]), thumbs.take([9, 5, 3]))
    assert sorted(zip(found["first"], found["second"], strict=True)) == [(0, 2), (1, 1)]


def test_too_small_pixels_are_refused():
    with pytest.raises(ValueError, match="below 28"):
        copies.thumbnails(np.zeros((1, 27, 40, 3), np.uint8), [0])


def test_progress_counts_every_block(photographs):
    told = []

    def progress(items, description, total):
        told.append((description, total, len(list(items))))
        return items

    copies.find(_thumbnails(photographs), _thumbnails(photographs), progress)
    assert told == [("comparing images", 8, 8)]


@pytest.mark.parametrize("made", MADE)
def test_copies_of_real_lesions_are_found(real_data, made):
    table = benchmark.data.load("isic2018", real_data / HAM).table
    originals = [images.read_image(path) for path in table["path"][::4]]
    first = _thumbnails(originals, 28)
    second = _thumbnails([MADE[made](image) for image in originals], 28)
    found = copies.find(first, second)
    assert (found["first"] == found["second"]).sum() >= 0.99 * len(originals)


@pytest.mark.slow
def test_different_lesions_of_dermamnist_are_told_apart_but_for_three_with_two_names(real_data):
    file = "dermamnist.npz"
    dataset = benchmark.data.load("medmnist", real_data / "dermamnist-rebuilt", file=file)
    thumbs = copies.thumbnails(open_pixels(dataset, 28), range(len(dataset.table)))
    found = copies.find(thumbs, thumbs)
    table = dataset.table.reset_index()
    first, second = (table.loc[found[side]].reset_index() for side in ("first", "second"))
    different = first["group"] != second["group"]
    pairs = zip(first["image_id"][different], second["image_id"][different], strict=True)
    assert {tuple(sorted(pair)) for pair in pairs} == {
        ("ISIC_0025226", "ISIC_0030074"),
        ("ISIC_0027027", "ISIC_0029036"),
        ("ISIC_0027636", "ISIC_0027994"),
    }
    same = (first["group"] == second["group"]) & (first["id"] < second["id"])
    assert 120 <= same.sum() <= 136  # 128 here; the last digits are OpenCV's


@pytest.mark.slow
def test_independent_copy_of_the_same_images_is_found_by_pixels_alone(real_data):
    file = "dermamnist.npz"
    small = benchmark.data.load("medmnist", real_data / "dermamnist-rebuilt", file=file)
    large = benchmark.data.load("isic2018", real_data / "isic2018-task3")
    of_test = (large.table["split"] == "test").to_numpy()
    thumbs = copies.thumbnails(open_pixels(small, 28), range(len(small.table)))
    others = copies.thumbnails(open_pixels(large, 64), range(len(large.table)))
    found = copies.find(thumbs, others).drop_duplicates("second")
    first = small.table["group"].to_numpy()[found["first"]]
    second = large.table["group"].to_numpy()[found["second"]]
    assert (first == second).all()
    # The test images of the challenge are not in HAM10000's training images.
    assert sorted(found["second"]) == list(np.flatnonzero(~of_test))


@pytest.mark.slow
def test_different_fundus_photographs_are_told_apart_but_for_one_eye(real_data):
    root = real_data / "idrid-grading" / "B. Disease Grading" / "1. Original Images"
    paths = sorted(root.rglob("*.jpg"))
    thumbs = _thumbnails([images.read_image(str(path)) for path in paths], 28)
    found = copies.find(thumbs, thumbs)
    pairs = {
        tuple(sorted((paths[a].stem, paths[b].stem)))
        for a, b in zip(found["first"], found["second"], strict=True)
        if a != b
    }
    assert pairs == {("IDRiD_013", "IDRiD_397")}
