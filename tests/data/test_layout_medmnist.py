"""MedMNIST archives: arrays, names, the published split and what it leaks."""

import numpy as np
import pytest

import benchmark.data
from benchmark.data import splits
from benchmark.errors import DataError, UserError

SIZES = {"train": 6, "val": 3, "test": 3}


def _arrays(channels=3, classes=3):
    rng = np.random.default_rng(0)
    arrays = {}
    for part, size in SIZES.items():
        shape = (size, 5, 4, 3) if channels == 3 else (size, 5, 4)
        arrays[f"{part}_images"] = rng.integers(0, 256, shape).astype(np.uint8)
        arrays[f"{part}_labels"] = (np.arange(size) % classes).reshape(-1, 1)
    return arrays


def _write(folder, name="x.npz", **changed):
    path = folder / name
    np.savez(path, **{**_arrays(), **changed})
    return path


def _load(path, **options):
    return benchmark.data.load("medmnist", path, **options)


def test_rows_become_samples_of_the_published_parts(tmp_path):
    dataset = _load(_write(tmp_path))
    assert dict(dataset.table["split"].value_counts()) == {"train": 6, "validation": 3, "test": 3}
    assert dataset.table.index[7] == "val-00001"
    np.testing.assert_array_equal(dataset.image("test-00002"), _arrays()["test_images"][2])
    assert dataset.table.at["test-00002", "label"] == 2


def test_greyscale_becomes_rgb(tmp_path):
    path = tmp_path / "g.npz"
    np.savez(path, **_arrays(channels=1))
    assert _load(path).image("train-00000").shape == (5, 4, 3)


def test_folder_with_one_archive_is_read_and_with_two_asks(tmp_path):
    _write(tmp_path, "a.npz")
    assert len(_load(tmp_path).table) == 12
    _write(tmp_path, "b.npz")
    with pytest.raises(UserError, match=r"option file: a\.npz, b\.npz"):
        _load(tmp_path)
    assert len(_load(tmp_path, file="b.npz").table) == 12
    with pytest.raises(DataError, match=r"c\.npz does not exist"):
        _load(tmp_path, file="c.npz")


def test_class_names_are_given_known_or_numbers(tmp_path):
    assert _load(_write(tmp_path)).classes == ("0", "1", "2")
    assert _load(_write(tmp_path), classes="a, b,c").classes == ("a", "b", "c")
    known = _write(
        tmp_path,
        "dermamnist_64.npz",
        train_labels=np.array([0, 1, 2, 3, 4, 5]),
        val_labels=[6, 0, 0],
    )
    assert _load(known).classes[-1] == "vasc"


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"train_labels": np.zeros((6, 2), int)}, "train_labels has 2 labels per image"),
        ({"val_labels": np.array([0, 1, 0.5])}, "val_labels holds values that are not whole"),
        ({"val_labels": np.array([0, 1, np.nan])}, "val_labels holds values that are not whole"),
        ({"val_labels": np.array(["a", "b", "c"])}, "val_labels holds values that are not whole"),
        ({"val_labels": np.array([0, -1, 2])}, r"val_labels\[1\] is -1"),
        ({"val_labels": np.array([0, 1])}, "3 val_images but 2 val_labels"),
        ({"test_images": np.zeros((3, 5, 4, 9), np.uint8)}, "test_images is uint8 .3, 5, 4, 9"),
        ({"test_images": np.zeros((3, 5, 4), np.float32)}, "test_images is float32"),
        ({"val_labels": np.array([0, 1, 4])}, "no image of 3"),
        ({"val_labels": np.array([0, 1, None])}, "'val_labels' cannot be mapped"),
    ],
)
def test_fault_in_the_arrays_is_named(tmp_path, changed, fault):
    with pytest.raises(DataError, match=fault):
        _load(_write(tmp_path, **changed))


def test_missing_array_and_missing_archive_are_named(tmp_path):
    arrays = _arrays()
    del arrays["val_labels"]
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(DataError, match="has no array 'val_labels'; it has"):
        _load(tmp_path)
    (tmp_path / "x.npz").unlink()
    with pytest.raises(DataError, match="holds no npz archive"):
        _load(tmp_path)


def _index(folder, lesions, extra=""):
    rows = [f"{part},{n}" for part, size in SIZES.items() for n in range(size)]
    text = "".join(f"{row},L{lesion}\n" for row, lesion in zip(rows, lesions, strict=True))
    (folder / "x_index.csv").write_text(f"split,index,lesion_id\n{text}{extra}")


def test_lesions_of_the_index_become_groups_and_the_published_split_is_kept(tmp_path):
    path = _write(tmp_path)
    _index(tmp_path, [0, 0, 1, 2, 3, 4, 5, 4, 6, 0, 4, 7])
    dataset = _load(path)
    assert dataset.table.at["train-00001", "group"] == "L0"
    assert set(splits.partition(dataset, 0)["test"]) == {"test-00000", "test-00001", "test-00002"}


def test_without_an_index_each_image_is_its_own_group_and_that_is_noted(tmp_path):
    dataset = _load(_write(tmp_path))
    assert dataset.table["group"].is_unique
    assert "each image is taken as one of its own" in dataset.notes[0]


@pytest.mark.parametrize(
    ("extra", "fault"),
    [
        ("train,6,L9\n", "line 14: train-00006 is not in the archive"),
        ("train,0,L9\n", "line 14: train-00000 is listed twice, first on line 2"),
        ("train,x,L9\n", "line 14: 'x' in column index is not a number"),
        ("train,0.5,L9\n", "line 14: train-0.5 is not in the archive"),
        ("train,5,\n", "line 14: column lesion_id is empty"),
    ],
)
def test_fault_in_the_index_is_named_with_its_line(tmp_path, extra, fault):
    path = _write(tmp_path)
    _index(tmp_path, range(12), extra)
    with pytest.raises(DataError, match=fault):
        _load(path)


def test_incomplete_or_foreign_index_is_refused(tmp_path):
    path = _write(tmp_path)
    (tmp_path / "x_index.csv").write_text("split,index,lesion_id\ntrain,0,L0\n")
    with pytest.raises(DataError, match=r"lacks 11 images .* \(the first: train-00001\)"):
        _load(path)
    _index(tmp_path, range(12))
    text = (tmp_path / "x_index.csv").read_text().splitlines()
    marked = [f"{row},{'dx' if n == 0 else '2'}" for n, row in enumerate(text)]
    (tmp_path / "x_index.csv").write_text("\n".join(marked))
    with pytest.raises(DataError, match="line 2: train-00000 is 2 here and 0 in the archive"):
        _load(path)


def test_real_dermamnist_has_the_published_counts(real_data):
    dataset = _load(real_data / "dermamnist-rebuilt", file="dermamnist.npz")
    counts = dataset.table.groupby("split")["label"].value_counts().unstack()
    assert counts.loc["train"].tolist() == [228, 359, 769, 80, 779, 4693, 99]
    assert counts.loc["validation"].tolist() == [33, 52, 110, 12, 111, 671, 14]
    assert counts.loc["test"].tolist() == [66, 103, 220, 23, 223, 1341, 29]
    assert dataset.classes == ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")


def test_real_subset_at_64_pixels_is_read(real_data):
    dataset = _load(real_data / "dermamnist-rebuilt" / "dermamnist_64_subset.npz")
    assert len(dataset.table) == 1450
    assert dataset.image("test-00299").shape == (64, 64, 3)
