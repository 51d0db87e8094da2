import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent / "records"))

import answered_made

from benchmark import __version__, rescoring
from benchmark.cli import main
from benchmark.common.files import write_json
from benchmark.errors import DataError, UserError
from benchmark.records import predictions, splits
from benchmark.records.folder import RunFolder
from benchmark.records.predictions import Predictions
from benchmark.records.record import Record
from benchmark.records.store import Store
from benchmark.rescoring import faults_told

OPTIONS = {
    "diagnosis": {},
    "imbalance": {"task_options": {"positive": "mel"}},
    "semi-supervised": {"task_options": {"label_fractions": "10,50"}, "method": "supervised"},
    "grading": {"method": "single-task"},
}


@pytest.fixture(params=sorted(OPTIONS))
def record(request, tmp_path):
    return answered_made.run(tmp_path, request.param, **OPTIONS[request.param])


def test_stored_predictions_and_the_split_give_the_records_scores(tmp_path, record):
    answered = rescoring.answered(tmp_path, record)
    ones = np.ones((1, len(answered.images)), np.int64)
    found = answered.sampled(ones)
    assert found[record.headline][0] == pytest.approx(
        record.metrics[record.headline].value, abs=1e-12
    )
    for metric, values in found.items():
        assert values[0] == pytest.approx(record.metrics[metric].value, abs=1e-12), metric


def test_a_resample_repeats_images_for_every_trial_alike(tmp_path, record):
    answered = rescoring.answered(tmp_path, record)
    twice = np.full((1, len(answered.images)), 2)
    once = answered.sampled(np.ones_like(twice))
    for metric, values in answered.sampled(twice).items():
        assert values[0] == pytest.approx(once[metric][0], abs=1e-12)


def test_the_sheet_has_the_truth_and_no_photograph(tmp_path, record):
    sheet = _sheet(tmp_path, record)
    whole = answered_made.dataset(tmp_path)
    assert set(sheet.dataset.table.index) <= set(whole.table.index)
    assert (sheet.dataset.table["path"] == "").all()
    groups = whole.table.loc[sheet.dataset.table.index, "group"]
    assert (sheet.dataset.table["group"] == groups).all()


def _spoilt(record, metric, **numbers):
    """The record with other numbers for a metric of the whole run."""
    other = record.metrics[metric].model_copy(update=numbers)
    return record.model_copy(update={"metrics": {**record.metrics, metric: other}})


def test_a_record_that_is_right_does_not_move(tmp_path, record):
    found = rescoring.rescored(rescoring.answered(tmp_path, record))
    assert found.moved.empty
    assert found.record == record


def test_a_long_tail_is_rescored_from_the_images_that_are_left_of_it(tmp_path):
    data = answered_made.dataset(tmp_path, images=1200)
    tail = {"task_options": {"imbalance": "50"}}
    record = answered_made.run(tmp_path, "imbalance", data=data, **tail)
    assert rescoring.rescored(rescoring.answered(tmp_path, record)).moved.empty


def test_what_moved_is_told_and_mended(tmp_path, record):
    name = record.headline
    wrong = _spoilt(record, name, high=record.metrics[name].high + 0.25)
    found = rescoring.rescored(rescoring.answered(tmp_path, wrong))
    (row,) = found.moved.to_dict("records")
    assert (row["trial"], row["metric"]) == ("", name)
    assert row["before"] - row["after"] == pytest.approx(0.25)
    assert found.record.metrics == record.metrics
    assert found.record.rescored_by == __version__


def test_a_metric_of_a_trial_that_was_missing_is_added(tmp_path, record):
    trial = record.trials[0]
    fewer = {name: metric for name, metric in trial.metrics.items() if name != "macro_f1"}
    trials = (trial.model_copy(update={"metrics": fewer}), *record.trials[1:])
    wrong = record.model_copy(update={"trials": trials})
    found = rescoring.rescored(rescoring.answered(tmp_path, wrong))
    (row,) = found.moved.to_dict("records")
    assert (row["trial"], row["metric"]) == (trial.name, "macro_f1")
    assert np.isnan(row["before"])
    assert found.record.trials == record.trials


def test_another_number_of_images_is_told(tmp_path):
    record = answered_made.run(tmp_path)
    wrong = _spoilt(record, "macro_auc", n=7)
    (row,) = rescoring.rescored(rescoring.answered(tmp_path, wrong)).moved.to_dict("records")
    assert (row["metric"], row["before"]) == ("macro_auc, images", 7)


def test_the_command_says_what_moved_and_writes_it(tmp_path, capsys):
    right, other, lost = (answered_made.run(tmp_path, seed=seed) for seed in range(3))
    store = Store(tmp_path)
    store.save(_spoilt(right, "macro_f1", value=0.123))
    folder = RunFolder.of_record(tmp_path, right)
    write_json(folder.path / "record.json", store.load(right.run_id).model_dump(mode="json"))
    predictions.location(tmp_path, lost.run_id).unlink()
    assert main(["rescore", "--dry-run", "--out", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert "3 records, the metrics of 1 would move" in told.out
    assert f"run {right.run_id}" in told.out
    assert "0.123" in told.out
    assert "left as it is" in told.err
    assert store.load(right.run_id).metrics["macro_f1"].value == 0.123
    assert main(["rescore", right.run_id, "--out", str(tmp_path)]) == 0
    assert "1 record, the metrics of 1 moved" in capsys.readouterr().out
    assert store.load(right.run_id).metrics == right.metrics
    copied = (folder.path / "record.json").read_text("utf-8")
    assert Record.model_validate_json(copied) == store.load(right.run_id)
    assert not RunFolder.of_record(tmp_path, other).path.exists()
    assert main(["rescore", "--dry-run", "--out", str(tmp_path)]) == 0
    assert store.load(other.run_id) == other


def _sheet(tmp_path, record):
    return rescoring.sheet_of(tmp_path, rescoring.question_of(record))


def _without(tmp_path, record):
    predictions.location(tmp_path, record.run_id).unlink()


def _of_other_images(tmp_path, record):
    (said,) = predictions.load(tmp_path, record).values()
    ids = ("stranger", *said.ids[1:])
    predictions.save(tmp_path, record.run_id, [Predictions(ids, said.probabilities)])


def _of_other_classes(tmp_path, record):
    (said,) = predictions.load(tmp_path, record).values()
    fewer = Predictions(said.ids, said.probabilities[:, :2])
    predictions.save(tmp_path, record.run_id, [fewer])


def _of_another_split(tmp_path, record):
    path = _sheet(tmp_path, record).path
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:1] + lines[2:]))


def _with_an_unknown_class(tmp_path, record):
    path = _sheet(tmp_path, record).path
    path.write_text(path.read_text().replace(",mel", ",wart"))


def _without_split(tmp_path, record):
    shutil.rmtree(tmp_path / "v1" / "splits")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_without, r"npz does not exist: restore the file, or make the run again with --overwrite"),
        (_of_other_images, "not those of the record's test part"),
        (_of_other_classes, "no probability for each of the 3 classes"),
        (_of_another_split, "is not the split that was asked of"),
        (_with_an_unknown_class, "class 'wart' is none of the record's"),
        (_without_split, "does not exist: restore it, or repeat a run of it with --overwrite"),
    ],
)
def test_what_does_not_fit_the_record_is_refused(tmp_path, spoil, told):
    record = answered_made.run(tmp_path)
    spoil(tmp_path, record)
    with pytest.raises(DataError, match=told):
        rescoring.answered(tmp_path, record)


def test_another_version_of_the_protocol_is_not_scored_by_this_one(tmp_path):
    record = answered_made.run(tmp_path).model_copy(update={"task_version": "0"})
    with pytest.raises(UserError, match="diagnosis version 0 is not what this DermBench scores"):
        rescoring.answered(tmp_path, record)


def test_settings_of_another_version_are_refused(tmp_path):
    record = answered_made.run(tmp_path)
    config = {**record.config, "colour": "red"}
    with pytest.raises(UserError, match="settings are of another version"):
        rescoring.answered(tmp_path, record.model_copy(update={"config": config}))


@pytest.mark.parametrize("command", ["describe", "repeat", "rescore"])
def test_a_record_of_another_version_is_told_as_one_by_every_command(tmp_path, capsys, command):
    record = answered_made.run(tmp_path)
    config = {**record.config, "colour": "red"}
    Store(tmp_path).save(record.model_copy(update={"config": config}))
    main([command, record.run_id, "--out", str(tmp_path)])
    assert "its settings are of another version of DermBench" in capsys.readouterr().err


def test_the_file_of_a_split_is_read_without_its_data(tmp_path):
    record = answered_made.run(tmp_path)
    rows = splits.rows(_sheet(tmp_path, record).path)
    assert list(rows.columns) == list(splits.COLUMNS)
    assert set(rows["part"]) == {"train", "validation", "test"}


def test_a_folder_without_records_is_told_from_one_in_which_nothing_moves(tmp_path, capsys):
    assert main(["rescore", "--dry-run", "--out", str(tmp_path)]) == 1
    assert f"no records in {tmp_path}" in capsys.readouterr().err


def test_a_reason_that_several_runs_share_is_told_once():
    assert (
        faults_told(["no task", "no task", "no split", "no file"]) == "no task; no split and 1 more"
    )
