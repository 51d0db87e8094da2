"""One image's random variants: geometry against an explicit warp, colours against torchvision."""

import itertools
from collections import Counter

import cv2
import numpy as np
import pytest

from benchmark.data.augment import Draws, augment
from benchmark.recipe import Augmentation

SUPERCON = Augmentation(
    crop=(0.08, 1.0),
    crop_ratio=(3 / 4, 4 / 3),
    horizontal_flip=True,
    jitter=(0.8, 0.8, 0.8, 0.2),
    greyscale_probability=0.2,
    blur=(1, 2),
    blur_probability=0.5,
)
ONE_JITTER = {
    "brightness": (0.8, 0.0, 0.0, 0.0),
    "contrast": (0.0, 0.8, 0.0, 0.0),
    "saturation": (0.0, 0.0, 0.8, 0.0),
    "hue": (0.0, 0.0, 0.0, 0.5),
}


class Scripted(np.random.Generator):
    """A generator that gives the named draws, and 0.5 for all others."""

    def __init__(self, **draws: float) -> None:
        super().__init__(np.random.PCG64(0))
        self._draws = Draws(*[0.5] * len(Draws._fields))._replace(**draws)

    def random(self, size):
        return np.array(self._draws)[:size]


@pytest.fixture
def image() -> np.ndarray:
    """(20, 24, 3) of noise, redder than blue: no symmetry, neither of places nor of channels."""
    return np.random.default_rng(5).integers(0, (256, 200, 150), (20, 24, 3)).astype(np.uint8)


@pytest.fixture
def smooth() -> np.ndarray:
    """(60, 80, 3): the value of a pixel is linear in where it is, in each channel."""
    y, x = np.mgrid[:60, :80]
    return np.stack([2 * x + 20, 3 * y + 30, x + y + 40], axis=-1).astype(np.uint8)


@pytest.fixture
def functional(framework):
    """torchvision's own colour changes."""
    if framework != "torch":
        pytest.skip("torchvision and TensorFlow cannot share a process")
    return pytest.importorskip("torchvision.transforms.functional")


def _tensor(image):
    import torch

    return torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 255


def _bytes(tensor):
    return np.rint(255 * tensor.permute(1, 2, 0).numpy()).astype(int)


def _assert_near(image, expected, levels):
    assert np.abs(image.astype(int) - expected).max() <= levels


def test_no_augmentation_leaves_the_image_alone(image):
    np.testing.assert_array_equal(augment(image, Augmentation(), np.random.default_rng(1)), image)


def test_flips_alone_give_the_four_mirror_images(image):
    ranges = Augmentation(horizontal_flip=True, vertical_flip=True)
    rng = np.random.default_rng(0)
    found = {augment(image, ranges, rng).tobytes() for _ in range(50)}
    expected = {image[::y, ::x].tobytes() for y in (1, -1) for x in (1, -1)}
    assert found == expected


def test_a_quarter_turn_keeps_the_centre():
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


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(("left", "top"), [(0.3, 0.8), (0.0, 1.0)])
def test_a_crop_is_the_part_stretched_to_the_whole(smooth, flip, left, top):
    ranges = Augmentation(crop=(0.25, 0.25), crop_ratio=(4 / 3, 4 / 3), horizontal_flip=flip)
    found = augment(smooth, ranges, Scripted(left=left, top=top, flip_x=0.4))
    # A quarter of 80 x 60 at 4:3 is 40 x 30; pixels are squares, half a pixel about their centres.
    x = np.clip(40 * left + (np.arange(80) + 0.5) / 2 - 0.5, 0, 79)
    y = np.clip(30 * top + (np.arange(60) + 0.5) / 2 - 0.5, 0, 59)
    x, y = np.meshgrid(x[::-1] if flip else x, y)
    expected = np.stack([2 * x + 20, 3 * y + 30, x + y + 40], axis=-1)
    # Without the edge, where up to half a pixel of the mirrored border shows.
    found, expected = found[1:-1, 1:-1], expected[1:-1, 1:-1]
    _assert_near(found, np.rint(expected), 1)
    # A shift of a tenth of a pixel would show here.
    np.testing.assert_allclose((found - expected).mean(axis=(0, 1)), 0, atol=0.1)


def test_a_crop_agrees_with_torchvision(functional, smooth):
    ranges = Augmentation(crop=(0.25, 0.25), crop_ratio=(4 / 3, 4 / 3), border="nearest")
    found = augment(smooth, ranges, Scripted(left=0.5, top=0.1))
    expected = functional.resized_crop(_tensor(smooth), 3, 20, 30, 40, [60, 80], antialias=False)
    _assert_near(found[1:-1, 1:-1], _bytes(expected)[1:-1, 1:-1], 1)


def _measured_part(found):
    """Width and height of the part of `smooth` that an image shows, from its two gradients."""
    red, green = found[..., 0].astype(float), found[..., 1].astype(float)
    return (
        np.diff(red, axis=1)[:, 5:-5].mean() / 2 * 80,
        np.diff(green, axis=0)[5:-5].mean() / 3 * 60,
    )


def test_the_share_of_the_area_is_uniform_and_the_ratio_log_uniform(smooth):
    ranges = Augmentation(crop=(0.2, 0.5), crop_ratio=(3 / 4, 4 / 3))
    rng = np.random.default_rng(3)
    parts = np.array([_measured_part(augment(smooth, ranges, rng)) for _ in range(2000)])
    area = parts.prod(axis=1) / (60 * 80)
    log_ratio = np.log(parts[:, 0] / parts[:, 1])
    for values, low, high in ((area, 0.2, 0.5), (log_ratio, -np.log(4 / 3), np.log(4 / 3))):
        deciles = np.quantile(values, np.linspace(0.1, 0.9, 9))
        expected = low + (high - low) * np.linspace(0.1, 0.9, 9)
        # Four standard errors of a median of 2000 draws.
        np.testing.assert_allclose(deciles, expected, atol=0.045 * (high - low))
        assert values.min() > low - 0.05 * (high - low)
        assert values.max() < high + 0.05 * (high - low)


def test_a_crop_shows_nothing_beyond_the_image(smooth):
    ranges = Augmentation(crop=(0.08, 1.0), crop_ratio=(1 / 3, 3.0))
    rng = np.random.default_rng(1)
    for _ in range(200):
        found = augment(smooth, ranges, rng).astype(int)
        # A mirrored border would turn a gradient round.
        assert (np.diff(found[..., 0], axis=1)[:, 5:-5] >= 0).all()
        assert (np.diff(found[..., 1], axis=0)[5:-5] >= 0).all()


def test_a_crop_longer_than_the_image_is_cut_to_it(smooth):
    ranges = Augmentation(crop=(1.0, 1.0), crop_ratio=(1.0, 1.0000001))
    width, height = _measured_part(augment(smooth, ranges, Scripted()))
    assert width == pytest.approx(np.sqrt(60 * 80), rel=0.02)
    assert height == pytest.approx(60, rel=0.02)


@pytest.mark.parametrize("draw", [0.0, 0.2, 0.5, 0.7, 0.999])
@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_a_jitter_is_torchvisions(functional, image, name, draw):
    found = augment(image, Augmentation(jitter=ONE_JITTER[name]), Scripted(**{name: draw}))
    expected = getattr(functional, f"adjust_{name}")(_tensor(image), 0.2 + 1.6 * draw)
    _assert_near(found, _bytes(expected), 1)


@pytest.mark.parametrize("draw", [0.0, 0.1, 0.35, 0.6, 0.999])
def test_a_turn_of_the_hue_is_torchvisions(functional, draw):
    # More pixels than are handled at a time, greys and ties of channels among them.
    image = np.random.default_rng(2).integers(0, 256, (150, 160, 3)).astype(np.uint8)
    image[:20] = image[:20] // 64 * 64
    image[20:25] = image[20:25, :, :1]
    found = augment(image, Augmentation(jitter=ONE_JITTER["hue"]), Scripted(hue=draw))
    _assert_near(found, _bytes(functional.adjust_hue(_tensor(image), draw - 0.5)), 1)


def test_a_jitter_above_one_never_inverts(functional, image):
    ranges = Augmentation(jitter=(0.0, 1.5, 0.0, 0.0))
    found = augment(image, ranges, Scripted(contrast=0.2))
    _assert_near(found, _bytes(functional.adjust_contrast(_tensor(image), 0.5)), 1)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::3])
def test_jitters_apply_in_the_drawn_order_and_round_once(functional, image, order):
    factors = {"brightness": 1.6, "contrast": 0.6, "saturation": 1.7, "hue": 0.1}
    names = list(factors)
    draws = {name: (value - 0.2) / 1.6 for name, value in factors.items() if name != "hue"}
    ranks = {f"rank_{names[number]}": rank / 4 for rank, number in enumerate(order)}
    found = augment(
        image, Augmentation(jitter=(0.8, 0.8, 0.8, 0.2)), Scripted(hue=0.75, **draws, **ranks)
    )
    expected = _tensor(image)
    for number in order:
        expected = getattr(functional, f"adjust_{names[number]}")(expected, factors[names[number]])
    _assert_near(found, _bytes(expected), 1)


def test_greyscale_is_torchvisions_in_three_equal_channels(functional, image):
    found = augment(image, Augmentation(greyscale_probability=1.0), Scripted())
    _assert_near(found, _bytes(functional.rgb_to_grayscale(_tensor(image), 3)), 1)
    assert (found == found[..., :1]).all()


@pytest.mark.parametrize("draw", [0.0, 0.5, 0.999])
def test_a_blur_is_torchvisions_with_a_mirrored_border(functional, image, draw):
    found = augment(image, Augmentation(blur=(0.5, 2), blur_probability=1.0), Scripted(sigma=draw))
    expected = functional.gaussian_blur(_tensor(image), [3, 3], [0.5 + 1.5 * draw] * 2)
    _assert_near(found, _bytes(expected), 1)


def test_jitter_comes_before_greyscale_blur_and_gain(functional, image):
    ranges = Augmentation(
        jitter=ONE_JITTER["brightness"],
        greyscale_probability=1,
        blur_probability=1,
        brightness=(0.5, 0.5),
    )
    found = augment(image, ranges, Scripted(brightness=1.0))
    expected = functional.adjust_brightness(_tensor(image), 1.8)
    expected = functional.rgb_to_grayscale(expected, 3)
    expected = functional.gaussian_blur(expected, [3, 3], [1.0, 1.0])
    _assert_near(found, _bytes(0.5 * expected), 1)


@pytest.mark.parametrize(
    "ranges",
    [
        Augmentation(jitter=(0.8, 0.8, 0.8, 0.2), jitter_probability=0.3),
        Augmentation(greyscale_probability=0.3),
        Augmentation(blur_probability=0.3),
    ],
)
def test_a_change_happens_as_often_as_its_probability(image, ranges):
    rng = np.random.default_rng(8)
    changed = sum(not np.array_equal(augment(image, ranges, rng), image) for _ in range(1000))
    assert changed == pytest.approx(300, abs=4 * np.sqrt(1000 * 0.3 * 0.7))


def test_all_orders_of_the_jitters_are_equally_frequent(image):
    ranges = Augmentation(jitter=(0.8, 0.8, 0.8, 0.2))
    rng = np.random.default_rng(8)
    found: Counter[bytes] = Counter()
    for _ in range(2400):
        draws = Draws(*rng.random(len(Draws._fields)))
        strong = draws._replace(jitter=0, brightness=0.9, contrast=0.9, saturation=0.9, hue=0.9)
        found[augment(image, ranges, Scripted(**strong._asdict())).tobytes()] += 1
    counts = np.array(list(found.values()))
    assert len(counts) == 24
    assert ((counts - 100) ** 2 / 100).sum() < 49.7  # chi-square, 23 degrees of freedom, 0.1%


@pytest.mark.parametrize(
    ("x", "y", "rows", "columns"),
    [
        (0.5, 0.5, slice(5, 15), slice(7, 17)),
        (0.0, 0.5, slice(5, 15), slice(0, 5)),
        (0.999, 0.0, slice(0, 5), slice(19, 24)),
        (0.25, 0.75, slice(10, 20), slice(1, 11)),
    ],
)
def test_a_square_of_half_the_shorter_side_is_grey_and_the_rest_as_it_was(
    image, x, y, rows, columns
):
    found = augment(image, Augmentation(cutout=(0.5, 0.5)), Scripted(square_x=x, square_y=y))
    expected = image.copy()
    expected[rows, columns] = 127
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("draw", [0.0, 0.3, 0.7, 0.999])
def test_the_side_of_the_square_is_drawn_from_its_range(image, draw):
    found = augment(image, Augmentation(cutout=(0.2, 0.6)), Scripted(side=draw))
    side = (0.2 + 0.4 * draw) * 20
    grey = (found == 127).all(axis=2)
    assert np.ptp(np.flatnonzero(grey.any(axis=0))) + 1 == pytest.approx(side, abs=1)
    assert grey.sum() == pytest.approx(side**2, abs=2 * side + 1)


def test_squares_lie_anywhere_and_lose_what_is_outside(image):
    ranges = Augmentation(cutout=(0.5, 0.5))
    blank, rng = np.zeros_like(image), np.random.default_rng(4)
    covered = np.zeros(image.shape[:2])
    for _ in range(4000):
        covered += augment(blank, ranges, rng)[..., 0] > 0
    # Of side 10 about a centre uniform in 20 x 24: a quarter of the corner's centres are inside.
    assert covered[0, 0] / 4000 == pytest.approx(5.5 * 5.5 / 480, abs=0.015)
    assert covered[10, 12] / 4000 == pytest.approx(10 * 10 / 480, abs=0.026)
    # The very middle is no more often covered than whatever is half a side from the border.
    assert covered[6, 6] == pytest.approx(covered[10, 12], rel=0.15)


def test_a_square_is_grey_whatever_the_colours_do(image):
    ranges = Augmentation(cutout=(0.5, 0.5), brightness=(0.5, 0.5), greyscale_probability=1)
    assert (augment(image, ranges, Scripted())[6:14, 8:16] == 127).all()


def test_a_cutout_leaves_the_older_draws(image):
    without = augment(image, SUPERCON, np.random.default_rng(4))
    cut = SUPERCON.model_copy(update={"cutout": (0.3, 0.3)})
    found = augment(image, cut, np.random.default_rng(4))
    grey = (found == 127).all(axis=2)
    assert 0 < grey.sum() < grey.size
    np.testing.assert_array_equal(found[~grey], without[~grey])


@pytest.mark.parametrize("cutout", [(0.5, 0.2), (-0.1, 0.2), (0.0, 1.1)])
def test_a_square_is_at_most_the_image(cutout):
    with pytest.raises(ValueError, match="cutout"):
        Augmentation(cutout=cutout)


def test_settings_without_a_cutout_are_written_as_before_there_was_one():
    assert "cutout" not in SUPERCON.model_dump(mode="json")
    assert "cutout" not in SUPERCON.model_dump(exclude_defaults=True)
    cut = SUPERCON.model_copy(update={"cutout": (0.0, 0.5)})
    written = cut.model_dump(mode="json")
    assert written["cutout"] == [0.0, 0.5]
    assert Augmentation.model_validate(written) == cut


def test_new_ranges_leave_the_old_draws(smooth):
    old = Augmentation(rotation=40, zoom=0.2, shear=5, horizontal_flip=True, brightness=(0.5, 1.0))
    new = old.model_copy(update={"greyscale_probability": 1.0})
    plain = augment(smooth, old, np.random.default_rng(4))
    grey = augment(smooth, new, np.random.default_rng(4))
    _assert_near(grey, np.rint(plain @ [[0.299], [0.587], [0.114]]), 1)


@pytest.mark.parametrize("shape", [(96, 96), (61, 53), (150, 160)])
def test_bytes_do_not_depend_on_where_the_image_lies(shape):
    everything = {"rotation": 90, "zoom": 0.2, "brightness": (0.5, 1.5), "blur_probability": 1}
    everything["cutout"] = (0.1, 0.5)
    ranges = SUPERCON.model_copy(update={**everything, "greyscale_probability": 0})
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3)).astype(np.uint8)
    found = set()
    for offset in range(0, 64, 3):
        memory = np.empty(image.size + 64, np.uint8)
        moved = memory[offset : offset + image.size].reshape(image.shape)
        moved[:] = image
        found.add(augment(moved, ranges, np.random.default_rng(3)).tobytes())
    assert len(found) == 1


def test_bytes_do_not_depend_on_the_threads_of_opencv(smooth):
    threads = cv2.getNumThreads()
    image = cv2.resize(smooth, (400, 300))
    found = set()
    try:
        for count in (1, 2, 5):
            cv2.setNumThreads(count)
            found.add(augment(image, SUPERCON, np.random.default_rng(3)).tobytes())
    finally:
        cv2.setNumThreads(threads)
    assert len(found) == 1


def test_the_given_image_is_not_changed(image):
    image.flags.writeable = False
    before = image.copy()
    for seed in range(20):
        augment(image, SUPERCON, np.random.default_rng(seed))
    np.testing.assert_array_equal(image, before)
