"""The overlaps of one image: by hand, against the slow definitions, files of every kind."""

import random

import numpy as np
import pytest
from PIL import Image

import benchmark.data
from benchmark.data import images
from benchmark.errors import DataError
from benchmark.metrics import maps
from benchmark.raters import agreement
from benchmark.raters.overlap import (
    CHARACTERISTIC,
    DREW,
    IMAGE,
    READ,
    REPEAT,
    Mask,
    Reading,
    overlaps,
    stretches,
)


def _save(path, mask):
    Image.fromarray(np.asarray(mask, np.uint8) * 255).save(path)
    return str(path)


def _reading(folder, drawn, readers=None, sample_id="i"):
    """`drawn`: (annotator, session, characteristic) to mask."""
    masks = tuple(
        Mask(*who, _save(folder / f"{number}.png", mask))
        for number, (who, mask) in enumerate(drawn.items())
    )
    sessions = [tuple(sorted({m.annotator for m in masks if m.session == s})) for s in (1, 2)]
    first = sessions[0] if readers is None else readers
    return Reading(sample_id, "", masks, (first, sessions[1]))


def _square(left, width):
    """A 4 x 10 image with `width` full columns from `left`: 4 * `width` pixels."""
    mask = np.zeros((4, 10), bool)
    mask[:, left : left + width] = True
    return mask


@pytest.fixture
def three(tmp_path):
    """a marks columns 0-3, b 2-5 (one as Scale, and as Plaque), c reads and draws nothing."""
    drawn = {
        ("a", 1, "Scale"): _square(0, 4),
        ("b", 1, "Scale"): _square(2, 2),
        ("b", 1, "Plaque"): _square(3, 3),
        ("a", 2, "Scale"): _square(0, 2),
    }
    return overlaps(_reading(tmp_path, drawn, readers=("a", "b", "c")))


def test_pairs_by_hand(three):
    found = {(p.level, p.characteristic, p.annotator_1, p.annotator_2): p for p in three.pairs}
    whole = found[IMAGE, "", "a", "b"]
    assert (whole.drew, whole.f1, whole.iou) == (2, 2 * 2 / 8, 2 / 6)
    scale = found[CHARACTERISTIC, "Scale", "a", "b"]
    assert (scale.f1, scale.iou) == (2 * 2 / 6, 2 / 4)
    repeat = found[REPEAT, "", "a", "a"]
    assert (repeat.f1, repeat.iou) == (2 * 2 / 6, 2 / 4)


def test_who_read_and_drew_nothing_scores_zero(three):
    found = {(p.level, p.characteristic, p.annotator_1, p.annotator_2): p for p in three.pairs}
    for key in ((IMAGE, "", "a", "c"), (CHARACTERISTIC, "Plaque", "a", "b")):
        assert (found[key].drew, found[key].f1, found[key].iou) == (1, 0, 0)
    assert (CHARACTERISTIC, "Plaque", "a", "c") not in found
    assert three.drew == ("a", "b")
    assert three.read == ("a", "b", "c")


def test_one_against_the_others_by_hand(three):
    found = {(o.annotator, o.rule, o.counted): (o.f1, o.iou) for o in three.others}
    assert found["a", "share", DREW] == (2 * 2 / 8, 2 / 6)
    # b's columns 2-5 are half of two others: c drew nothing.
    assert found["a", "share", READ] == (2 * 1 / (4 + 2), 1 / (4 + 2 - 1))
    # b counts column 3 twice: the others' map is 1/2, 1, 1/2, 1/2.
    assert found["a", "sum", DREW] == (2 * 1.5 / 6.5, 1.5 / 5)
    assert found["c", "share", READ] == (0, 0)


def test_pair_that_drew_nothing_has_no_score(tmp_path):
    drawn = {("a", 1, "Scale"): _square(0, 4)}
    pairs = overlaps(_reading(tmp_path, drawn, readers=("a", "b", "c"))).pairs
    (silent,) = [p for p in pairs if p.annotator_1 == "b" and p.level == IMAGE]
    assert silent.drew == 0
    assert np.isnan([silent.f1, silent.iou]).all()


def test_mask_without_a_marked_pixel_is_a_reading_with_nothing_drawn(tmp_path):
    drawn = {("a", 1, "Scale"): _square(0, 4), ("b", 1, "Scale"): _square(0, 0)}
    found = overlaps(_reading(tmp_path, drawn))
    assert found.drew == ("a",)
    assert [path.rsplit("/", 1)[1] for path in found.empty] == ["1.png"]
    assert {p.f1 for p in found.pairs} == {0}


def test_names_and_order_of_annotators_do_not_matter(tmp_path):
    rng = np.random.default_rng(0)
    masks = {name: rng.random((30, 40)) < 0.4 for name in "abcd"}
    names = dict(zip("abcd", "zxwy", strict=True))
    plain = {(name, 1, "Scale"): mask for name, mask in masks.items()}
    turned = {(names[n], 1, "Scale"): masks[n] for n in "dbca"}
    (tmp_path / "turned").mkdir()
    one = overlaps(_reading(tmp_path, plain))
    other = overlaps(_reading(tmp_path / "turned", turned))

    def pairs(found, rename):
        named = [(rename(p.annotator_1), rename(p.annotator_2), p) for p in found.pairs]
        return {(p.level, frozenset((a, b))): (p.f1, p.iou) for a, b, p in named}

    assert pairs(one, names.get) == pairs(other, str)
    scores = [
        {(rename(o.annotator), o.rule): o.f1 for o in found.others if o.counted == DREW}
        for found, rename in ((one, names.get), (other, str))
    ]
    assert scores[0] == pytest.approx(scores[1], abs=1e-12)


def _slow(masks_of, sample, unions):
    """Pairs and one-against-the-others by `metrics.maps`, from whole maps."""
    for pair in sample.pairs:
        if pair.level == CHARACTERISTIC or pair.drew == 0:
            continue
        a, b = unions(pair)
        expected = maps.fuzzy_scores(a.astype(float), b.astype(float))
        assert (pair.f1, pair.iou) == pytest.approx((expected["f1"], expected["iou"]), abs=1e-12)
    for rule in ("share", "sum"):
        slow = maps.leave_one_out_agreement(masks_of, rule)
        fast = [o for o in sample.others if (o.rule, o.counted) == (rule, DREW)]
        assert {o.annotator for o in fast} == set(slow)
        for o in fast:
            # The slow maps are float32.
            want = (slow[o.annotator]["f1"], slow[o.annotator]["iou"])
            assert (o.f1, o.iou) == pytest.approx(want, abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_fast_scores_equal_those_of_the_whole_maps(tmp_path, seed):
    rng = np.random.default_rng(seed)
    drawn = {}
    for name in "abcde"[: 2 + seed]:
        for characteristic in ("Scale", "Plaque", "Papule", "Scar")[: 1 + rng.integers(4)]:
            for session in (1, 2)[: 1 + rng.integers(2)]:
                mask = np.zeros((23, 37), bool)
                top, left = rng.integers(0, 15, 2)
                mask[top : top + 8, left : left + rng.integers(1, 20)] = True
                drawn[name, session, characteristic] = mask ^ (rng.random(mask.shape) < 0.02)
    by = {
        name: np.stack([m for (who, s, _), m in drawn.items() if (who, s) == (name, 1)])
        for name in {who for who, s, _ in drawn if s == 1}
    }

    def unions(pair):
        if pair.level == IMAGE:
            return by[pair.annotator_1].any(0), by[pair.annotator_2].any(0)
        again = [m for (who, s, _), m in drawn.items() if (who, s) == (pair.annotator_1, 2)]
        return by[pair.annotator_1].any(0), np.any(again, axis=0)

    _slow(by, overlaps(_reading(tmp_path, drawn)), unions)


def test_fast_scores_of_real_masks_equal_those_of_the_whole_maps(real_data):
    dataset = benchmark.data.load("dermxdb", real_data / "dermxdb", sessions="both")
    readings = list(agreement._readings(dataset))
    for reading in random.Random(3).sample(readings, 4):
        rows = dataset.mask_rows(reading.sample_id)
        stack = dataset.mask_stack(reading.sample_id)
        whose = [
            {
                name: stack[((rows["annotator"] == name) & (rows["session"] == s)).to_numpy()]
                for name in rows["annotator"][rows["session"] == s]
            }
            for s in (1, 2)
        ]
        empty = np.zeros((1, *stack.shape[1:]), bool)

        def unions(pair, whose=whose, empty=empty):
            second = whose[pair.level == REPEAT]
            return [
                masks.get(name, empty).any(axis=0)
                for masks, name in ((whose[0], pair.annotator_1), (second, pair.annotator_2))
            ]

        _slow(whose[0], overlaps(reading), unions)


def test_runs_carry_every_pixel_and_every_mask(tmp_path):
    rng = np.random.default_rng(5)
    masks = [rng.random((13, 17)) < 0.3 for _ in range(19)]
    marks, pixels = stretches([_save(tmp_path / f"{n}.png", m) for n, m in enumerate(masks)])
    assert pixels.sum() == 13 * 17
    assert np.array_equal(np.repeat(marks, pixels, axis=0).T.reshape(19, 13, 17), masks)


@pytest.mark.parametrize("kind", ["0 and 1", "one bit", "colour", "sixteen bits", "turned", "jpeg"])
def test_pixels_are_those_of_the_one_reader_of_masks(tmp_path, kind):
    mask = np.zeros((6, 9), np.uint8)
    mask[1:4, 2:8] = 1
    path = tmp_path / ("m.jpg" if kind == "jpeg" else "m.png")
    if kind == "0 and 1":
        Image.fromarray(mask).save(path)
    elif kind == "one bit":
        Image.fromarray(mask > 0).save(path)
    elif kind == "colour":
        Image.fromarray(np.dstack([mask * 255] * 3)).save(path)
    elif kind == "sixteen bits":
        Image.fromarray(mask.astype(np.uint16) * 65535).save(path)
    else:
        image = Image.fromarray(mask * 255)
        exif = Image.Exif()
        exif[0x0112] = 6
        image.save(path, **({"exif": exif} if kind == "turned" else {"quality": 95}))
    expected = images.read_mask(str(path))
    marks, pixels = stretches([str(path)])
    assert expected.any()
    assert np.array_equal(np.repeat(marks[:, 0], pixels).reshape(expected.shape), expected)


@pytest.mark.parametrize("content", [b"", b"no mask", None])
def test_broken_mask_is_named_in_one_line(tmp_path, content):
    path = _save(tmp_path / "broken.png", _square(0, 4))
    data = (tmp_path / "broken.png").read_bytes()
    (tmp_path / "broken.png").write_bytes(data[:50] if content is None else content)
    with pytest.raises(DataError, match=r"broken\.png") as caught:
        stretches([path])
    assert "\n" not in str(caught.value)


def test_missing_mask_and_mask_of_another_size_are_named(tmp_path):
    one = _save(tmp_path / "one.png", _square(0, 4))
    other = _save(tmp_path / "other.png", _square(0, 4).T)
    with pytest.raises(DataError, match=r"other\.png is 4 x 10"):
        stretches([one, other])
    with pytest.raises(DataError, match=r"gone\.png does not exist"):
        stretches([one, str(tmp_path / "gone.png")])
