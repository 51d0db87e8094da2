"""Long tails: the published profile, whole groups, targets that are never exceeded."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import benchmark.data
from benchmark.data import longtail, splits
from benchmark.data.dataset import UNLABELLED
from benchmark.errors import DataError

# Training images of ISIC2019-LT, classes NV, MEL, BCC, BKL, AK, SCC, VASC, DF.
ISIC2019_LT = {
    100: [5000, 2590, 1342, 695, 360, 187, 97, 51],
    200: [5000, 2346, 1101, 517, 243, 114, 54, 25],
    500: [5000, 2058, 847, 349, 144, 60, 25, 11],
}


def _table(labels, groups):
    ids = [f"i{number:05d}" for number in range(len(labels))]
    return pd.DataFrame(
        {"label": list(labels), "group": list(groups)}, index=pd.Index(ids, name="id")
    )


def _plain(counts):
    """One image per group; `counts` images of each class."""
    labels = np.repeat(np.arange(len(counts)), counts)
    return _table(labels, [f"g{number}" for number in range(len(labels))])


def _found(table, ids, classes):
    return np.bincount(table.loc[ids, "label"], minlength=classes)


@st.composite
def patients(draw):
    """A table of up to 60 patients with one to eight images each, of two to five classes mixed."""
    classes = draw(st.integers(2, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sizes = rng.integers(1, 9, draw(st.integers(1, 60)))
    groups = np.repeat([f"p{number}" for number in range(len(sizes))], sizes)
    labels = rng.integers(0, classes, len(groups))
    return _table(labels, groups), classes


def _drawn(table, targets, seed):
    """The draw, and targets of 0 where it refuses: then every class that has a target is there."""
    try:
        return longtail.draw(table, targets, seed)
    except DataError:
        return None


@pytest.mark.parametrize("ratio", ISIC2019_LT)
def test_the_profile_is_that_of_isic2019_lt(ratio):
    # Enough images of every class for a head of 5000. The published tails of 100 and 500 are one
    # more than the whole number that the formula gives there.
    targets = longtail.profile([5000] * 8, ratio)
    published = np.array(ISIC2019_LT[ratio])
    extra = np.zeros(8, int)
    extra[7] = ratio != 200
    np.testing.assert_array_equal(targets, published - extra)


def test_the_profile_ranks_by_count_and_not_by_index():
    targets = longtail.profile([20, 1000, 300, 300], 10)
    # At 10 the rarest allows a head of 200; ties go by index.
    assert list(targets) == [20, 200, 93, 44]


def test_the_head_is_the_same_at_every_ratio_and_the_tail_shrinks():
    counts = [169, 1018, 78, 50, 166, 18, 22]
    ten, fifty, hundred = (longtail.profile(counts, ratio) for ratio in (10, 50, 100))
    assert ten.max() == fifty.max() == hundred.max() == 149
    assert ten.argmax() == 1
    assert (ten >= fifty).all()
    assert (fifty >= hundred).all()
    assert [ten.min(), fifty.min(), hundred.min()] == [15, 3, 2]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 5000), min_size=2, max_size=9), st.sampled_from([10, 50, 100]))
def test_no_larger_head_would_leave_every_class_enough_images(counts, ratio):
    try:
        targets = longtail.profile(counts, ratio)
    except DataError:
        return
    assert (targets <= counts).all()
    assert (targets >= 1).all()
    ranked = np.array(counts)[np.argsort(-np.array(counts), kind="stable")]
    larger = (targets.max() + 1) * 10 ** (-np.arange(len(counts)) / (len(counts) - 1))
    assert (np.ceil(larger - 1e-9) > ranked).any()


def test_a_class_without_images_has_no_rank():
    assert list(longtail.profile([0, 100, 1000], 10)) == [0, 100, 1000]


def test_a_tail_below_one_image_names_class_ratio_and_what_would_do():
    with pytest.raises(DataError, match=r"imbalance 100 .* class rare") as caught:
        longtail.profile([90, 10, 8], 100, ("common", "mid", "rare"))
    assert "at least 100 of common (now 90), 32 of mid (now 10), 10 of rare (now 8)" in str(
        caught.value
    )
    # As many as it asks for are enough, one less is not.
    assert list(longtail.profile([100, 32, 10], 100)) == [100, 10, 1]
    for counts in ([99, 32, 10], [100, 31, 10], [100, 32, 9]):
        with pytest.raises(DataError, match="less than one"):
            longtail.profile(counts, 100)


@pytest.mark.parametrize(("counts", "ratio"), [([5, 0], 10), ([50, 50], 9), ([50, 50], np.nan)])
def test_one_class_or_a_small_ratio_is_a_mistake(counts, ratio):
    with pytest.raises(ValueError, match="need 2 and 10"):
        longtail.profile(counts, ratio)


@settings(max_examples=100, deadline=None)
@given(patients(), st.integers(0, 2**32 - 1), st.data())
def test_groups_stay_whole_and_counts_never_exceed_their_targets(made, seed, data):
    table, classes = made
    targets = data.draw(st.lists(st.integers(0, 40), min_size=classes, max_size=classes))
    ids = _drawn(table, targets, seed)
    if ids is None:
        return
    assert ids == sorted(set(ids))
    assert (_found(table, ids, classes) <= targets).all()
    rest = table.drop(ids)
    assert not set(table.loc[ids, "group"]) & set(rest["group"])


@settings(max_examples=60, deadline=None)
@given(patients(), st.integers(0, 1000), st.randoms(use_true_random=False))
def test_the_seed_decides_and_the_order_of_the_rows_does_not(made, seed, random):
    table, classes = made
    order = list(table.index)
    random.shuffle(order)
    targets = [15] * classes
    assert _drawn(table, targets, seed) == _drawn(table.loc[order], targets, seed)


@settings(max_examples=60, deadline=None)
@given(patients(), st.integers(0, 1000))
def test_no_group_that_would_still_fit_is_left(made, seed):
    table, classes = made
    targets = np.full(classes, 12)
    ids = _drawn(table, targets, seed)
    if ids is None:
        return
    room = targets - _found(table, ids, classes)
    for _, rows in table.drop(ids).groupby("group"):
        assert (np.bincount(rows["label"], minlength=classes) > room).any()


def test_seeds_draw_different_images():
    table = _plain([100, 100])
    assert longtail.draw(table, [50, 10], 1) != longtail.draw(table, [50, 10], 2)


def test_single_images_hit_the_targets_and_a_higher_ratio_draws_part_of_a_lower():
    counts = [169, 1018, 78, 50, 166, 18, 22]
    table = _plain(counts)
    smaller: set[str] | None = None
    for ratio in (100, 50, 10):
        targets = longtail.profile(counts, ratio)
        ids = longtail.draw(table, targets, 0)
        assert list(_found(table, ids, 7)) == list(targets)
        assert smaller is None or smaller < set(ids)
        smaller = set(ids)


def test_patients_with_a_rare_class_are_not_kept_out_by_a_full_common_one():
    # All images of the rare class lie with eight of the common one; others fill that up soon.
    groups = [f"p{number}" for number in range(10) for _ in range(10)]
    groups += [f"single{number}" for number in range(200)]
    table = _table([0] * 8 + [1] * 2 + [0] * 90 + [0] * 200, groups)
    for seed in range(20):
        assert list(_found(table, longtail.draw(table, [40, 2], seed), 2)) == [40, 2]


def test_unlabelled_images_are_never_drawn():
    table = _plain([20, 20])
    table.iloc[:10, 0] = UNLABELLED
    ids = longtail.draw(table, [20, 20], 0)
    assert set(ids) == set(table.index[10:])


def test_a_class_whose_groups_are_all_too_large_is_named():
    table = _table([0] * 10 + [1] * 6, [f"g{n}" for n in range(10)] + ["x"] * 3 + ["y"] * 3)
    with pytest.raises(DataError, match="class rare fits into its target of 2 training images"):
        longtail.draw(table, [10, 2], 0, ("common", "rare"))


def test_only_misses_of_more_than_two_images_and_a_tenth_are_told():
    classes = ("a", "b", "c", "d")
    (told,) = longtail.misses([97, 2, 18, 10], [100, 4, 20, 13], classes)
    assert told.startswith("class d has 10 training images where the profile has 13")


def test_lesions_of_real_images_stay_whole(real_data):
    dataset = benchmark.data.load("isic2018", real_data / "ham10000-multi-image-lesions")
    table = dataset.table.loc[splits.partition(dataset, 0)["train"]]
    targets = longtail.profile(np.bincount(table["label"], minlength=7), 50, dataset.classes)
    ids = longtail.draw(table, targets, 0, dataset.classes)
    assert not set(table.loc[ids, "group"]) & set(table.drop(ids)["group"])
    assert table.loc[ids, "group"].nunique() < len(ids)
    found = _found(table, ids, 7)
    assert (found <= targets).all()
    assert (found >= 1).all()
    assert not longtail.misses(found, targets, dataset.classes)
