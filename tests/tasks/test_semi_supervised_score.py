"""Semi-supervised: the score at each fraction and over all of them, its tables and pictures."""

import fnmatch
import math

import cv2
import numpy as np
import pytest
from PIL import Image

from benchmark.metrics import classification, statistics
from benchmark.pictures.fractions import Series, score_by_fraction
from tasks.given import Outputs
from tasks.imbalance import Imbalance
from tasks.scoring import resamples, truth
from tasks.semi_supervised import AREAS, BY_FRACTION, SemiSupervised, SemiSupervisedOptions, area


def _task(**options):
    return SemiSupervised(SemiSupervisedOptions(**options))


def _outputs(dataset, trial, wrong=()):
    """Certain outputs: right but for the images in `wrong`, which are called the next class."""
    labels, _ = truth(dataset, trial.test)
    said = np.where(np.isin(trial.test, wrong), (labels + 1) % len(dataset.classes), labels)
    probabilities = np.full((len(labels), len(dataset.classes)), 0.1, np.float32)
    probabilities[np.arange(len(labels)), said] = 0.8
    return Outputs(trial.test, probabilities)


@pytest.fixture
def scored(labelled):
    """Three trials, the larger the fraction the fewer faults, and the run's own score."""
    task = _task(label_fractions="5,20,100")
    results = []
    for trial, faults in zip(task.trials_of(labelled, 0), (20, 10, 3), strict=True):
        outputs = _outputs(labelled, trial, trial.test[:: len(trial.test) // faults])
        results.append((trial, outputs, task.score(labelled, trial, outputs)))
    return task, results, task.overall(labelled, results)


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
