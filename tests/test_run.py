"""What a run does alike in every framework, and so is shown in one: questions, splits, refusals."""

import numpy as np
import pytest

from benchmark.cli import main
from benchmark.common import locks
from benchmark.common.progress import SilentDisplay
from benchmark.errors import DataError, RunInProgressError, UserError
from benchmark.records.attempts import folder, without_record
from benchmark.records.folder import RunFolder
from benchmark.records.store import Store
from benchmark.run import run
from tasks.diagnosis import Diagnosis


@pytest.mark.slow
def test_pretraining_on_the_test_images_is_refused(framework, tmp_path):
    settings = {"framework": framework, "budget": "smoke"}
    with pytest.raises(DataError, match="byte for byte"):
        run("MobileNetV2", "diagnosis", **settings, pretrain_on="synthetic", out=tmp_path)


def test_pretraining_on_a_test_lesion_is_refused(framework, real_data, tmp_path):
    folder = real_data / "ham10000-multi-image-lesions"
    settings = {"framework": framework, "budget": "smoke", "dataset": "isic2018", "out": tmp_path}
    with pytest.raises(DataError, match=r"ISIC_\d+ \(test\).*pre-train on data without"):
        run(
            "MobileNetV2",
            "diagnosis",
            **settings,
            data_dir=folder,
            pretrain_on=f"isic2018:{folder}",
        )


@pytest.mark.slow
def test_a_leaking_split_runs_only_with_a_flag_that_the_record_carries(
    framework, real_data, tmp_path
):
    settings = {
        "framework": framework,
        "budget": "smoke",
        "dataset": "medmnist",
        "data_dir": real_data / "dermamnist-rebuilt" / "dermamnist_64_subset.npz",
        "out": tmp_path,
    }
    with pytest.raises(DataError, match=r"of 300 test images show a lesion .* in train"):
        run("MobileNetV2", "imbalance", **settings)
    record = run("MobileNetV2", "imbalance", **settings, allow_leaks=True)
    assert record.config["allow_leaks"] is True
    (told,) = record.leaks
    assert "also in train" in told
    assert "allowed by --allow-leaks" in told


@pytest.mark.slow
def test_two_stages_on_a_thinned_question_of_two_classes(framework, tmp_path):
    asked = {"imbalance": "10", "positive": "Psoriasis"}
    record = run(
        "MobileNetV2",
        "imbalance",
        method="supercon",
        framework=framework,
        budget="smoke",
        task_options=asked,
        out=tmp_path,
    )
    assert record.config["task_options"] == asked
    assert record.config["method_options"]["temperature"] == 0.07
    assert record.data.classes == ("not Psoriasis", "Psoriasis")
    first, second = record.trials[0].stages
    assert (first.stage, first.selected_by) == ("main contrast", "last epoch")
    assert (second.stage, second.selected_by) == ("main classifier", "validation macro_f1")
    assert (first.recipe["freeze"], second.recipe["freeze"]) == ("none", "backbone")
    assert record.metrics["average_precision"].value is not None
    (frozen,) = (tmp_path / "v1" / "splits").rglob("*.csv")
    lines = frozen.read_text().splitlines()
    thinned = sum(",train," in line and line.endswith(",Psoriasis") for line in lines)
    assert 0 < thinned < sum(",test," in line for line in lines)


def test_a_method_that_judges_by_the_batch_explains_no_image(framework, tmp_path):
    settings = {"framework": framework, "budget": "smoke", "method": "supercon-as-released"}
    with pytest.raises(UserError, match="a map is of one image alone"):
        run("MobileNetV2", "explainability", **settings, out=tmp_path)


def test_a_split_is_what_its_frozen_file_says(framework, tmp_path):
    settings = {"framework": framework, "budget": "smoke", "out": tmp_path}
    first = run("MobileNetV2", "diagnosis", **settings)
    (frozen,) = (tmp_path / "v1" / "splits").rglob("*.csv")
    lines = frozen.read_text().splitlines(keepends=True)
    place = next(n for n, line in enumerate(lines) if ",train," in line)
    frozen.write_text("".join(lines[:place] + lines[place + 1 :]))
    again = run("MobileNetV2", "diagnosis", **settings)
    assert again.run_id != first.run_id
    assert again.trials[0].n_train == first.trials[0].n_train - 1


def test_what_another_process_computes_is_not_computed_here(framework, tmp_path):
    settings = {
        "framework": framework,
        "budget": "smoke",
        "dataset_options": {"images": 54, "size": 64},
        "out": tmp_path,
    }
    record = run("MobileNetV2", "diagnosis", **settings)
    (tmp_path / "v1" / "records" / f"{record.run_id}.json").unlink()
    path = RunFolder.of_record(tmp_path, record).path
    with locks.held(path / "run.lock"), pytest.raises(RunInProgressError, match="wait for it"):
        run("MobileNetV2", "diagnosis", **settings)
    assert not without_record(tmp_path).attempts


def test_a_run_that_fails_is_noted_with_its_reason_until_it_is_done(
    framework, tmp_path, monkeypatch
):
    settings = {"framework": framework, "budget": "smoke", "out": tmp_path}

    def full(*given):
        raise UserError("the disk is full: free some space")

    with monkeypatch.context() as patched:
        patched.setattr("benchmark.records.store.Store.save", full)
        with pytest.raises(UserError, match="disk is full"):
            run("MobileNetV2", "diagnosis", **settings)
    (attempt,) = without_record(tmp_path).attempts
    assert attempt.reason == "the disk is full: free some space"
    assert attempt.config["arch"] == "MobileNetV2"
    record = run("MobileNetV2", "diagnosis", **settings)
    assert record.run_id == attempt.run_id
    assert not list(folder(tmp_path).iterdir())


def test_a_task_whose_score_lacks_what_it_ranks_by_is_refused(framework, tmp_path, monkeypatch):
    monkeypatch.setattr(Diagnosis, "headline", "macro_aug")
    settings = {"dataset_options": {"images": 54, "size": 64}, "budget": "smoke", "out": tmp_path}
    with pytest.raises(UserError, match=r"ranks by 'macro_aug', which its score .* macro_auc"):
        run("MobileNetV2", "diagnosis", framework=framework, **settings)
    assert not list((tmp_path / "v1").glob("records/*"))


def test_a_damaged_record_is_not_called_done(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmark.run.run_id", lambda *of: "r0")
    (tmp_path / "v1" / "records").mkdir(parents=True)
    (tmp_path / "v1" / "records" / "r0.json").write_text("{")
    display = SilentDisplay()
    said = []
    monkeypatch.setattr(display, "say", said.append)
    settings = {"dataset_options": {"images": 72, "size": 64}, "budget": "smoke"}
    with pytest.raises(UserError, match=r"not valid JSON .*restore the file, or delete it"):
        run("MobileNetV2", "diagnosis", **settings, out=tmp_path, display=display)
    assert said == []


def test_a_run_whose_network_answers_all_images_alike_says_so(
    framework, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(
        "benchmark.running.trial.predict",
        lambda engine, samples, *_: np.full((len(samples), 6), 1 / 6),
    )
    command = ["run", "--arch", "MobileNetV2", "--task", "diagnosis", "--framework", framework]
    command += ["--budget", "smoke", "--data-option", "images=54", "--data-option", "size=64"]
    assert main([*command, "--out", str(tmp_path)]) == 0
    said, shown = "every test image got the same answer", capsys.readouterr().out
    assert shown.count(f"note: {said}") == 1
    assert "budget smoke, 1 epoch, " in shown
    (record,) = Store(tmp_path).all().records
    assert record.notes[0].startswith(said)
