"""Grading: which grades may be trained on, what is refused, what each disease's score is."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, cohen_kappa_score

from benchmark.config import configure
from benchmark.data.dataset import UNLABELLED, Dataset, Disease
from benchmark.errors import DataError, UserError
from benchmark.metrics import statistics
from tasks.given import Outputs
from tasks.grading import Grading, GradingOptions
from tasks.scoring import BOOTSTRAP_SEED

DR = Disease("DR", ("none", "mild", "moderate", "severe"), 2)
DME = Disease("DME", ("none", "far", "near"), 2)
PATIENTS, EYES = 120, 2
TRAIN, VALIDATION, TEST = "train", "validation", "test"
BOTH = ("DR", "DME")


@pytest.fixture
def graded() -> Dataset:
    """Both eyes of patients of every pair of grades; no part is fixed; both grades are known."""
    patient = np.repeat(np.arange(PATIENTS), EYES)
    eye = np.tile(np.arange(EYES), PATIENTS)
    grades = pd.DataFrame(
        {DR.column: (patient + eye * (patient % 5 == 0)) % 4, DME.column: patient // 4 % 3}
    ).astype(np.int64)
    ids = pd.Index([f"i{one:03d}-{side}" for one, side in zip(patient, eye, strict=True)])
    table = pd.DataFrame(
        {
            "path": "",
            "label": grades[DR.column],
            "group": [f"p{one:03d}" for one in patient],
            "split": "",
        }
    )
    table = pd.concat([table, grades], axis=1).set_index(ids).rename_axis("id")
    return Dataset("hand", Path("here"), table, DR.grades, diseases=(DR, DME))


def _changed(dataset, **columns):
    return replace(dataset, table=dataset.table.assign(**columns))


def _without(dataset, disease, rows):
    """The grades of this disease are not known there."""
    column = dataset.table[disease.column].copy()
    column[rows] = UNLABELLED
    return _changed(dataset, **{disease.column: column})


def _fixed(dataset, **shares):
    """Parts for whole patients, in turn."""
    names = [name for name, times in shares.items() for _ in range(times)]
    turn = pd.factorize(dataset.table["group"])[0]
    # The remainder by a prime, or a part would hold one grade only.
    return _changed(dataset, split=[names[one * 7 % 11 % len(names)] for one in turn])


def _trials(dataset, grades="one"):
    return {one.name: one for one in Grading(GradingOptions(grades=grades)).trials(dataset)}


def _grades(dataset, disease, ids):
    return dataset.table.loc[list(ids), disease.column].to_numpy()


def _ids(trials, part):
    """Of both diseases, as sets."""
    return [set(getattr(trials[name], part)) for name in BOTH]


def test_a_training_or_validation_image_keeps_the_grade_of_one_disease(graded):
    trials = _trials(graded)
    assert list(trials) == list(BOTH)
    for part in (TRAIN, VALIDATION):
        dr, dme = _ids(trials, part)
        assert dr
        assert dme
        assert not dr & dme
    assert _ids(trials, "unlabelled") == _ids(trials, TRAIN)[::-1]


def test_each_disease_keeps_about_half_of_every_grade(graded):
    trials = _trials(graded)
    for part in (TRAIN, VALIDATION):
        every = sorted(set.union(*_ids(trials, part)))
        for disease in (DR, DME):
            own = np.bincount(_grades(graded, disease, getattr(trials[disease.name], part)))
            both = np.bincount(_grades(graded, disease, every))
            # A few images, as parts are whole patients.
            np.testing.assert_allclose(own, both / 2, atol=2 * EYES if part == TRAIN else EYES)


@pytest.mark.parametrize("disease", [DR, DME])
def test_before_the_division_the_shares_of_a_grade_differ_by_rounding_alone(graded, disease):
    kept = Grading()._kept(graded)[:, BOTH.index(disease.name)]
    grades = graded.table[disease.column]
    cells = len(DR.grades) * len(DME.grades)
    counts = np.array([np.bincount(grades[mask], minlength=3) for mask in (kept, ~kept)])
    assert np.abs(counts[0] - counts[1]).max() <= EYES * cells / 3
    assert kept.sum() == len(kept) / 2


def test_all_images_of_a_patient_keep_the_same_disease(graded):
    kept = pd.DataFrame(Grading()._kept(graded), index=graded.table["group"])
    assert (kept.groupby(level=0).nunique() == 1).all(axis=None)
    assert (kept.sum(axis=1) == 1).all()


def test_no_patient_is_in_two_parts_of_any_two_diseases(graded):
    groups = {
        part: {graded.table.at[one, "group"] for ids in _ids(_trials(graded), part) for one in ids}
        for part in (TRAIN, VALIDATION, TEST)
    }
    assert sum(map(len, groups.values())) == len(set.union(*groups.values())) == PATIENTS


def test_the_order_of_the_rows_does_not_matter(graded):
    shuffled = replace(graded, table=graded.table.sample(frac=1, random_state=3))
    assert _trials(shuffled) == _trials(graded)


def test_the_seed_of_a_run_does_not_matter(graded):
    assert Grading().trials_of(graded, 5) == Grading().trials(graded)


def test_test_images_keep_every_grade_that_they_have(graded):
    dr, dme = _ids(_trials(graded), TEST)
    assert dr == dme
    assert len(dr) == pytest.approx(len(graded.table) / 5, abs=6)
    lost = sorted(dr)[0]
    dr, dme = _ids(_trials(_without(_fixed_as(graded), DME, [lost])), TEST)
    assert dr - dme == {lost}


def _fixed_as(dataset):
    """The parts that the task would draw, as the data set's own."""
    split = pd.Series("", dataset.table.index)
    for trial in _trials(dataset).values():
        for part in (TRAIN, VALIDATION, TEST):
            split[list(getattr(trial, part))] = part
    return _changed(dataset, split=split)


def test_parts_that_the_data_fix_are_kept(graded):
    fixed = _fixed(graded, train=3, validation=1, test=1)
    trials = _trials(fixed)
    for part in (TRAIN, VALIDATION, TEST):
        expected = set(fixed.table.index[fixed.table["split"] == part])
        assert set.union(*_ids(trials, part)) == expected


def test_a_missing_validation_part_is_a_fifth_of_train_and_train_has_every_grade(graded):
    fixed = _fixed(graded, train=4, test=1)
    trials = _trials(fixed)
    test = set(fixed.table.index[fixed.table["split"] == TEST])
    assert _ids(trials, TEST) == [test, test]
    validation = set.union(*_ids(trials, VALIDATION))
    assert len(validation) == pytest.approx((len(fixed.table) - len(test)) / 5, abs=6)
    assert not validation & test
    for disease in (DR, DME):
        found = _grades(fixed, disease, trials[disease.name].train)
        assert set(found) == set(range(len(disease.grades)))


def test_with_all_grades_every_image_serves_every_disease(graded):
    trials = _trials(graded, "all")
    assert all(trial.unlabelled == () for trial in trials.values())
    for part in (TRAIN, VALIDATION, TEST):
        dr, dme = _ids(trials, part)
        assert dr == dme
    assert sum(len(ids) for ids in trials["DR"].parts.values()) == len(graded.table)


def test_an_image_keeps_the_grade_that_it_has(graded):
    """As in SALL's own data: no image has both, and nothing is hidden."""
    first = graded.table["group"] < f"p{PATIENTS // 2:03d}"
    only = _without(_without(graded, DME, first), DR, ~first)
    for grades in ("one", "all"):
        dr, dme = _ids(_trials(only, grades), TRAIN)
        assert all(first[list(dr)])
        assert not any(first[list(dme)])
        assert dr
        assert dme


def test_an_image_without_any_grade_trains_no_disease(graded):
    fixed = _fixed(graded, train=3, validation=1, test=1)
    lost = sorted(_trials(fixed)["DR"].train)[0]
    bare = _without(_without(fixed, DR, [lost]), DME, [lost])
    trials = _trials(bare)
    assert all(lost not in ids for ids in _ids(trials, TRAIN))
    assert all(lost in ids for ids in _ids(trials, "unlabelled"))


def test_the_labels_of_a_trial_are_its_diseases_grades(graded):
    view = Grading().of_trial(graded, "DME")
    assert view.classes == DME.grades
    assert list(view.table["label"]) == list(graded.table[DME.column])
    assert list(graded.table["label"]) == list(graded.table[DR.column])
    with pytest.raises(DataError, match="here grades no disease called AMD"):
        Grading().of_trial(graded, "AMD")


def _refusal(dataset, act=None):
    with pytest.raises(DataError) as caught:
        (act or Grading().trials)(dataset)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_data_without_diseases_are_refused(graded):
    said = _refusal(replace(graded, diseases=()), Grading().check)
    assert "data set hand has classes only: use synthetic-fundus, idrid or multi-disease" in said


def test_a_disease_without_any_grade_is_refused(graded):
    said = _refusal(_without(graded, DME, slice(None)), Grading().check)
    assert said.startswith("here: no image has a grade of DME: add some, or leave the disease out")


def test_a_grade_that_is_not_trained_on_is_refused_by_name(graded):
    fixed = _fixed(graded, train=3, validation=1, test=1)
    trained = (fixed.table["split"] == TRAIN) & (fixed.table[DR.column] == 3)
    said = _refusal(_without(fixed, DR, trained))
    assert "no image of the train part keeps the DR grade severe: add some, or divide" in said
    assert said.endswith("the images otherwise, or give --grades all")


@pytest.mark.parametrize("part", [VALIDATION, TEST])
def test_a_part_of_one_grade_cannot_be_judged_by(graded, part):
    fixed = _fixed(graded, train=3, validation=1, test=1)
    there = (fixed.table["split"] == part) & (fixed.table[DME.column] > 0)
    said = _refusal(_without(fixed, DME, there))
    verb = "has" if part == TEST else "keeps"
    assert f"no image of the {part} part {verb} the DME grade far, near: add some" in said


def test_a_rare_grade_may_be_missing_outside_of_train(graded):
    fixed = _fixed(graded, train=3, validation=1, test=1)
    there = (fixed.table["split"] == VALIDATION) & (fixed.table[DME.column] == 2)
    trial = _trials(_without(fixed, DME, there))["DME"]
    assert set(_grades(fixed, DME, trial.validation)) == {0, 1}


def test_data_without_training_images_are_refused(graded):
    said = _refusal(_changed(graded, split=TEST))
    assert said == "here has no training images: put some into the part 'train'"


def test_too_few_patients_of_a_grade_are_named(graded):
    rare = (graded.table[DR.column] == 3) & (graded.table["group"] > "p012")
    said = _refusal(_without(graded, DR, rare))
    assert re.search(r"class DR severe has \d groups .* too few to be in each of train, val", said)


def test_which_grades_are_kept_is_one_or_all():
    with pytest.raises(UserError, match="--grades some: it should be 'one' or 'all'"):
        configure("MobileNet", "grading", task_options={"grades": "some"})


def _outputs(dataset, trial, seed, scale=2.0):
    """Probabilities that lean to the true grade."""
    view = Grading().of_trial(dataset, trial.name)
    labels = view.table.loc[list(trial.test), "label"].to_numpy()
    logits = np.random.default_rng(seed).normal(size=(len(labels), len(view.classes)))
    logits[np.arange(len(labels)), labels] += scale
    shares = np.exp(logits)
    return Outputs(trial.test, (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32))


@pytest.fixture
def scored(graded):
    """(data, results of both diseases, the run's score); one test image has no grade of DME."""
    trials = _trials(graded)
    bare = _without(_fixed_as(graded), DME, [trials["DME"].test[0]])
    task, results = Grading(), []
    for seed, trial in enumerate(_trials(bare).values()):
        outputs = _outputs(bare, trial, seed)
        view = task.of_trial(bare, trial.name)
        results.append((trial, outputs, task.score(view, trial, outputs)))
    return bare, results, task.overall(bare, results)


def _kappa(dataset, trial, outputs):
    disease = {"DR": DR, "DME": DME}[trial.name]
    grades = _grades(dataset, disease, outputs.ids)
    return cohen_kappa_score(grades, outputs.probabilities.argmax(axis=1), weights="quadratic")


def test_the_headline_is_the_mean_kappa_of_the_diseases(scored):
    dataset, results, overall = scored
    kappas = [_kappa(dataset, trial, outputs) for trial, outputs, _ in results]
    found = overall.metrics[Grading.headline]
    assert found.value == pytest.approx(np.mean(kappas))
    assert found.low < found.value < found.high
    widths = [
        score.metrics["quadratic_kappa"].high - score.metrics["quadratic_kappa"].low
        for *_, score in results
    ]
    # Of two diseases that err apart the mean is surer.
    assert found.high - found.low < max(widths)
    assert found.n == len(results[0][0].test)
    assert found.groups == len({dataset.table.at[one, "group"] for one in results[0][0].test})


def test_the_interval_of_the_mean_is_that_of_resampled_patients(scored):
    """Drawn and scored here, by scikit-learn; a patient is drawn for both diseases alike."""
    dataset, results, overall = scored
    ids = sorted(set().union(*(trial.test for trial, _, _ in results)))
    groups = dataset.table.loc[ids, "group"].to_numpy(str)
    drawn = statistics.group_weights(groups, statistics.RESAMPLES, BOOTSTRAP_SEED)[:300]
    kappas = np.zeros((len(drawn), 2))
    for column, (_, outputs, _) in enumerate(results):
        places = [ids.index(one) for one in outputs.ids]
        grades = _grades(dataset, (DR, DME)[column], outputs.ids)
        said = outputs.probabilities.argmax(axis=1)
        for row, weights in enumerate(drawn[:, places]):
            kappas[row, column] = cohen_kappa_score(
                grades, said, weights="quadratic", sample_weight=weights
            )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.grading.resamples", lambda labels, groups, count: drawn)
        found = Grading().overall(dataset, results).metrics[Grading.headline]
    low, high = statistics.interval(kappas.mean(axis=1))
    assert (found.low, found.high) == pytest.approx((low, high))
    whole = overall.metrics[Grading.headline]
    assert (found.low, found.high) == pytest.approx((whole.low, whole.high), abs=0.03)


def test_the_interval_of_the_mean_is_over_patients(scored):
    dataset, results, overall = scored
    by_image = _changed(dataset, group=dataset.table.index)
    other = Grading().overall(by_image, results)
    wide, narrow = (score.metrics[Grading.headline] for score in (overall, other))
    assert wide.value == narrow.value
    assert wide.groups == narrow.groups / EYES
    assert (wide.low, wide.high) != (narrow.low, narrow.high)


def test_of_one_disease_the_mean_is_its_own_kappa(scored):
    """Up to the resamples, of which each disease leaves out those that lack one of its grades."""
    dataset, results, _ = scored
    overall = Grading().overall(dataset, results[:1])
    own = results[0][2].metrics["quadratic_kappa"]
    found = overall.metrics["quadratic_kappa"]
    assert found.value == pytest.approx(own.value)
    assert (found.low, found.high) == pytest.approx((own.low, own.high), abs=0.02)


def test_every_score_of_every_disease_is_in_the_run_by_its_name(scored):
    dataset, results, overall = scored
    for trial, outputs, score in results:
        assert {"quadratic_kappa", "accuracy", "macro_f1", "macro_auc"} < set(score.metrics)
        assert {"referable_auc", "mean_absolute_grade_error", "ece", "brier"} < set(score.metrics)
        disease = {"DR": DR, "DME": DME}[trial.name]
        grades = _grades(dataset, disease, outputs.ids)
        said = outputs.probabilities.argmax(axis=1)
        assert score.metrics["accuracy"].value == pytest.approx(accuracy_score(grades, said))
        for name, metric in score.metrics.items():
            assert overall.metrics[f"{name}_of_{trial.name}"] == metric
            assert overall.tables["diseases"].at[trial.name, name] == metric.value
        assert list(score.tables["per_grade"].index) == list(disease.grades)
        assert score.metrics["accuracy"].n == len(trial.test)
    assert len(overall.metrics) == 1 + sum(len(score.metrics) for *_, score in results)
    assert results[1][2].metrics["accuracy"].n == results[0][2].metrics["accuracy"].n - 1


def test_a_run_says_how_many_grades_each_disease_was_trained_on(scored):
    _, results, overall = scored
    (dr, _, _), _ = results
    told = f"DR: {len(dr.train)} training images with its grade, {len(dr.unlabelled)} without"
    assert told in overall.notes


def test_sensitivity_and_specificity_are_told_of_each_grade(scored):
    dataset, ((_, outputs, score), _), _ = scored
    grades, said = _grades(dataset, DR, outputs.ids), outputs.probabilities.argmax(axis=1)
    table = score.tables["per_grade"]
    for number, name in enumerate(DR.grades):
        own = grades == number
        assert table.at[name, "sensitivity"] == pytest.approx(np.mean(said[own] == number))
        assert table.at[name, "specificity"] == pytest.approx(np.mean(said[~own] != number))


def test_the_epoch_is_chosen_by_a_score_that_moves_while_all_images_get_one_grade():
    labels = np.array([0, 1, 2, 2, 0])
    constant = np.tile([0.6, 0.2, 0.2], (5, 1))
    learned = constant + 0.1 * np.eye(3)[labels]
    assert (learned.argmax(axis=1) == 0).all()
    assert Grading().selection(labels, learned) > Grading().selection(labels, constant)
