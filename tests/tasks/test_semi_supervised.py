"""Semi-supervised: what is labelled, what is not, and the curve of the score."""

import dataclasses
import fnmatch
import hashlib
import json
import math
from itertools import pairwise

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmark.config import configure, run_id
from benchmark.data import splits
from benchmark.data.dataset import UNLABELLED
from benchmark.errors import DataError, UserError
from benchmark.guards import Guards
from benchmark.metrics import classification, statistics
from benchmark.pictures.fractions import Series, score_by_fraction
from benchmark.progress import SilentDisplay
from tasks.base import SPLIT_SEED
from tasks.given import Outputs, Trial
from tasks.imbalance import Imbalance
from tasks.scoring import resamples, truth
from tasks.semi_supervised import AREAS, BY_FRACTION, SemiSupervised, SemiSupervisedOptions, area

CLASSES = ("nevus", "melanoma", "carcinoma")
PROTOCOL = {"task_version": "1", "data": "f00"}


def _task(**options):
    return SemiSupervised(SemiSupervisedOptions(**options))


def _counts(dataset, ids):
    labels = dataset.table.loc[list(ids), "label"]
    return np.bincount(labels[labels != UNLABELLED], minlength=len(dataset.classes))


def _outputs(dataset, trial, wrong=()):
    """Certain outputs: right but for the images in `wrong`, which are called the next class."""
    labels, _ = truth(dataset, trial.test)
    said = np.where(np.isin(trial.test, wrong), (labels + 1) % len(dataset.classes), labels)
    probabilities = np.full((len(labels), len(dataset.classes)), 0.1, np.float32)
    probabilities[np.arange(len(labels)), said] = 0.8
    return Outputs(trial.test, probabilities)


@pytest.fixture
def labelled(few_labels):
    return few_labels([100, 60, 40])


@pytest.fixture
def scored(labelled):
    """Three trials, the larger the fraction the fewer faults, and the run's own score."""
    task = _task(label_fractions="5,20,100")
    results = []
    for trial, faults in zip(task.trials_of(labelled, 0), (20, 10, 3), strict=True):
        outputs = _outputs(labelled, trial, trial.test[:: len(trial.test) // faults])
        results.append((trial, outputs, task.score(labelled, trial, outputs)))
    return task, results, task.overall(labelled, results)


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


def test_the_area_is_that_of_trapezoids_over_the_logarithm():
    # By hand: log10 is 0, 1, 2, so 1/2 (0.2 + 0.4)/2 + 1/2 (0.4 + 1)/2.
    assert area([1, 10, 100], np.array([0.2, 0.4, 1.0])) == pytest.approx(0.15 + 0.35)
    # From 5 to 10 is as wide as from 10 to 20, and both are log(4) of log(20).
    found = area([5, 10, 20, 100], np.array([0.0, 1.0, 0.0, 0.0]))
    assert found == pytest.approx(math.log(2) / math.log(20))
    assert area([5], np.array([0.3])) == 0.3
    assert np.isnan(area([1, 10], np.array([0.3, np.nan])))
    both = area([1, 10], np.array([[0.0, 0.5], [1.0, 0.5]]))
    np.testing.assert_allclose(both, [0.5, 0.5])


def test_the_runs_score_has_the_areas_and_every_score_at_every_fraction(scored):
    _, results, overall = scored
    expected = {f"{name}_area" for name in AREAS} | {
        f"{name}_at_{percent}" for name in BY_FRACTION for percent in (5, 20, 100)
    }
    assert set(overall.metrics) == expected
    for (_, _, score), percent in zip(results, (5, 20, 100), strict=True):
        for name in BY_FRACTION:
            assert overall.metrics[f"{name}_at_{percent}"] == score.metrics[name]
    for name in AREAS:
        heights = np.array([score.metrics[name].value for _, _, score in results])
        assert heights[0] < heights[2]
        assert overall.metrics[f"{name}_area"].value == pytest.approx(area([5, 20, 100], heights))


def test_the_areas_interval_is_of_the_area_over_shared_resamples(scored, labelled):
    _, results, overall = scored
    labels, groups = truth(labelled, results[0][0].test)
    weights = resamples(labels, groups)
    curves = np.stack(
        [
            classification.resampled(labels, outputs.probabilities, weights)["macro_f1"]
            for _, outputs, _ in results
        ]
    )
    widths = np.log(4) / np.log(20), np.log(5) / np.log(20)
    by_hand = widths[0] * (curves[0] + curves[1]) / 2 + widths[1] * (curves[1] + curves[2]) / 2
    low, high = statistics.interval(by_hand)
    found = overall.metrics["macro_f1_area"]
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert found.low < found.value < found.high
    assert (found.n, found.groups) == (len(labels), len(np.unique(groups)))


def test_equal_outputs_at_all_fractions_have_the_score_and_interval_of_each(labelled):
    task = _task(label_fractions="5,20,100")
    trials = task.trials_of(labelled, 0)
    outputs = [_outputs(labelled, trial, trial.test[::5]) for trial in trials]
    results = [(t, o, task.score(labelled, t, o)) for t, o in zip(trials, outputs, strict=True)]
    metrics = task.overall(labelled, results).metrics
    for end in ("value", "low", "high"):
        one = getattr(metrics["macro_f1_at_5"], end)
        assert getattr(metrics["macro_f1_area"], end) == pytest.approx(one)


def test_one_fraction_has_its_own_score_for_an_area(labelled):
    task = _task(label_fractions="10")
    (trial,) = task.trials_of(labelled, 0)
    outputs = _outputs(labelled, trial, trial.test[::5])
    metrics = task.overall(labelled, [(trial, outputs, task.score(labelled, trial, outputs))])
    assert metrics.metrics["macro_f1_area"] == metrics.metrics["macro_f1_at_10"]


def test_fractions_scored_on_other_images_have_no_area(scored, labelled):
    task, results, _ = scored
    trial, outputs, score = results[0]
    fewer = Outputs(outputs.ids[1:], outputs.probabilities[1:])
    with pytest.raises(ValueError, match="same images"):
        task.overall(labelled, [*results[1:], (trial, fewer, score)])


def test_the_shown_metrics_are_there_and_the_headline_comes_first(few_labels):
    dataset = few_labels([200, 60, 40])
    task = _task()
    trials = task.trials_of(dataset, 0)
    outputs = [_outputs(dataset, trial) for trial in trials]
    results = [(t, o, task.score(dataset, t, o)) for t, o in zip(trials, outputs, strict=True)]
    metrics = task.overall(dataset, results).metrics
    for shown in task.shown:
        assert fnmatch.filter(metrics, shown)
    assert task.shown[0] == task.headline == "macro_f1_area"


def test_the_notes_say_how_many_images_were_labelled(scored):
    _, _, overall = scored
    assert overall.notes == (
        "labels-5: 7 training images with a label (nevus 3, melanoma 2), 113 without",
        "labels-20: 25 training images with a label (nevus 12, carcinoma 5), 95 without",
        "labels-100: 120 training images with a label (nevus 60, carcinoma 24), 0 without",
    )


def test_a_class_that_misses_its_share_is_told(few_labels):
    dataset = few_labels([100, 60, 60], size=6)
    task = _task(label_fractions="1")
    (trial,) = task.trials_of(dataset, 0)
    _, told = task.score(dataset, trial, _outputs(dataset, trial)).notes
    assert told.startswith("labels-1: lesions and patients stay whole, so these classes miss 1 %")
    assert "melanoma 6 (not 1)" in told


def test_the_tables_tell_what_was_labelled(scored):
    _, results, overall = scored
    assert list(results[0][2].tables["per_class"]["n_labelled"]) == [3, 2, 2]
    table = overall.tables["label_fractions"]
    assert list(table.index) == [5, 20, 100]
    assert list(table["labelled"]) == [7, 25, 120]
    assert list(table["unlabelled"]) == [113, 95, 0]
    assert table.at[20, "macro_f1"] == overall.metrics["macro_f1_at_20"].value
    assert table.at[20, "macro_f1_low"] == overall.metrics["macro_f1_at_20"].low


def test_other_tasks_keep_the_only_trials_score(dataset, trial, outputs_of):
    task = Imbalance()
    outputs = outputs_of(trial.test)
    score = task.score(dataset, trial, outputs)
    overall = task.overall(dataset, [(trial, outputs, score)])
    assert overall.metrics == score.metrics
    assert overall.notes == score.notes
    assert overall.tables == {}


def test_pictures_are_drawn(scored, labelled, tmp_path):
    task, results, overall = scored
    (curve,) = task.draw_overall(labelled, overall, tmp_path / "plots")
    drawn = task.draw(labelled, *results[0][1:], tmp_path / "trial")
    for path in (curve, *drawn):
        assert cv2.imread(str(path)).std() > 5
    about = Image.open(curve).info["Description"]
    value = overall.metrics["macro_f1_at_20"].value
    assert f"macro F1 {overall.metrics['macro_f1_at_5'].value:.2f} at 5 %" in about
    assert f"{value:.2f} at 20 %" in about


def test_a_curve_without_a_value_or_an_interval_is_drawn(labelled, tmp_path):
    nothing = np.full(2, np.nan)
    series = {"macro F1": Series(np.array([0.2, np.nan]), nothing, nothing)}
    percents, count = np.array([5.0, 10.0]), np.array([3, 6])
    score_by_fraction(percents, count, series, "few", tmp_path / "a.png")
    assert cv2.imread(str(tmp_path / "a.png")).std() > 5
    for bad in (percents[::-1], percents[:1], np.array([0.0, 5.0])):
        with pytest.raises(ValueError, match="label fractions"):
            score_by_fraction(bad, count, series, "few", tmp_path / "b.png")


def test_the_validation_score_is_macro_f1():
    labels = np.array([0, 0, 0, 1])
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.3, 0.7]], np.float32)
    # By hand: F1 4/5 and 2/3.
    assert _task().selection(labels, probabilities) == pytest.approx((4 / 5 + 2 / 3) / 2)
