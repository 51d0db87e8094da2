"""Labelled subsets: nested, stratified, of whole groups, the same on any order of the rows."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import benchmark.data
from benchmark.data import fractions
from benchmark.data.dataset import UNLABELLED
from benchmark.errors import DataError

CLASSES = ("a", "b", "c", "d")
PERCENTS = (1, 2.5, 10, 33, 50, 100)


def _table(labels, groups):
    ids = [f"i{number:04d}" for number in range(len(labels))]
    table = pd.DataFrame({"label": labels, "group": groups}, index=pd.Index(ids, name="id"))
    return table.astype({"label": int, "group": str})


def _of_classes(counts, size=1):
    """`counts` images of each class, `size` images a group."""
    labels = np.repeat(np.arange(len(counts)), counts)
    places = np.concatenate([np.arange(count) // size for count in counts])
    return _table(labels, [f"{k}-{n}" for k, n in zip(labels, places, strict=True)])


def _counts(table, ids):
    return np.bincount(table.loc[ids, "label"], minlength=len(CLASSES))


@st.composite
def tables(draw):
    """Up to sixty images, each class with an image; the groups may hold several classes."""
    labels = [0, 1, 2, 3, *draw(st.lists(st.integers(0, 3), max_size=56))]
    mixed = draw(st.booleans())
    names = draw(st.lists(st.integers(0, 15), min_size=len(labels), max_size=len(labels)))
    groups = [f"{n}" if mixed else f"{k}-{n}" for k, n in zip(labels, names, strict=True)]
    return _table(labels, groups)


def _drawn(table, percents=PERCENTS, seed=0):
    """The draw, without the fractions at which a class would have no image."""
    found = {}
    for percent in percents:
        try:
            found |= fractions.draw(table, [percent], seed, CLASSES)
        except DataError:
            continue
    return found


@settings(max_examples=30, deadline=None)
@given(tables(), st.integers(0, 5))
def test_every_fraction_is_part_of_the_larger_ones_and_100_percent_is_all(table, seed):
    found = list(_drawn(table, seed=seed).values())
    for smaller, larger in pairwise(found):
        assert set(smaller) <= set(larger)
    assert found[-1] == sorted(table.index)


@settings(max_examples=30, deadline=None)
@given(tables())
def test_no_group_is_labelled_in_part(table):
    for ids in _drawn(table).values():
        rest = table.index.difference(ids)
        assert not set(table.loc[ids, "group"]) & set(table.loc[rest, "group"])


@settings(max_examples=30, deadline=None)
@given(tables())
def test_every_class_has_a_labelled_image(table):
    for ids in _drawn(table).values():
        assert (_counts(table, ids) > 0).all()


@settings(max_examples=30, deadline=None)
@given(tables(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(table, random):
    order = list(table.index)
    random.shuffle(order)
    assert _drawn(table.loc[order]) == _drawn(table)


@settings(max_examples=30, deadline=None)
@given(tables())
def test_fractions_drawn_together_are_those_drawn_alone(table):
    alone = _drawn(table)
    assert fractions.draw(table, list(alone), 0, CLASSES) == alone


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 90), min_size=4, max_size=4), st.sampled_from(PERCENTS))
def test_single_images_are_labelled_in_equal_shares_rounded_up(counts, percent):
    table = _of_classes(counts)
    (ids,) = fractions.draw(table, [percent], 0, CLASSES).values()
    expected = [-(-count * int(10 * percent) // 1000) for count in counts]
    assert list(_counts(table, ids)) == expected


@pytest.mark.parametrize("percent", [0.7, 7, 14, 28, 29, 57, 58])
def test_a_share_of_whole_images_is_not_rounded_up(percent):
    # In floating point, 1000 times some of these shares is a little more than a whole number.
    table = _of_classes([1000, 1000, 1000, 1000])
    (ids,) = fractions.draw(table, [percent], 0, CLASSES).values()
    assert list(_counts(table, ids)) == [10 * percent] * 4


def test_groups_carry_a_class_past_its_share_by_less_than_one_group():
    table = _of_classes([400, 200, 100, 50], size=3)
    for percent, ids in fractions.draw(table, PERCENTS, 0, CLASSES).items():
        above = _counts(table, ids) - np.array([400, 200, 100, 50]) * percent / 100
        assert (above >= -1e-9).all()
        assert (above < 3).all()


def test_seeds_label_other_images():
    table = _of_classes([40, 40, 40, 40])
    drawn = {seed: tuple(fractions.draw(table, [10], seed, CLASSES)[10]) for seed in range(5)}
    assert len(set(drawn.values())) == 5
    assert drawn[3] == tuple(fractions.draw(table, [10], 3, CLASSES)[10])


def test_a_group_of_several_classes_stands_with_its_rarest():
    # One lesion of the rare class holds half of the common one, too.
    labels = [0] * 20 + [1] * 4
    groups = ["mixed"] * 10 + [f"a{n}" for n in range(10)] + ["mixed", "b1", "b2", "b3"]
    table = _table(labels, groups)
    for seed in range(8):
        found = fractions.draw(table, [25], seed, CLASSES)[25]
        rare, common = (table.loc[found, "label"] == k for k in (1, 0))
        # A quarter of the rare class; of the ten common images with groups of their own, three.
        assert rare.sum() == 1
        assert common.sum() == (13 if "mixed" in set(table.loc[found, "group"]) else 3)


@pytest.mark.parametrize("seed", range(1, 5))
def test_a_class_without_a_group_of_its_own_is_named_with_its_least_fraction(seed):
    # Each image of "c" is of a patient who has a "b" as well, and there are fewer of these.
    labels = [0] * 10 + [1] * 10 + [2] * 12
    groups = [f"a{n}" for n in range(10)] + [f"b{n}" for n in range(10)] + ["b9"] * 12
    table = _table(labels, groups)
    with pytest.raises(DataError, match=r"label fraction 1 %: class c would have no") as caught:
        fractions.draw(table, [1, 100], seed, CLASSES)
    least = float(str(caught.value).rsplit(maxsplit=2)[1])
    assert 0 < least < 100
    assert _counts(table, fractions.draw(table, [least], seed, CLASSES)[least])[2] == 12
    with pytest.raises(DataError, match="class c"):
        fractions.draw(table, [least - 0.2], seed, CLASSES)


def test_a_fraction_too_small_to_label_anything_is_said_to_be_so():
    with pytest.raises(DataError, match="1e-12 %: too small"):
        fractions.draw(_of_classes([10, 10]), [1e-12], 0, CLASSES)


def test_images_without_a_label_are_never_drawn():
    table = _of_classes([10, 10])
    table.iloc[3, 0] = UNLABELLED
    assert fractions.draw(table, [100], 0, CLASSES)[100] == sorted(table.index.drop("i0003"))


@pytest.mark.parametrize("percent", [0, -1, 100.5, float("nan")])
def test_a_fraction_out_of_range_is_refused(percent):
    with pytest.raises(ValueError, match="above 0 and at most 100"):
        fractions.draw(_of_classes([10, 10]), [5, percent], 0, CLASSES)


def test_classes_far_from_their_share_are_told():
    told = fractions.misses([50, 7, 8, 21], [1000, 99, 99, 350], 5, CLASSES)
    assert told == (
        "lesions and patients stay whole, so these classes miss 5 % of their images: c 8 (not 5),"
        " d 21 (not 18)"
    )
    assert fractions.misses([55, 6, 5, 20], [1000, 99, 99, 350], 5, CLASSES) == ""


def test_lesions_of_real_images_stay_whole(real_data):
    dataset = benchmark.data.load("isic2018", real_data / "isic2018-task3")
    train = dataset.table[dataset.table["split"] == "train"]
    table = dataset.table if train.empty else train
    found = fractions.draw(table, [1, 5, 20], 0, dataset.classes)
    totals = np.bincount(table["label"], minlength=7)
    for percent, ids in found.items():
        rest = table.index.difference(ids)
        assert not set(table.loc[ids, "group"]) & set(table.loc[rest, "group"])
        counts = np.bincount(table.loc[ids, "label"], minlength=7)
        assert (counts >= 1).all()
        assert (np.abs(counts - totals * percent / 100) < 7).all()
