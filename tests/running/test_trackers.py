"""What TensorBoard and MLflow are told of a run, and that no run depends on them."""

import struct

import pandas as pd
import pytest
from clinic import write_images

from benchmark.cli import main
from benchmark.common.progress import SilentDisplay
from benchmark.errors import UserError
from benchmark.records.folder import RunFolder
from benchmark.run import run
from benchmark.running import trackers


@pytest.fixture
def asked(monkeypatch):
    """Asks for trackers until the test is over."""
    monkeypatch.setenv(trackers.VARIABLE, "")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return lambda *names: trackers.ask(names)


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tracked") / "clinic"
    write_images(folder, 0)
    return folder


def _run(framework, clinic, out, **settings):
    settings = {"framework": framework, "budget": "smoke", "dataset": "folder"} | settings
    return run("MobileNetV2", "diagnosis", **settings, data_dir=clinic, out=out)


def _events(folder):
    """(tag, step, value) of every scalar in event files: records framed as in TFRecord."""
    from tensorboardX.proto.event_pb2 import Event

    for file in sorted(folder.glob("events.*")):
        content, place = file.read_bytes(), 0
        while place < len(content):
            (length,) = struct.unpack_from("<Q", content, place)
            event = Event.FromString(content[place + 12 : place + 12 + length])
            place += length + 16
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    yield value.tag, event.step, value.simple_value


def _mlflow(out):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=(out / "mlruns").as_uri())
    experiment = client.get_experiment_by_name("dermbench").experiment_id
    return client, client.search_runs([experiment])


def test_nothing_is_tracked_unless_asked_for(asked, framework, clinic, tmp_path):
    record = _run(framework, clinic, tmp_path)
    assert not (RunFolder.of_record(tmp_path, record).path / "tensorboard").exists()
    assert not (tmp_path / "mlruns").exists()


def test_epochs_and_scores_are_those_of_the_history_and_the_record(
    asked, framework, clinic, tmp_path
):
    asked("tensorboard", "mlflow")
    record = _run(framework, clinic, tmp_path, epochs=2)
    folder = RunFolder.of_record(tmp_path, record).path
    history = pd.read_csv(folder / "main" / "history-train.csv")
    told = {(tag, step): value for tag, step, value in _events(folder / "tensorboard")}
    client, (tracked,) = _mlflow(tmp_path)
    for row in history.itertuples():
        for name in ("loss", "validation", "learning_rate", "seconds"):
            value = getattr(row, name)
            assert told[f"main/train/{name}", row.epoch] == pytest.approx(value)
            kept = client.get_metric_history(tracked.info.run_id, f"main/train/{name}")
            assert {each.step: each.value for each in kept}[row.epoch] == pytest.approx(value)
    (stage,) = record.trials[0].stages
    learned = [(epoch.loss, epoch.validation) for epoch in stage.learning]
    assert learned == [(row.loss, row.validation) for row in history.itertuples()]
    for name, metric in record.metrics.items():
        if metric.value is not None:
            assert told[name, 0] == pytest.approx(metric.value)
            assert tracked.data.metrics[name] == pytest.approx(metric.value)
    assert tracked.data.params["recipe.epochs"] == "2"
    assert tracked.info.status == "FINISHED"


def test_a_run_that_goes_on_is_one_run_there(asked, framework, clinic, tmp_path):
    asked("mlflow")
    record = _run(framework, clinic, tmp_path)
    assert _run(framework, clinic, tmp_path, overwrite=True).run_id == record.run_id
    _, (tracked,) = _mlflow(tmp_path)
    assert tracked.data.tags["dermbench_run"] == record.run_id


def test_a_tracker_that_fails_is_told_and_costs_nothing(
    asked, framework, clinic, tmp_path, monkeypatch
):
    class Broken(trackers.TensorBoard):
        def numbers(self, values, step):
            raise OSError("the server is gone")

    class Heard(SilentDisplay):
        def say(self, line):
            said.append(line)

    said = []
    monkeypatch.setattr(trackers, "TRACKERS", {"tensorboard": Broken})
    asked("tensorboard")
    record = _run(framework, clinic, tmp_path, epochs=2, display=Heard())
    assert record.metrics
    (line,) = [each for each in said if "Broken is left out" in each]
    assert "the server is gone" in line


def test_what_is_not_there_is_refused_before_anything(asked, monkeypatch, capsys):
    words = ["run", "--arch", "VGG16", "--task", "diagnosis", "--track"]
    assert main([*words, "wandb"]) == 1
    assert "unknown tracker 'wandb'" in capsys.readouterr().err
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"tracking with mlflow needs mlflow.*dermbench\[track\]"):
        asked("mlflow")
