"""Frozen splits: the file decides, the same split gives the same bytes, faults are named."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

import benchmark.data
from benchmark.data.dataset import UNLABELLED, Dataset, Disease
from benchmark.errors import DataError
from benchmark.records import splits
from tasks.diagnosis import Diagnosis
from tasks.grading import Grading

SPLIT = {
    "main": {"train": ("i3", "i0", "i1"), "validation": ("i4",), "test": ("i5",)},
    "10 %": {
        "train": ("i4", "i3"),
        "validation": ("i0",),
        "test": ("i5", "i6"),
        "unscored": ("i7",),
    },
}
TEXT = """\
trial,part,id,group,class
main,train,i0,g0,benign
main,train,i1,g0,malignant
main,train,i3,g3,malignant
main,validation,i4,g4,benign
main,test,i5,g5,malignant
10 %,train,i3,g3,malignant
10 %,train,i4,g4,benign
10 %,validation,i0,g0,benign
10 %,test,i5,g5,malignant
10 %,test,i6,g6,benign
10 %,unscored,i7,g6,
"""


@pytest.fixture
def dataset(tmp_path) -> Dataset:
    """Eight images; i0 and i1 are of one lesion, i6 and i7 too; i7 has no label."""
    table = pd.DataFrame(
        {
            "path": "",
            "label": [0, 1, 0, 1, 0, 1, 0, UNLABELLED],
            "group": ["g0", "g0", "g2", "g3", "g4", "g5", "g6", "g6"],
            "split": "",
        },
        index=pd.Index([f"i{n}" for n in range(8)], name="id"),
    )
    return Dataset("hand", tmp_path, table, ("benign", "malignant"))


@pytest.fixture
def path(tmp_path, dataset):
    """The frozen file of SPLIT."""
    _frozen(tmp_path, dataset, "1", lambda: SPLIT)
    return _location(tmp_path, dataset, "diagnosis", "1", {})


def _location(out, dataset, *question):
    return splits.location(out, dataset.name, dataset.fingerprint, *question)


def _frozen(out, dataset, version, draw):
    """The trials of a split that a run would use, and keep."""
    split = splits.frozen(out, dataset, "diagnosis", version, {}, draw)
    split.keep()
    return split.trials


FEW = {
    "labels-50": {
        "train": ("i5", "i0"),
        "unlabelled": ("i7", "i2"),
        "validation": ("i4",),
        "test": ("i3",),
    }
}
FEW_TEXT = """\
trial,part,id,group,class
labels-50,train,i0,g0,benign
labels-50,train,i5,g5,malignant
labels-50,unlabelled,i2,g2,benign
labels-50,unlabelled,i7,g6,
labels-50,validation,i4,g4,benign
labels-50,test,i3,g3,malignant
"""


def _refuse():
    raise AssertionError("drawn although there is a file")


def test_the_file_lies_beside_the_records_and_is_named_by_data_task_and_options(tmp_path, dataset):
    options = {"positive": None, "imbalance": "50"}
    folder = tmp_path / "v1" / "splits" / f"hand-{dataset.fingerprint[:12]}"
    assert splits.location(
        tmp_path, dataset.name, dataset.fingerprint, "imbalance", "2", options
    ) == (folder / "imbalance-v2-imbalance=50.csv")
    assert _location(tmp_path, dataset, "diagnosis", "1", {}) == folder / "diagnosis-v1.csv"


def test_options_that_no_file_name_can_hold_stay_apart(tmp_path, dataset):
    names = {
        splits.location(
            tmp_path, dataset.name, dataset.fingerprint, "t", "1", {"positive": value}
        ).name
        for value in ("a/b", "a b", "a_b", "../x", "x=1-y=2", "é", "x" * 500)
    }
    assert len(names) == 7
    assert all(len(name) < 100 and "/" not in name for name in names)


def test_a_split_is_written_sorted_and_read_back(path, dataset, tmp_path):
    assert path.read_bytes() == TEXT.encode()
    found = _frozen(tmp_path, dataset, "1", _refuse)
    assert list(found) == ["main", "10 %"]
    assert found["main"] == {
        "train": ("i0", "i1", "i3"),
        "unlabelled": (),
        "validation": ("i4",),
        "test": ("i5",),
        "unscored": (),
    }
    assert found["10 %"]["unscored"] == ("i7",)


def test_the_first_run_and_later_ones_get_the_same_split(tmp_path, dataset):
    first = _frozen(tmp_path, dataset, "1", lambda: SPLIT)
    assert first == _frozen(tmp_path, dataset, "1", _refuse)


def test_the_file_decides_what_a_later_version_would_draw_otherwise(path, dataset, tmp_path):
    other = {"main": {"train": ("i2", "i3"), "validation": ("i4",), "test": ("i5",)}}
    found = _frozen(tmp_path, dataset, "1", lambda: other)
    assert found["main"]["train"] == ("i0", "i1", "i3")
    again = _frozen(tmp_path, dataset, "2", lambda: other)
    assert again["main"]["train"] == ("i2", "i3")


def test_the_same_split_gives_the_same_bytes(path, dataset, tmp_path):
    shuffled = {
        trial: {part: ids[::-1] for part, ids in reversed(parts.items())}
        for trial, parts in SPLIT.items()
    }
    _frozen(tmp_path / "other", dataset, "1", lambda: shuffled)
    other = splits.location(
        tmp_path / "other", dataset.name, dataset.fingerprint, "diagnosis", "1", {}
    )
    assert other.read_bytes() == path.read_bytes()


def test_ids_with_commas_and_quotes_come_back(dataset, tmp_path):
    names = {f"i{n}": f'a "{n}", é' for n in range(8)}
    odd = dataclasses.replace(dataset, table=dataset.table.rename(index=names))
    split = {
        "main": {part: [names[i] for i in ids] for part, ids in SPLIT["main"].items()},
    }
    _frozen(tmp_path, odd, "1", lambda: split)
    found = _frozen(tmp_path, odd, "1", _refuse)
    assert found["main"]["train"] == tuple(sorted(split["main"]["train"]))


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("trial,part", "part,trial", "line 1: the columns are not trial,part,id,group,class"),
        ("main,train,i3", "main,training,i3", "line 4: part 'training' is none of train,"),
        ("main,train,i3", "main,train,i9", "line 4: image 'i9' is not in"),
        ("i3,g3,malignant", "i3,g4,malignant", "line 4: image i3: group 'g4' is 'g3' in the data"),
        ("i3,g3,malignant", "i3,g3,benign", "line 4: image i3: class 'benign' is 'malignant'"),
        ("i7,g6,", "i7,g6,benign", "line 12: image i7: class 'benign' is '' in the data"),
        ("main,train,i1,g0,malignant", "main,train,i0,g0,benign", "line 3: .* twice in train"),
        (
            "main,test,i5,g5,malignant",
            "main,test,i4,g4,benign",
            "line 6: image i4 is in validation and in test",
        ),
        ("main,validation,i4,g4,benign\n", "", "line 1: trial main has no image in validation"),
        ("main,train,i1,g0,malignant", "main,train,i1,g0", "line 3: 4 fields for 5 columns"),
        ("i1,g0,malignant\n", "i1,g0,malignant\n\n", "line 4: 0 fields"),
        ("main,test,i5,g5", 'main,"test,i5,g5', "line 12: unexpected end of data"),
    ],
)
def test_a_fault_is_named_with_its_line_and_the_remedy(path, dataset, old, new, fault):
    assert old in TEXT
    path.write_bytes(TEXT.replace(old, new, 1).encode())
    with pytest.raises(DataError, match=fault) as caught:
        splits.read(path, lambda trial: dataset)
    assert str(caught.value).startswith(str(path))
    assert str(caught.value).endswith("delete it to draw the split again")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", TEXT.split("\n")[0].encode(), b"\xff\xfe"])
def test_an_empty_file_or_other_bytes_are_a_named_fault(path, dataset, content):
    path.write_bytes(content)
    with pytest.raises(DataError, match="delete it to draw the split again"):
        splits.read(path, lambda trial: dataset)


@pytest.mark.parametrize(
    ("faulty", "fault"),
    [
        ({"train": ("i0", "i4")}, "i4 is in train and in validation"),
        ({"test": ()}, "no image in test"),
        ({"other": ("i6",)}, "has parts .'other'."),
    ],
)
def test_a_task_that_draws_a_faulty_split_leaves_no_file(dataset, tmp_path, faulty, fault):
    parts = {"train": ("i0",), "validation": ("i4",), "test": ("i5",)} | faulty
    with pytest.raises(ValueError, match=fault):
        _frozen(tmp_path, dataset, "1", lambda: {"main": parts})
    assert not list(tmp_path.rglob("*.csv"))


def test_a_split_of_real_images_comes_back_as_drawn(real_data, tmp_path):
    dataset = benchmark.data.load("isic2018", real_data / "ham10000-multi-image-lesions")
    (trial,) = Diagnosis().trials(dataset)
    parts = {part: getattr(trial, part) for part in splits.PARTS}
    for draw in (lambda: {trial.name: parts}, _refuse):
        found = _frozen(tmp_path, dataset, "1", draw)
        assert found == {trial.name: parts}
    assert np.sum([len(ids) for ids in found[trial.name].values()]) == 1148


def test_a_run_that_is_refused_leaves_no_file(tmp_path, dataset):
    split = splits.frozen(tmp_path, dataset, "diagnosis", "1", {}, lambda: SPLIT)
    assert not split.path.exists()
    split.keep()
    split.keep()
    assert split.path.read_text() == TEXT


def test_another_runs_split_is_never_overwritten(tmp_path, dataset):
    split = splits.frozen(tmp_path, dataset, "diagnosis", "1", {}, lambda: SPLIT)
    split.path.parent.mkdir(parents=True)
    split.path.write_text("another")
    with pytest.raises(DataError, match="run the same command again"):
        split.keep()
    assert split.path.read_text() == "another"


def test_an_image_cannot_leave_the_part_that_the_data_fix(path, dataset):
    dataset.table.loc["i3", "split"] = "test"
    with pytest.raises(
        DataError, match="line 4: image i3 is in train here and in test in the data"
    ):
        splits.read(path, lambda trial: dataset)


def test_every_class_is_trained_on(path, dataset):
    path.write_text(TEXT.replace("10 %,train,i3,g3,malignant\n", ""))
    with pytest.raises(DataError, match="10 % has no image of class malignant in train"):
        splits.read(path, lambda trial: dataset)


def test_where_the_seed_decides_there_is_a_file_for_each(tmp_path, dataset):
    options = {"label_fractions": "5"}
    made = []
    for seed in (0, 1):
        arguments = (tmp_path, dataset, "semi-supervised", "1", options)
        splits.frozen(*arguments, lambda: FEW, seed).keep()
        assert splits.frozen(*arguments, _refuse, seed).trials["labels-50"]["train"] == ("i0", "i5")
        made.append(_location(*arguments, seed))
    assert [path.name for path in made] == [
        f"semi-supervised-v1-label_fractions=5-seed={seed}.csv" for seed in (0, 1)
    ]
    assert all(path.read_text() == FEW_TEXT for path in made)


def test_an_image_of_a_fixed_part_is_no_unlabelled_one(tmp_path, dataset):
    dataset.table.loc["i7", "split"] = "test"
    with pytest.raises(ValueError, match="i7 is in unlabelled here and in test in the data"):
        splits.frozen(tmp_path, dataset, "semi-supervised", "1", {}, lambda: FEW)


GRADED = {
    "DR": {"train": ("i0", "i1"), "unlabelled": ("i2",), "validation": ("i4",), "test": ("i5",)},
    "DME": {"train": ("i2", "i3"), "unlabelled": ("i0",), "validation": ("i6",), "test": ("i5",)},
}
GRADED_TEXT = """\
trial,part,id,group,class
DR,train,i0,g0,none
DR,train,i1,g0,mild
DR,unlabelled,i2,g2,none
DR,validation,i4,g4,none
DR,test,i5,g5,mild
DME,train,i2,g2,near
DME,train,i3,g3,far
DME,unlabelled,i0,g0,far
DME,validation,i6,g6,far
DME,test,i5,g5,near
"""


@pytest.fixture
def graded(dataset) -> Dataset:
    """The same images with grades of two diseases."""
    diseases = (Disease("DR", ("none", "mild"), 1), Disease("DME", ("far", "near"), 1))
    grades = {"grade:DR": dataset.table["label"], "grade:DME": [0, 0, 1, 0, 1, 1, 0, UNLABELLED]}
    return dataclasses.replace(dataset, table=dataset.table.assign(**grades), diseases=diseases)


def _frozen_grades(out, graded, draw):
    """The grades that a run would use, and keep."""
    task, options = Grading(), {"grades": "one"}

    def of_trial(name):
        return task.of_trial(graded, name)

    split = splits.frozen(out, graded, task.name, task.version, options, draw, None, of_trial)
    split.keep()
    return split


def test_the_classes_of_a_trial_are_its_own_diseases_grades(tmp_path, graded):
    split = _frozen_grades(tmp_path, graded, lambda: GRADED)
    assert split.path.name == "grading-v1-grades=one.csv"
    assert split.path.read_text() == GRADED_TEXT
    found = _frozen_grades(tmp_path, graded, _refuse).trials
    assert found == {
        trial: {**dict.fromkeys(splits.PARTS, ()), **parts} for trial, parts in GRADED.items()
    }


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("DME,train,i3,g3,far", "DME,train,i3,g3,near", "line 8: image i3: class 'near' is 'far'"),
        ("DME,train,i3,g3,far", "DME,train,i3,g3,mild", "line 8: image i3: class 'mild' is 'far'"),
        ("DME,train,i2,", "AMD,train,i2,", "line 7: .* grades no disease called AMD"),
        ("DME,train,i3,g3,far\n", "", "line 1: trial DME has no image of class far in train"),
    ],
)
def test_a_faulty_grade_is_named_with_its_line(tmp_path, graded, old, new, fault):
    path = _frozen_grades(tmp_path, graded, lambda: GRADED).path
    path.write_text(GRADED_TEXT.replace(old, new))
    with pytest.raises(DataError, match=fault) as caught:
        _frozen_grades(tmp_path, graded, _refuse)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("delete it to draw the split again")
