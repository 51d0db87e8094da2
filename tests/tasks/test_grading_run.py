"""Whole runs over two diseases with a network of two numbers per image.

What the losses are is in tests/frameworks/test_joint_methods.py, what a real network learns by them
in test_joint_training.py.
"""

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "frameworks"))

import architectures
import benchmark.data
from benchmark import pictures
from benchmark import trial as trial_module
from benchmark.data.dataset import ALL_DISEASES, UNLABELLED
from benchmark.data.layouts import idrid
from benchmark.errors import DataError
from benchmark.leaderboard import build
from benchmark.progress import SilentDisplay
from benchmark.records.folder import RunFolder
from benchmark.run import run
from benchmark.survey import TrialSurvey
from benchmark.training import loop
from benchmark.training.frameworks import select_backend
from benchmark.trial import TrialRunner
from tasks.grading import Grading

# Of MobileNetV2 the tables and the least size; what is trained is made of points.
ARCH = "MobileNetV2"
METHODS = ("cross-entropy", "single-task", "multi-task", "distillation", "sall")
JOINTLY = METHODS[2:]
DISEASES = {one.name: one for one in idrid.DISEASES}
PICTURES = ("confusion", "reliability", "risk-coverage")
BUILD, EXPLAIN = architectures.build, TrialRunner._explain_some
DRAW, HISTORY = Grading.draw, pictures.history


@pytest.fixture(autouse=True)
def _tiny(framework, monkeypatch):
    select_backend(framework)
    from points import build

    monkeypatch.setattr("architectures.build", build)
    monkeypatch.setattr("benchmark.pictures.history", lambda *_: None)
    monkeypatch.setattr(TrialRunner, "_explain_some", lambda *_: None)
    monkeypatch.setattr(Grading, "draw", lambda *_: [])


def _settings(framework, photographs, method, settings):
    return {
        "framework": framework,
        "method": method,
        "dataset": "idrid",
        "data_dir": photographs,
        "budget": "smoke",
        "epochs": 2,
        "device": "cpu",
        **settings,
    }


def _run(out, framework, photographs, method, **settings):
    return run(ARCH, "grading", out=out, **_settings(framework, photographs, method, settings))


def _file(out, record, disease):
    return RunFolder.of_record(out, record).path / disease / "predictions.csv"


def _predicted(out, record):
    """The bytes of both diseases' predictions."""
    return [_file(out, record, name).read_bytes() for name in DISEASES]


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
    record = _run(tmp_path, framework, photographs, method)
    assert [trial.name for trial in record.trials] == list(DISEASES)
    assert record.headline == "quadratic_kappa"
    dataset = benchmark.data.load("idrid", photographs)
    for trial in record.trials:
        disease = DISEASES[trial.name]
        table = pd.read_csv(_file(tmp_path, record, trial.name), index_col="id", na_filter=False)
        assert list(table.columns) == ["true", *disease.grades]
        true = dataset.table.loc[table.index, disease.column]
        assert list(table["true"]) == [disease.grades[grade] for grade in true]
        np.testing.assert_allclose(table[list(disease.grades)].sum(axis=1), 1, atol=1e-6)
        assert len(table) == trial.n_test == 20
        kappa = record.metrics[f"quadratic_kappa_of_{trial.name}"]
        assert kappa == trial.metrics["quadratic_kappa"]
    dr, dme = record.trials
    assert (dr.n_train, dme.n_train) == (dme.n_unlabelled, dr.n_unlabelled)
    true = _predicted(tmp_path, record)
    with monkeypatch.context() as patch:
        changed = _poisoned(patch, "hidden")
        other = _run(tmp_path / "poisoned", framework, photographs, method)
    assert changed == {t.name: 80 - t.n_train - t.n_validation for t in record.trials}
    assert _predicted(tmp_path / "poisoned", other) == true


@pytest.mark.parametrize("method", ["single-task", "sall"])
def test_grades_that_are_trained_on_are_not(framework, photographs, tmp_path, monkeypatch, method):
    true = _predicted(tmp_path, _run(tmp_path, framework, photographs, method))
    _poisoned(monkeypatch, "train")
    other = _run(tmp_path / "poisoned", framework, photographs, method)
    for one, another in zip(_predicted(tmp_path / "poisoned", other), true, strict=True):
        assert one != another


@pytest.mark.parametrize(("name", "other"), [("DR", "DME"), ("DME", "DR")])
def test_sall_of_one_disease_alone_predicts_what_a_single_task_does(
    framework, photographs, tmp_path, name, other
):
    alone = _run(tmp_path, framework, photographs, "single-task")
    options = {"head_weights": f"{name}=1,{other}=0", "semantic_weight": 0, "feature_weight": 0}
    joint = _run(tmp_path, framework, photographs, "sall", method_options=options)
    found = _file(tmp_path, joint, name).read_bytes()
    assert found == _file(tmp_path, alone, name).read_bytes()
    # Of the other disease nothing is learnt.
    assert _file(tmp_path, joint, other).read_bytes() != _file(tmp_path, alone, other).read_bytes()


@pytest.fixture
def stages(monkeypatch):
    """What each stage of a run was: (stage, its samples, its log, the tensors that it left)."""
    seen = []

    def watched(engine, stage, train, validation, *others):
        before = {name: array.copy() for name, array in stage.beside.items()}
        log = loop.train_stage(engine, stage, train, validation, *others)
        for name, array in stage.beside.items():
            np.testing.assert_array_equal(array, before[name])
        samples = {"train": train, "validation": validation}
        seen.append((stage, samples, log, engine.network.tensors()))
        return log

    monkeypatch.setattr(trial_module, "train_stage", watched)
    return seen


def test_a_teacher_is_the_network_of_a_single_task_and_the_student_leaves_its_word(
    framework, photographs, tmp_path, stages
):
    alone = _run(tmp_path, framework, photographs, "single-task")
    networks = [tensors for *_, tensors in stages]
    stages.clear()
    record = _run(tmp_path, framework, photographs, "sall")
    assert [stage.name for stage, *_ in stages] == ["teacher-DR", "teacher-DME", "train"]
    for number, (own, (*_, taught)) in enumerate(zip(networks, stages[:2], strict=True)):
        for tensor, array in own.items():
            layer, role = tensor.rsplit("/", 1)
            name = tensor if tensor in taught else f"{layer}_{number}/{role}"
            np.testing.assert_array_equal(taught[name], array, err_msg=name)
    summaries = {s.stage: s for s in record.trials[0].stages}
    for trial in alone.trials:
        summary = summaries[f"{ALL_DISEASES} teacher-{trial.name}"]
        assert summary.selection_score == trial.stages[0].selection_score


def test_every_stage_takes_as_many_steps(framework, photographs, tmp_path, stages):
    """An epoch is as long as the training part, whichever grades an image has."""
    for method in ("single-task", "sall"):
        _run(tmp_path, framework, photographs, method)
    steps = [[row["images"] for row in log.epochs] for *_, log, _ in stages]
    assert len(steps) == 2 + 3
    assert all(images == steps[0] for images in steps)


def test_a_joint_network_is_given_the_grades_that_were_kept_and_no_others(
    framework, photographs, tmp_path, stages
):
    _run(tmp_path, framework, photographs, "sall")
    (path,) = tmp_path.glob("v1/splits/*/*.csv")
    frozen = pd.read_csv(path, na_filter=False)
    index = benchmark.data.load("idrid", photographs).table.index
    for _, parts, *_ in stages:
        for part, samples in parts.items():
            for number, disease in enumerate(DISEASES.values()):
                rows = frozen[(frozen["trial"] == disease.name) & (frozen["part"] == part)]
                grades = pd.Series(samples.labels[:, number], index[samples.rows])
                told = grades[grades != UNLABELLED].map(lambda grade, of=disease: of.grades[grade])
                assert told.to_dict() == dict(zip(rows["id"], rows["class"], strict=True))


@pytest.mark.parametrize("method", ["distillation", "sall"])
def test_teachers_are_asked_of_training_images_alone(
    framework, photographs, tmp_path, monkeypatch, method
):
    asked = []

    def of(name):
        whole = getattr(TrialSurvey, name)

        def watched(self):
            rows = np.append(self.labelled.rows, self.of_unlabelled.rows)
            asked.append(set(dataset.table.index[rows]))
            return whole(self)

        return watched

    dataset = benchmark.data.load("idrid", photographs)
    for name in ("logits", "features"):
        monkeypatch.setattr(TrialSurvey, name, of(name))
    record = _run(tmp_path, framework, photographs, method)
    (path,) = tmp_path.glob("v1/splits/*/*.csv")
    frozen = pd.read_csv(path)
    parts = {name: set(rows["id"]) for name, rows in frozen.groupby("part")}
    assert len(asked) == {"distillation": 2, "sall": 4}[method]
    for ids in asked:
        assert ids == parts["train"]
        assert not ids & (parts["test"] | parts["validation"])
    assert len(parts["train"]) == record.trials[0].n_train + record.trials[0].n_unlabelled


class _Cut(SilentDisplay):
    """Interrupts the run in the second epoch of a stage; keeps what is said."""

    def __init__(self, stage=""):
        self.stage, self.lines = stage, []

    def say(self, line):
        self.lines.append(line)

    def epoch(self, stage, epoch, epochs, steps):
        self.lines.append(f"{stage} {epoch}")
        if stage == self.stage and self.lines.count(f"{stage} {epoch}") == 1 and epoch == 2:
            raise KeyboardInterrupt
        return super().epoch(stage, epoch, epochs, steps)


@pytest.mark.parametrize("stage", ["teacher-DME", "train"])
def test_an_interrupted_run_ends_as_one_that_was_not(
    framework, photographs, tmp_path, monkeypatch, stage
):
    whole = _run(tmp_path / "whole", framework, photographs, "sall")
    monkeypatch.setattr(loop.StageTraining, "_due", True)
    with pytest.raises(KeyboardInterrupt):
        _run(tmp_path / "cut", framework, photographs, "sall", display=_Cut(stage))
    display = _Cut()
    again = _run(tmp_path / "cut", framework, photographs, "sall", display=display)
    assert "teacher-DR: continuing after epoch 2" in display.lines
    assert f"{stage}: continuing after epoch 1" in display.lines
    assert again.run_id == whole.run_id
    assert again.metrics == whole.metrics
    assert _predicted(tmp_path / "cut", again) == _predicted(tmp_path / "whole", whole)


def test_the_split_is_frozen_with_each_diseases_grades_and_used_again(
    framework, photographs, tmp_path, monkeypatch
):
    first = _run(tmp_path, framework, photographs, "multi-task")
    (path,) = tmp_path.glob("v1/splits/*/*.csv")
    assert path.name == "grading-v1-grades=one.csv"
    frozen = pd.read_csv(path, na_filter=False)
    for name, rows in frozen[frozen["part"] == "train"].groupby("trial"):
        assert set(rows["class"]) == set(DISEASES[name].grades)
    monkeypatch.setattr(Grading, "trials", lambda *_: pytest.fail("drawn again"))
    second = _run(tmp_path, framework, photographs, "single-task")
    for one, other in zip(first.trials, second.trials, strict=True):
        assert one.split_fingerprint == other.split_fingerprint
        assert one.labelled_fingerprint == other.labelled_fingerprint != ""
    line = next(n for n, text in enumerate(path.read_text().split("\n")) if "DME,train" in text)
    rows = path.read_text().split("\n")
    grade = rows[line].rpartition(",")[2]
    rows[line] = rows[line].replace(f",{grade}", ",severe")
    path.write_text("\n".join(rows))
    with pytest.raises(DataError, match=rf"line {line + 1}: .* class 'severe' is '{grade}'"):
        _run(tmp_path, framework, photographs, "sall")


def test_the_board_ranks_methods_by_the_mean_and_names_each_diseases_scores(
    framework, photographs, tmp_path
):
    records = [_run(tmp_path, framework, photographs, name) for name in ("single-task", "sall")]
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
    record = _run(tmp_path, framework, photographs, "multi-task", temperature_scaling=True)
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
    record = _run(tmp_path, framework, photographs, trained)
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
            record = _run(out, framework, photographs, **settings, temperature_scaling=True)
        folder = RunFolder.of_record(out, record)
        fitted.setdefault("weights", str(folder.weights(ALL_DISEASES)))
        fitted[part] = [trial.temperature for trial in record.trials]
        tables = [pd.read_csv(_file(out, record, name), index_col="id") for name in DISEASES]
        fitted[f"{part} said"] = pd.concat(tables, axis=1).drop(columns="true").to_numpy()
    assert None not in fitted["none"]
    assert fitted["test"] == fitted["none"]
    np.testing.assert_array_equal(fitted["test said"], fitted["none said"])
    assert all(a != b for a, b in zip(fitted["validation"], fitted["none"], strict=True))


def test_the_record_says_what_was_graded_and_counts_every_network(framework, photographs, tmp_path):
    from points import HIDDEN

    records = {name: _run(tmp_path, framework, photographs, name) for name in METHODS[1:]}
    for record in records.values():
        assert {d.name: (d.grades, d.referable) for d in record.data.diseases} == {
            name: (disease.grades, disease.referable) for name, disease in DISEASES.items()
        }
    (joint,) = {record.parameters for name, record in records.items() if name in JOINTLY}
    # A second hidden layer, of two colours and a bias.
    assert records["single-task"].parameters == joint + 3 * HIDDEN


def test_a_disease_of_weight_0_is_told(framework, photographs, tmp_path):
    options = {"head_weights": "DME=0"}
    record = _run(tmp_path, framework, photographs, "multi-task", method_options=options)
    (note,) = [note for note in record.notes if "weight 0" in note]
    assert note.startswith("DME ")


def test_a_trained_network_is_scored_again_as_it_is(framework, photographs, tmp_path):
    record = _run(tmp_path, framework, photographs, "multi-task")
    weights = RunFolder.of_record(tmp_path, record).weights(ALL_DISEASES)
    again = _run(tmp_path, framework, photographs, "checkpoint", weights=str(weights), epochs=None)
    assert _predicted(tmp_path, again) == _predicted(tmp_path, record)
    assert again.metrics == record.metrics


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS[1:])
def test_a_real_network_is_trained_explained_and_does_not_see_hidden_grades(
    framework, photographs, tmp_path, monkeypatch, method
):
    monkeypatch.setattr("architectures.build", BUILD)
    monkeypatch.setattr(TrialRunner, "_explain_some", EXPLAIN)
    record = _run(tmp_path, framework, photographs, method)
    for name in DISEASES:
        folder = _file(tmp_path, record, name).parent
        assert (folder / "plots" / "gradcam-predictions.png").is_file()
        told = pd.read_csv(folder / "gradcam-predictions.csv")
        assert set(told["predicted"]) <= set(DISEASES[name].grades)
    true = _predicted(tmp_path, record)
    _poisoned(monkeypatch, "hidden")
    other = _run(tmp_path / "poisoned", framework, photographs, method)
    assert _predicted(tmp_path / "poisoned", other) == true
