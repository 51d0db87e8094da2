"""The stages of a run over two diseases: what each is given, what it leaves, where it goes on."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import benchmark.data
from benchmark.common.progress import SilentDisplay
from benchmark.data.dataset import ALL_DISEASES, UNLABELLED
from benchmark.running import trial as trial_module
from benchmark.running.survey import TrialSurvey
from benchmark.training import loop

sys.path.insert(0, str(Path(__file__).parent))

from grading_runs import DISEASES, graded, predicted

pytestmark = pytest.mark.usefixtures("of_points")


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
    alone = graded(tmp_path, framework, photographs, "single-task")
    networks = [tensors for *_, tensors in stages]
    stages.clear()
    record = graded(tmp_path, framework, photographs, "sall")
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
        graded(tmp_path, framework, photographs, method)
    steps = [[row["images"] for row in log.epochs] for *_, log, _ in stages]
    assert len(steps) == 2 + 3
    assert all(images == steps[0] for images in steps)


def test_a_joint_network_is_given_the_grades_that_were_kept_and_no_others(
    framework, photographs, tmp_path, stages
):
    graded(tmp_path, framework, photographs, "sall")
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
    record = graded(tmp_path, framework, photographs, method)
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
    whole = graded(tmp_path / "whole", framework, photographs, "sall")
    monkeypatch.setattr(loop.StageTraining, "_due", True)
    with pytest.raises(KeyboardInterrupt):
        graded(tmp_path / "cut", framework, photographs, "sall", display=_Cut(stage))
    display = _Cut()
    again = graded(tmp_path / "cut", framework, photographs, "sall", display=display)
    assert "teacher-DR: continuing after epoch 2" in display.lines
    assert f"{stage}: continuing after epoch 1" in display.lines
    assert again.run_id == whole.run_id
    assert again.metrics == whole.metrics
    assert predicted(tmp_path / "cut", again) == predicted(tmp_path / "whole", whole)
