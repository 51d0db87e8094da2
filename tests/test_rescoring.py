import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent / "records"))

import answered_made

from benchmark import rescoring
from benchmark.errors import DataError, UserError
from benchmark.records import predictions, splits
from benchmark.records.predictions import Predictions

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
        (_without, "were not kept; add the file, or repeat the run"),
        (_of_other_images, "not those of the record's test part"),
        (_of_other_classes, "no probability for each of the 3 classes"),
        (_of_another_split, "is not the split that was asked of"),
        (_with_an_unknown_class, "class 'wart' is none of the record's"),
        (_without_split, "cannot be read"),
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


def test_the_file_of_a_split_is_read_without_its_data(tmp_path):
    record = answered_made.run(tmp_path)
    rows = splits.rows(_sheet(tmp_path, record).path)
    assert list(rows.columns) == list(splits.COLUMNS)
    assert set(rows["part"]) == {"train", "validation", "test"}
