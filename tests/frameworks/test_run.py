"""Whole runs on the smoke budget, in this process's framework."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import architectures
from benchmark import rescoring
from benchmark.errors import UserError
from benchmark.leaderboard import build
from benchmark.metrics import classification
from benchmark.records.folder import RunFolder
from benchmark.records.store import Store
from benchmark.run import run
from benchmark.show import baselines_table, metrics_table
from benchmark.show.things import describe
from benchmark.training.frameworks import select_backend

sys.path.insert(0, str(Path(__file__).parent.parent / "architectures"))
keras_made = importlib.import_module("keras_made")

SMALL = {"images": 72, "size": 96}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def record(framework, results, shared_cache):
    """One explainability run that the tests below look at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DERMBENCH_CACHE", str(shared_cache))
        return run(
            "MobileNetV2",
            "explainability",
            framework=framework,
            budget="smoke",
            dataset_options=SMALL,
            out=results,
        )


@pytest.fixture
def folder(results, record) -> Path:
    return RunFolder.of_record(results, record).path


def test_the_record_says_what_was_run_on_what(record, framework):
    assert record.config["framework"] == framework
    assert record.task_version
    assert len(record.data.fingerprint) == 64
    assert record.seeds["run"] == record.config["seed"] == 0
    assert record.packages["python"]
    assert record.hardware["precision"] == "float32"
    assert record.peak_memory_bytes["main"] > 50e6
    assert 50e6 < record.peak_memory_bytes["anonymous"] < record.peak_memory_bytes["main"]
    assert record.parameters > 2e6
    (trial,) = record.trials
    assert trial.n_train + trial.n_validation + trial.n_test == SMALL["images"]
    assert trial.stages[0].epochs == 1


def test_every_metric_is_a_number_with_its_interval_and_count(record):
    for name, metric in record.metrics.items():
        if metric.value is not None:
            assert metric.n > 0
            assert metric.groups > 0
            if metric.low is not None and metric.high is not None:
                assert metric.low <= metric.high, name


def test_the_stored_record_is_the_returned_one(record, results, folder):
    assert Store(results).load(record.run_id) == record
    stored = json.loads((folder / "record.json").read_text())
    assert stored["run_id"] == record.run_id


def test_predictions_give_the_recorded_scores_again(record, folder):
    table = pd.read_csv(folder / "main" / "predictions.csv")
    classes = list(record.data.classes)
    labels = table["true"].map(classes.index).to_numpy()
    scores = classification.scores(labels, table[classes].to_numpy(np.float32))
    assert scores["macro_auc"] == pytest.approx(record.metrics["macro_auc"].value, abs=1e-9)
    assert scores["accuracy"] == pytest.approx(record.metrics["accuracy"].value, abs=1e-9)


def test_what_is_kept_beside_the_record_gives_its_scores_again(record, results):
    answered = rescoring.answered(results, record)
    assert rescoring.rescored(answered).moved.empty
    ones = np.ones((1, len(answered.images)), np.int64)
    headline = record.metrics[record.headline].value
    assert answered.sampled(ones)[record.headline][0] == pytest.approx(headline, abs=1e-6)


def test_maps_are_stored_for_every_test_image(record, folder):
    stored = np.load(folder / "main" / "maps.npz", allow_pickle=False)
    count, classes = record.trials[0].n_test, len(record.data.classes)
    assert stored["every"].shape == (count, classes, 3, 3)
    for name in ("true", "predicted", "untrained", "published"):
        assert stored[name].shape == (count, 3, 3)
        assert stored[name].dtype == np.float32
        assert (stored[name] >= 0).all()
    table = pd.read_csv(folder / "main" / "predictions.csv")
    assert list(stored["ids"]) == list(table["id"])


def test_pictures_and_the_page_are_drawn(results, record):
    folder = RunFolder.of_record(results, record)
    names = {path.name for path in (*folder.drawings(), *folder.pages())}
    assert {"confusion.png", "explanations-best.png", "history-train.png"} <= names
    assert {"gallery.html", "insertion-deletion.png", "randomisation.png"} <= names


def test_the_run_is_compared_with_floors_and_ceilings(record):
    assert record.baselines["untrained network"].kind == "floor"
    assert record.baselines["annotator against the others"].kind == "ceiling"
    table = baselines_table(record)
    assert len(table) == len(record.baselines)


def test_the_explanations_are_tested_on_the_budgets_number_of_images(record, folder):
    curves = pd.read_csv(folder / "main" / "faithfulness.csv")
    assert curves["id"].nunique() == record.config["probed_images"] == 4
    assert record.metrics["insertion_auc"].n == 4


def test_checkpoints_are_gone_when_the_run_is_done(folder):
    assert not list(folder.rglob("checkpoints"))


def test_what_is_printed_can_be_had_as_data(record, results):
    table = metrics_table(record)
    assert "explainability F1" in table.index
    assert describe(record.run_id[:6], results).loc["run"].item().startswith("MobileNetV2")


def test_the_same_run_is_not_made_twice(record, results, framework, monkeypatch):
    monkeypatch.setattr(
        "benchmark.running.trial.make_engine", lambda *_: pytest.fail("trained again")
    )
    settings = {"framework": framework, "budget": "smoke", "dataset_options": SMALL}
    again = run("mobilenet-v2", "explainability", **settings, out=results)
    assert again == record


@pytest.mark.slow
def test_the_same_run_in_another_folder_gives_the_same_numbers(record, tmp_path, framework):
    settings = {"framework": framework, "budget": "smoke", "dataset_options": SMALL}
    again = run("MobileNetV2", "explainability", **settings, out=tmp_path)
    assert again.run_id == record.run_id
    assert again.metrics == record.metrics


@pytest.mark.slow
def test_a_trained_network_is_scored_again_without_training(record, folder, framework, tmp_path):
    (weights,) = folder.glob("*/weights.safetensors")
    settings = {"framework": framework, "budget": "smoke", "dataset_options": SMALL}
    again = run(
        "MobileNetV2",
        "explainability",
        **settings,
        method="checkpoint",
        weights=str(weights),
        out=tmp_path,
    )
    assert again.metrics == record.metrics
    assert again.trials[0].stages == ()
    assert (again.weights.kind, again.weights.name) == ("file", weights.name)
    assert len(again.weights.sha256) == 64
    assert "elsewhere" in again.notes[0]


def test_weights_without_a_head_cannot_be_scored(framework, tmp_path):
    select_backend(framework)
    network = architectures.build("MobileNetV2", framework, 2, image_size=96)
    path = keras_made.numbered(tmp_path / "base.weights.h5", keras_made.layers_of(network))
    settings = {"framework": framework, "budget": "smoke", "dataset_options": SMALL}
    with pytest.raises(UserError, match="has no head"):
        run(
            "MobileNetV2",
            "diagnosis",
            **settings,
            method="checkpoint",
            weights=str(path),
            out=tmp_path,
        )


def test_the_record_makes_a_leaderboard(record, results):
    built = build(results)
    table = pd.read_csv(results / "v1" / "table.csv")
    row = table[table["run_ids"].str.contains(record.run_id)]
    assert row["macro_auc"].item() == pytest.approx(record.metrics["macro_auc"].value, abs=1e-6)
    assert all(path.stat().st_size > 0 for path in built.paths)


@pytest.mark.slow
def test_a_network_with_a_normalised_classifier_is_scored_as_it_is(framework, tmp_path):
    settings = {"framework": framework, "budget": "smoke", "out": tmp_path}
    trained = run("MobileNetV2", "diagnosis", **settings, method="ldam-drw")
    weights = RunFolder.of_record(tmp_path, trained).weights("main")
    scored = run("MobileNetV2", "diagnosis", **settings, method="checkpoint", weights=str(weights))
    assert scored.metrics["macro_auc"].value == pytest.approx(
        trained.metrics["macro_auc"].value, abs=1e-6
    )


# Of each kind of head, preprocessing and graph one: tracing all eleven takes minutes, and that each
# trains and explains in Keras as in PyTorch is shown by test_arch_parity.py.
WHOLE_IN_KERAS = {"EfficientNetB0", "MobileNet", "NASNetMobile", "VGG16"}


@pytest.mark.slow
@pytest.mark.parametrize("arch", architectures.names())
def test_every_architecture_trains_predicts_and_explains(arch, framework, tmp_path):
    if framework == "keras" and arch not in WHOLE_IN_KERAS:
        pytest.skip("compared with PyTorch in test_arch_parity.py")
    record = run(
        arch,
        "explainability",
        framework=framework,
        budget="smoke",
        dataset_options=SMALL,
        out=tmp_path,
    )
    (file,) = tmp_path.rglob("maps.npz")
    with np.load(file, allow_pickle=False) as stored:
        for name in ("true", "predicted", "published"):
            assert min(stored[name].shape[1:]) >= 3
            assert np.isfinite(stored[name]).all()
    assert record.metrics["macro_auc"].value is not None
    assert record.trials[0].stages[0].images_per_second > 0


@pytest.mark.slow
def test_two_stages_on_real_images(framework, real_data, tmp_path):
    record = run(
        "MobileNetV2",
        "explainability",
        framework=framework,
        budget="smoke",
        dataset="isic2018",
        data_dir=real_data / "ham10000-lesion-masks",
        pretrain_on=f"isic2018:{real_data / 'isic2018-task3'}",
        out=tmp_path,
    )
    assert [stage.stage for stage in record.trials[0].stages] == [
        "pretrain-1-isic2018 train",
        "main train",
    ]
    assert record.metrics["explainability_f1"].n > 0
    assert record.metrics["explainability_skill"].value is None
    assert {each.kind for each in record.baselines.values()} == {"floor"}
    assert record.pretraining[0].fingerprint != record.data.fingerprint
