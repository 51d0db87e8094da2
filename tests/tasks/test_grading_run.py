"""Whole runs over two diseases: what may be learnt from, what is kept, scored and shown.

The stages of a run are in test_grading_stages.py; what the losses are is in
tests/frameworks/test_joint_methods.py, what a real network learns by them in
test_joint_training.py.
"""

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import architectures
import benchmark.data
from benchmark import pictures
from benchmark.data.dataset import ALL_DISEASES
from benchmark.errors import DataError
from benchmark.leaderboard import build
from benchmark.records.folder import RunFolder
from benchmark.running.trial import TrialRunner
from tasks.grading import Grading

sys.path.insert(0, str(Path(__file__).parent))

from grading_runs import DISEASES, graded, predicted, table_of

pytestmark = pytest.mark.usefixtures("of_points")
METHODS = ("cross-entropy", "single-task", "multi-task", "distillation", "sall")
JOINTLY = METHODS[2:]
PICTURES = ("confusion", "reliability", "risk-coverage")
BUILD, EXPLAIN = architectures.build, TrialRunner._explain_some
DRAW, HISTORY = Grading.draw, pictures.history


def _poisoned(monkeypatch, part):
    """From here on the runner gets other grades of each disease for these images of its trial.

    `part` is "hidden" for training and validation images that did not keep the grade, else one of
    the trial's. Gives back, by disease, how many grades were changed.
    """
    count = {}

    def spoiled(dataset, trials):
        columns = {}
        for trial in trials:
            disease = DISEASES[trial.name]
            column = dataset.table[disease.column].copy()
            ids = set(getattr(trial, part)) if part != "hidden" else None
            if ids is None:
                ids = set(dataset.table.index) - {*trial.train, *trial.validation, *trial.test}
            column[sorted(ids)] = (column[sorted(ids)] + 1) % len(disease.grades)
            columns[disease.column] = column
            count[trial.name] = len(ids)
        # What is no grade is nobody's business.
        table = dataset.table.assign(**columns, label=0)
        return replace(dataset, table=table)

    alone, jointly = TrialRunner.run, TrialRunner.run_jointly

    def run_poisoned(self, dataset, trial, earlier):
        return alone(self, spoiled(dataset, [trial]), trial, earlier)

    def run_jointly_poisoned(self, dataset, trials):
        return jointly(self, spoiled(dataset, trials), trials)

    monkeypatch.setattr(TrialRunner, "run", run_poisoned)
    monkeypatch.setattr(TrialRunner, "run_jointly", run_jointly_poisoned)
    return count


@pytest.mark.parametrize("method", METHODS)
def test_each_disease_is_graded_and_hidden_grades_are_out_of_reach(
    framework, photographs, tmp_path, monkeypatch, method
):
    record = graded(tmp_path, framework, photographs, method)
    assert [trial.name for trial in record.trials] == list(DISEASES)
    assert record.headline == "quadratic_kappa"
    dataset = benchmark.data.load("idrid", photographs)
    for trial in record.trials:
        disease = DISEASES[trial.name]
        table = pd.read_csv(table_of(tmp_path, record, trial.name), index_col="id", na_filter=False)
        assert list(table.columns) == ["true", *disease.grades]
        true = dataset.table.loc[table.index, disease.column]
        assert list(table["true"]) == [disease.grades[grade] for grade in true]
        np.testing.assert_allclose(table[list(disease.grades)].sum(axis=1), 1, atol=1e-6)
        assert len(table) == trial.n_test == 20
        kappa = record.metrics[f"quadratic_kappa_of_{trial.name}"]
        assert kappa == trial.metrics["quadratic_kappa"]
    dr, dme = record.trials
    assert (dr.n_train, dme.n_train) == (dme.n_unlabelled, dr.n_unlabelled)
    true = predicted(tmp_path, record)
    with monkeypatch.context() as patch:
        changed = _poisoned(patch, "hidden")
        other = graded(tmp_path / "poisoned", framework, photographs, method)
    assert changed == {t.name: 80 - t.n_train - t.n_validation for t in record.trials}
    assert predicted(tmp_path / "poisoned", other) == true


@pytest.mark.parametrize("method", ["single-task", "sall"])
def test_grades_that_are_trained_on_are_not(framework, photographs, tmp_path, monkeypatch, method):
    true = predicted(tmp_path, graded(tmp_path, framework, photographs, method))
    _poisoned(monkeypatch, "train")
    other = graded(tmp_path / "poisoned", framework, photographs, method)
    for one, another in zip(predicted(tmp_path / "poisoned", other), true, strict=True):
        assert one != another


@pytest.mark.parametrize(("name", "other"), [("DR", "DME"), ("DME", "DR")])
def test_sall_of_one_disease_alone_predicts_what_a_single_task_does(
    framework, photographs, tmp_path, name, other
):
    alone = graded(tmp_path, framework, photographs, "single-task")
    options = {"head_weights": f"{name}=1,{other}=0", "semantic_weight": 0, "feature_weight": 0}
    joint = graded(tmp_path, framework, photographs, "sall", method_options=options)
    found = table_of(tmp_path, joint, name).read_bytes()
    assert found == table_of(tmp_path, alone, name).read_bytes()
    # Of the other disease nothing is learnt.
    assert (
        table_of(tmp_path, joint, other).read_bytes()
        != table_of(tmp_path, alone, other).read_bytes()
    )


def test_the_split_is_frozen_with_each_diseases_grades_and_used_again(
    framework, photographs, tmp_path, monkeypatch
):
    first = graded(tmp_path, framework, photographs, "multi-task")
    (path,) = tmp_path.glob("v1/splits/*/*.csv")
    assert path.name == "grading-v1-grades=one.csv"
    frozen = pd.read_csv(path, na_filter=False)
    for name, rows in frozen[frozen["part"] == "train"].groupby("trial"):
        assert set(rows["class"]) == set(DISEASES[name].grades)
    monkeypatch.setattr(Grading, "trials", lambda *_: pytest.fail("drawn again"))
    second = graded(tmp_path, framework, photographs, "single-task")
    for one, other in zip(first.trials, second.trials, strict=True):
        assert one.split_fingerprint == other.split_fingerprint
        assert one.labelled_fingerprint == other.labelled_fingerprint != ""
    line = next(n for n, text in enumerate(path.read_text().split("\n")) if "DME,train" in text)
    rows = path.read_text().split("\n")
    grade = rows[line].rpartition(",")[2]
    rows[line] = rows[line].replace(f",{grade}", ",severe")
    path.write_text("\n".join(rows))
    with pytest.raises(DataError, match=rf"line {line + 1}: .* class 'severe' is '{grade}'"):
        graded(tmp_path, framework, photographs, "sall")


def test_the_board_ranks_methods_by_the_mean_and_names_each_diseases_scores(
    framework, photographs, tmp_path
):
    records = [graded(tmp_path, framework, photographs, name) for name in ("single-task", "sall")]
    build(tmp_path)
    page = (tmp_path / "v1" / "leaderboard.md").read_text()
    assert "## grading (version 1) on idrid, grades one" in page
    assert "Ranked by **quadratic-weighted kappa**" in page
    (header,) = [line for line in page.splitlines() if "quadratic-weighted kappa of DME" in line]
    columns = [cell.strip() for cell in header.strip("|").split("|")]
    for name in ("macro AUC of DR", "referable-disease AUC of DME", "ECE of DR ↓"):
        assert name in columns
    rows = [line for line in page.splitlines() if "| single-task " in line or "| sall " in line]
    values = sorted((r.metrics["quadratic_kappa"].value for r in records), reverse=True)
    shown = [row.strip("|").split("|")[columns.index("quadratic-weighted kappa")] for row in rows]
    assert [float(cell.split()[0]) for cell in shown] == pytest.approx(values, abs=6e-4)


def test_pictures_are_drawn_for_each_disease(framework, photographs, tmp_path, monkeypatch):
    monkeypatch.setattr(Grading, "draw", DRAW)
    monkeypatch.setattr("benchmark.pictures.history", HISTORY)
    record = graded(tmp_path, framework, photographs, "multi-task", temperature_scaling=True)
    folder = RunFolder.of_record(tmp_path, record)
    of_each = {f"{name}/plots/{one}.png" for name in DISEASES for one in PICTURES}
    drawn = {path.relative_to(folder.path).as_posix() for path in folder.drawings()}
    assert drawn == of_each | {f"{ALL_DISEASES}/plots/history-train.png"}
    assert folder.tables() == [folder.path / "diseases.csv"]
    assert {f"ece_scaled_of_{name}" for name in DISEASES} < set(record.metrics)


@pytest.mark.parametrize(
    ("trained", "disease", "task", "fault"),
    [
        ("single-task", "DR", "grading", r"says 5 classes, .* scored here has 5\+3 "),
        (
            "multi-task",
            ALL_DISEASES,
            "diagnosis",
            r"says 5\+3 classes, .* scored here has 5 ",
        ),
    ],
)
def test_a_network_without_a_head_for_what_is_asked_is_refused(
    framework, photographs, tmp_path, refusal, trained, disease, task, fault
):
    record = graded(tmp_path, framework, photographs, trained)
    weights = RunFolder.of_record(tmp_path, record).weights(disease)
    more = ("--method", "checkpoint", "--weights", str(weights), "--framework", framework)
    said = refusal(tmp_path / "scored", photographs, *more, task=task)
    assert re.search(fault, said)
    assert "a head that is missing cannot be scored" in said


def test_the_temperature_is_of_the_validation_images(framework, photographs, tmp_path, monkeypatch):
    """And the grades of the test images change nothing but the scores."""
    fitted = {}
    for part in ("none", "test", "validation"):
        with monkeypatch.context() as patch:
            if part != "none":
                _poisoned(patch, part)
            out = tmp_path / part
            settings = {"method": "checkpoint", "weights": fitted.get("weights"), "epochs": None}
            settings = settings if part != "none" else {"method": "multi-task"}
            record = graded(out, framework, photographs, **settings, temperature_scaling=True)
        folder = RunFolder.of_record(out, record)
        fitted.setdefault("weights", str(folder.weights(ALL_DISEASES)))
        fitted[part] = [trial.temperature for trial in record.trials]
        tables = [pd.read_csv(table_of(out, record, name), index_col="id") for name in DISEASES]
        fitted[f"{part} said"] = pd.concat(tables, axis=1).drop(columns="true").to_numpy()
    assert None not in fitted["none"]
    assert fitted["test"] == fitted["none"]
    np.testing.assert_array_equal(fitted["test said"], fitted["none said"])
    assert all(a != b for a, b in zip(fitted["validation"], fitted["none"], strict=True))


def test_the_record_says_what_was_graded_and_counts_every_network(framework, photographs, tmp_path):
    from points import HIDDEN

    records = {name: graded(tmp_path, framework, photographs, name) for name in METHODS[1:]}
    for record in records.values():
        assert {d.name: (d.grades, d.referable) for d in record.data.diseases} == {
            name: (disease.grades, disease.referable) for name, disease in DISEASES.items()
        }
    (joint,) = {record.parameters for name, record in records.items() if name in JOINTLY}
    # A second hidden layer, of two colours and a bias.
    assert records["single-task"].parameters == joint + 3 * HIDDEN


def test_a_disease_of_weight_0_is_told(framework, photographs, tmp_path):
    options = {"head_weights": "DME=0"}
    record = graded(tmp_path, framework, photographs, "multi-task", method_options=options)
    (note,) = [note for note in record.notes if "weight 0" in note]
    assert note.startswith("DME ")


def test_a_trained_network_is_scored_again_as_it_is(framework, photographs, tmp_path):
    record = graded(tmp_path, framework, photographs, "multi-task")
    weights = RunFolder.of_record(tmp_path, record).weights(ALL_DISEASES)
    again = graded(
        tmp_path, framework, photographs, "checkpoint", weights=str(weights), epochs=None
    )
    assert predicted(tmp_path, again) == predicted(tmp_path, record)
    assert again.metrics == record.metrics


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS[1:])
def test_a_real_network_is_trained_explained_and_does_not_see_hidden_grades(
    framework, photographs, tmp_path, monkeypatch, method
):
    monkeypatch.setattr("architectures.build", BUILD)
    monkeypatch.setattr(TrialRunner, "_explain_some", EXPLAIN)
    record = graded(tmp_path, framework, photographs, method)
    for name in DISEASES:
        folder = table_of(tmp_path, record, name).parent
        assert (folder / "plots" / "gradcam-predictions.png").is_file()
        told = pd.read_csv(folder / "gradcam-predictions.csv")
        assert set(told["predicted"]) <= set(DISEASES[name].grades)
    true = predicted(tmp_path, record)
    _poisoned(monkeypatch, "hidden")
    other = graded(tmp_path / "poisoned", framework, photographs, method)
    assert predicted(tmp_path / "poisoned", other) == true
