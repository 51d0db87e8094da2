"""Semi-supervised: what is labelled and what is not."""

import dataclasses
import hashlib
import json
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from benchmark.common.progress import SilentDisplay
from benchmark.config import configure, run_id
from benchmark.data import splits
from benchmark.data.dataset import UNLABELLED
from benchmark.errors import DataError, UserError
from benchmark.running.guards import Guards
from tasks.base import SPLIT_SEED
from tasks.given import Trial
from tasks.imbalance import Imbalance
from tasks.semi_supervised import SemiSupervised, SemiSupervisedOptions

PROTOCOL = {"task_version": "1", "data": "f00"}


def _task(**options):
    return SemiSupervised(SemiSupervisedOptions(**options))


def _counts(dataset, ids):
    labels = dataset.table.loc[list(ids), "label"]
    return np.bincount(labels[labels != UNLABELLED], minlength=len(dataset.classes))


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("100, 5,10", "5,10,100"),
        ("5,5.0", "5"),
        ("2.50", "2.5"),
        ("1e1", "10"),
        ("33.33333333,33.33334", "33.3333"),
    ],
)
def test_one_question_has_one_spelling(given, normal):
    assert SemiSupervisedOptions(label_fractions=given).label_fractions == normal


@pytest.mark.parametrize("given", ["0,5", "101", "5;10", "", "5,", "nan", "-1", "five"])
def test_fractions_out_of_range_are_refused_in_one_line(given):
    with pytest.raises(UserError, match="percentages above 0 and at most 100") as caught:
        configure("MobileNetV2", "semi-supervised", task_options={"label_fractions": given})
    assert "\n" not in str(caught.value)


def test_each_fraction_is_a_trial_that_trains_on_the_images_of_every_task(labelled):
    trials = _task().trials_of(labelled, 0)
    assert [trial.name for trial in trials] == [
        *("labels-1", "labels-5", "labels-10", "labels-20", "labels-50", "labels-100"),
    ]
    parts = splits.partition(labelled, SPLIT_SEED)
    for trial in trials:
        assert trial.parts == parts
        assert not set(trial.train) & set(trial.unlabelled)
    assert list(trials[-1].train) == parts["train"]
    assert trials[-1].unlabelled == ()


def test_what_is_labelled_at_one_fraction_is_labelled_at_all_larger_ones(labelled):
    trials = _task(label_fractions="1,2.5,10,50").trials_of(labelled, 3)
    assert [trial.name for trial in trials] == ["labels-1", "labels-2.5", "labels-10", "labels-50"]
    for smaller, larger in pairwise(trials):
        assert set(smaller.train) < set(larger.train)
        assert set(larger.unlabelled) < set(smaller.unlabelled)
    assert list(_counts(labelled, trials[2].train)) == [6, 4, 3]


def test_the_run_seed_decides_what_is_labelled_and_not_the_parts(labelled):
    drawn = {seed: _task(label_fractions="10").trials_of(labelled, seed)[0] for seed in range(4)}
    assert len({trial.labelled_fingerprint for trial in drawn.values()}) == 4
    assert len({trial.fingerprint for trial in drawn.values()}) == 1
    assert _task(label_fractions="10").trials_of(labelled, 2)[0] == drawn[2]


def test_the_fingerprint_of_a_trial_without_unlabelled_images_is_what_it_was():
    trial = Trial("main", ("b", "a"), ("c",), ("d",))
    parts = {"train": ["a", "b"], "validation": ["c"], "test": ["d"]}
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    assert trial.fingerprint == digest
    assert trial.labelled_fingerprint == ""
    fewer = Trial("main", ("a",), ("c",), ("d",), unlabelled=("b",))
    assert fewer.fingerprint == digest
    assert fewer.labelled_fingerprint == hashlib.sha256(b'["a"]').hexdigest()


def test_other_tasks_draw_the_same_whatever_the_seed(labelled):
    assert Imbalance().trials_of(labelled, 5) == Imbalance().trials(labelled)


def test_a_class_without_a_labelled_image_is_named_with_place_and_remedy(few_labels):
    # Every carcinoma is of a patient with a melanoma too, of which there are fewer.
    dataset = few_labels([60, 20, 40])
    rows = dataset.table["label"] == 2
    of_melanoma = [f"1-{number % 6}" for number in range(rows.sum())]
    dataset.table.loc[rows, "group"] = of_melanoma
    said = []
    for seed in range(8):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tasks.base.splits.partition", _by_hand)
            try:
                _task(label_fractions="1").trials_of(dataset, seed)
            except DataError as error:
                said.append(str(error))
    assert said
    for line in said:
        assert line.startswith("here: label fraction 1 %: class carcinoma would have no labelled")
        assert line.endswith("%")


def _by_hand(dataset, seed):
    """All but the last three images of each class train."""
    ids = dataset.table.groupby("label").tail(3).index
    train = dataset.table.index.difference(ids)
    return {"train": list(train), "validation": list(ids[:1]), "test": list(ids[1:])}


def test_images_without_a_label_join_unless_their_lesion_is_held_out(few_labels):
    dataset = few_labels([100, 60, 40])
    (whole,) = _task().trials(dataset)
    more = pd.DataFrame(
        {
            "path": "",
            "label": UNLABELLED,
            "group": ["own", "own", dataset.table.at[whole.test[0], "group"], "x", "y", "z"],
            "split": ["", "train", "", "validation", "test", ""],
        },
        index=[f"u{number}" for number in range(6)],
    )
    more.loc["u5", "group"] = dataset.table.at[whole.train[0], "group"]
    wider = dataclasses.replace(dataset, table=pd.concat([dataset.table, more]))
    for trial in _task(label_fractions="10,100").trials_of(wider, 0):
        assert {i for i in trial.unlabelled if i.startswith("u")} == {"u0", "u1", "u5"}
        assert (trial.validation, trial.test) == (whole.validation, whole.test)
    assert trial.name == "labels-100"
    assert trial.train == whole.train
    assert trial.labelled_fingerprint != ""


def test_a_folder_of_further_images_joins_at_every_fraction(labelled, pool):
    task = _task(label_fractions="10,100", unlabelled=str(pool))
    prepared = task.prepare(labelled)
    further = ["unlabelled//a.jpg", "unlabelled//a.png", "unlabelled//inner/b.TIF"]
    rows = prepared.table.loc[further]
    assert list(prepared.table.index) == [*labelled.table.index, *further]
    assert set(rows["label"]) == {UNLABELLED}
    assert list(rows["group"]) == further
    assert prepared.image(further[2]).shape == (32, 32, 3)
    assert prepared.table["label"].dtype == labelled.table["label"].dtype
    assert prepared.table["age"].isna().sum() == 3
    assert set(rows["site"]) == {""}
    plain = _task(label_fractions="10,100").trials_of(labelled, 0)
    for trial, without in zip(task.trials_of(labelled, 0), plain, strict=True):
        assert trial.train == without.train
        assert set(trial.unlabelled) - set(without.unlabelled) == set(further)
        assert (trial.validation, trial.test) == (without.validation, without.test)
    assert prepared.notes == ("3 further images without labels are from the folder pool.",)
    assert prepared.fingerprint != labelled.fingerprint


@pytest.mark.parametrize(
    ("name", "fault"), [("empty", "holds no image"), ("absent", "cannot be read")]
)
def test_a_folder_without_images_or_none_at_all_is_one_clear_line(labelled, tmp_path, name, fault):
    (tmp_path / "empty" / "inner").mkdir(parents=True)
    with pytest.raises(DataError, match=f"^--unlabelled .*{name} {fault}") as caught:
        _task(unlabelled=str(tmp_path / name)).prepare(labelled)
    assert "\n" not in str(caught.value)


def test_no_path_is_published_nor_decides_the_run_id():
    here, there, without = (
        configure(
            "MobileNetV2",
            "semi-supervised",
            task_options={"label_fractions": "5", "unlabelled": folder},
        )
        for folder in ("/home/anna/pool", "/data/other", None)
    )
    assert "anna" not in str(here.public())
    assert here.public()["task_options"] == {"label_fractions": "5", "unlabelled": "pool"}
    # What lies there is in the fingerprint of the data.
    assert len({run_id(each, PROTOCOL) for each in (here, there, without)}) == 1


def test_the_ids_of_earlier_runs_stay():
    tail = configure(
        "MobileNetV2",
        "imbalance",
        method="supercon",
        task_options={"imbalance": "50"},
        budget="paper",
        weights="imagenet",
    )
    assert run_id(tail, PROTOCOL) == "r6debef5db56f"
    assert run_id(configure("Xception", "diagnosis", seed=3), PROTOCOL) == "r809c32677e31"


def test_a_lesion_in_the_unlabelled_images_and_in_test_is_refused(labelled):
    (trial,) = _task(label_fractions="10").trials_of(labelled, 0)
    labelled.table.loc[[trial.unlabelled[0], trial.test[0]], "group"] = "mole-7"
    guards = Guards.of_run(labelled.root, False, SilentDisplay())
    with pytest.raises(DataError, match=r"also in train.*mole-7"):
        guards.refuse_leaks(labelled, [trial], [], with_pixels=False)


def test_leaks_of_one_division_are_told_once(labelled):
    trials = _task(label_fractions="10,20,100").trials_of(labelled, 0)
    labelled.table.loc[[trials[0].unlabelled[0], trials[0].test[0]], "group"] = "mole-7"
    guards = Guards.of_run(labelled.root, True, SilentDisplay())
    assert len(guards.refuse_leaks(labelled, trials, [], with_pixels=False)) == 1
