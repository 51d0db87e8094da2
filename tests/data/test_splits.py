"""Splits: groups stay whole, classes are everywhere, the seed alone decides."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import benchmark.data
from benchmark.data import load, splits
from benchmark.data.dataset import UNLABELLED, Dataset
from benchmark.data.images import read_image
from benchmark.data.pixels import open_pixels, resize
from benchmark.errors import DataError

SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}


def _table(labels, groups, parts=""):
    ids = [f"i{number:04d}" for number in range(len(labels))]
    return pd.DataFrame(
        {"path": ids, "label": list(labels), "group": list(groups), "split": parts},
        index=pd.Index(ids, name="id"),
    )


def _dataset(table, classes=("a", "b"), **more):
    return Dataset("test", "here", table, classes, **more)


def _plain(counts):
    """One image per group; `counts` images of each class."""
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    return _table(labels, [f"g{number}" for number in range(len(labels))])


@st.composite
def grouped_tables(draw):
    """2 to 5 classes of 3 to 30 groups with 1 to 6 images each, one class per group."""
    labels, groups = [], []
    for label in range(draw(st.integers(2, 5))):
        for group in range(draw(st.integers(3, 30))):
            size = draw(st.integers(1, 6))
            labels += [label] * size
            groups += [f"{label}-{group}"] * size
    return _table(labels, groups)


@settings(max_examples=60, deadline=None)
@given(grouped_tables(), st.integers(0, 2**32 - 1))
def test_every_image_is_in_one_part_and_groups_never_cross(table, seed):
    parts = splits.split(table, SHARES, seed)
    assert sorted(i for ids in parts.values() for i in ids) == sorted(table.index)
    groups = [set(table.loc[ids, "group"]) for ids in parts.values()]
    assert sum(map(len, groups)) == len(set.union(*groups))


@settings(max_examples=60, deadline=None)
@given(grouped_tables(), st.integers(0, 2**32 - 1))
def test_every_class_is_in_every_part(table, seed):
    for ids in splits.split(table, SHARES, seed).values():
        assert set(table.loc[ids, "label"]) == set(table["label"])


@settings(max_examples=40, deadline=None)
@given(grouped_tables(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_nothing(table, random):
    order = list(table.index)
    random.shuffle(order)
    assert splits.split(table, SHARES, 7) == splits.split(table.loc[order], SHARES, 7)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(3, 200), min_size=2, max_size=6), st.integers(0, 1000))
def test_classes_keep_their_shares_to_within_two_images(counts, seed):
    table = _plain(counts)
    for name, ids in splits.split(table, SHARES, seed).items():
        found = table.loc[ids, "label"].value_counts()
        for label, count in enumerate(counts):
            assert abs(found[label] - SHARES[name] * count) <= 2


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_patients_with_several_diagnoses_stay_whole(seed):
    rng = np.random.default_rng(seed)
    groups = np.repeat([f"p{number}" for number in range(40)], 3)
    table = _table(rng.integers(0, 3, len(groups)), groups)
    parts = splits.split(table, SHARES, seed)
    for ids in parts.values():
        assert set(table.loc[ids, "label"]) == set(table["label"])
    owners = [set(table.loc[ids, "group"]) for ids in parts.values()]
    assert sum(map(len, owners)) == 40


def test_seeds_differ_and_repeat():
    table = _plain([50, 50])
    first = splits.split(table, SHARES, 1)
    assert first == splits.split(table, SHARES, 1)
    assert first != splits.split(table, SHARES, 2)


def test_class_with_too_few_groups_is_named_with_their_number():
    table = _table([0] * 9 + [1] * 6, [f"g{n}" for n in range(9)] + ["x"] * 3 + ["y"] * 3)
    with pytest.raises(DataError, match="class rare has 2 groups"):
        splits.split(table, SHARES, 0, ("common", "rare"))


def test_single_class_is_refused():
    with pytest.raises(DataError, match="of 1 class"):
        splits.split(_plain([9]), SHARES, 0)


def test_entangled_groups_are_refused():
    # Each class has three patients, but only p can be a part alone, and q, r, s make but one more.
    table = _table([0, 1, 2, 0, 1, 0, 2, 1, 2], ["p", "p", "p", "q", "q", "r", "r", "s", "s"])
    with pytest.raises(DataError, match="hold images of several classes"):
        splits.split(table, SHARES, 0)
    halves = splits.split(table, {"a": 0.5, "b": 0.5}, 0)
    assert all(set(table.loc[ids, "label"]) == {0, 1, 2} for ids in halves.values())


def test_another_order_is_tried_where_the_first_leads_nowhere():
    # Found by search: covering the rarest class with the smallest groups uses up another class.
    counts = [[0, 2, 3], [2, 0, 0], [1, 2, 3], [3, 0, 2], [0, 1, 0]]
    spread = [
        (label, f"p{group}")
        for group, row in enumerate(counts)
        for label, count in enumerate(row)
        for _ in range(count)
    ]
    table = _table([label for label, _ in spread], [group for _, group in spread])
    for ids in splits.split(table, SHARES, 0).values():
        assert set(table.loc[ids, "label"]) == {0, 1, 2}


def test_unlabelled_images_are_in_no_part():
    table = _plain([10, 10])
    table.iloc[3:5, 1] = UNLABELLED
    parts = splits.split(table, SHARES, 0)
    assert sum(map(len, parts.values())) == 18
    table["split"] = ["train", "test"] * 10
    parts = splits.partition(_dataset(table), 0)
    assert sum(map(len, parts.values())) == 18


def test_shares_must_add_up():
    with pytest.raises(ValueError, match="sum 1"):
        splits.split(_plain([9, 9]), {"train": 0.5, "test": 0.4}, 0)


def test_nothing_fixed_gives_60_20_20():
    parts = splits.partition(_dataset(_plain([50, 100])), 0)
    assert {name: len(ids) for name, ids in parts.items()} == {
        "train": 90,
        "validation": 30,
        "test": 30,
    }


def test_fixed_test_is_kept_and_validation_carved_out_of_train():
    table = _plain([50, 50])
    table["split"] = ["test" if number % 5 == 0 else "train" for number in range(100)]
    parts = splits.partition(_dataset(table), 0)
    assert parts["test"] == sorted(table.index[table["split"] == "test"])
    assert len(parts["validation"]) == 16
    assert set(parts["train"]) | set(parts["validation"]) == set(
        table.index[table["split"] == "train"]
    )


def test_fixed_parts_are_all_kept():
    table = _plain([30, 30])
    table["split"] = ["train", "validation", "test"] * 20
    parts = splits.partition(_dataset(table), 0)
    for name, ids in parts.items():
        assert ids == sorted(table.index[table["split"] == name])


def test_validation_is_never_taken_for_the_missing_test():
    table = _plain([50, 50])
    table["split"] = ["validation" if number % 5 == 0 else "train" for number in range(100)]
    parts = splits.partition(_dataset(table), 0)
    assert parts["validation"] == sorted(table.index[table["split"] == "validation"])
    assert len(parts["test"]) == 16


def _photographs(tmp_path, groups, drawn):
    """A data set of small random photographs; equal numbers in `drawn` are the same picture."""
    paths = []
    for place, number in enumerate(drawn):
        pixels = np.random.default_rng(number).integers(0, 255, (8, 8, 3), np.uint8)
        path = tmp_path / f"{place}.png"
        # Another size, so that copies differ in their bytes.
        side = 40 + place
        Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC).save(path)
        paths.append(str(path))
    ids = [f"i{place}" for place in range(len(drawn))]
    columns = {"path": paths, "label": 0, "group": groups, "split": ""}
    table = pd.DataFrame(columns, index=pd.Index(ids, name="id"))
    return Dataset("made", tmp_path, table, ("a",))


def _united_groups(dataset):
    pixels = np.stack([resize(read_image(path), (28, 28)) for path in dataset.table["path"]])
    united = splits.united(dataset, pixels)
    assert list(united.table.index) == list(dataset.table.index)
    return list(united.table["group"])


def test_groups_with_copies_of_one_image_are_one_group(tmp_path):
    dataset = _photographs(tmp_path, ["d", "b", "c", "a", "e"], [1, 2, 3, 1, 4])
    assert _united_groups(dataset) == ["a", "b", "c", "a", "e"]
    assert list(dataset.table["group"]) == ["d", "b", "c", "a", "e"]


def test_what_hangs_together_by_several_copies_is_one_group(tmp_path):
    # i0 is i1's copy, i1's lesion has i2, i2 is i3's copy.
    dataset = _photographs(tmp_path, ["d", "b", "b", "c", "e"], [1, 1, 2, 2, 3])
    assert _united_groups(dataset) == ["b", "b", "b", "b", "e"]


def test_byte_identical_images_are_united_even_where_nothing_is_to_be_seen(tmp_path):
    dataset = _photographs(tmp_path, ["b", "a", "c"], [1, 2, 3])
    flat = np.full((30, 30, 3), 90, np.uint8)
    for sample in ("i0", "i2"):
        Image.fromarray(flat).save(dataset.table.at[sample, "path"])
    assert _united_groups(dataset) == ["b", "a", "b"]


def test_no_lesion_of_the_real_sets_has_two_names(real_data):
    for folder in ("isic2018-task3", "ham10000-multi-image-lesions"):
        dataset = load("isic2018", real_data / folder)
        united = splits.united(dataset, open_pixels(dataset, 28))
        assert united.table["group"].nunique() == dataset.table["group"].nunique()


def test_class_missing_in_a_fixed_part_is_named():
    table = _plain([30, 30])
    table["split"] = ["train"] * 20 + ["test"] * 10 + ["train"] * 30
    with pytest.raises(DataError, match=r"class b \(30 groups in all\) .* part test"):
        splits.partition(_dataset(table), 0)


def test_no_training_images_are_refused():
    with pytest.raises(DataError, match="no training images"):
        splits.partition(_dataset(_plain([9, 9]).assign(split="test")), 0)


def test_partition_names_class_and_place_when_groups_are_too_few():
    with pytest.raises(DataError, match="here: class b has 2 groups"):
        splits.partition(_dataset(_plain([20, 2])), 0)


def test_lesions_of_real_images_never_cross(real_data):
    dataset = benchmark.data.load("isic2018", real_data / "ham10000-multi-image-lesions")
    parts = splits.partition(dataset, 3)
    lesions = [set(dataset.table.loc[ids, "group"]) for ids in parts.values()]
    assert sum(map(len, lesions)) == 500
    for ids in parts.values():
        assert dataset.table.loc[ids, "label"].nunique() == 7
