import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "records"))

import answered_made
import records_made

from benchmark.cli import main
from benchmark.comparison import compare
from benchmark.comparison.plots import deciding
from benchmark.comparison.report import metrics_table, sentence, write
from benchmark.data.dataset import Dataset
from benchmark.errors import UserError
from benchmark.records import predictions
from benchmark.records.predictions import Predictions
from benchmark.records.store import Store


def _row(out, skill, seeds=3, **settings):
    return [answered_made.run(out, skill=skill, seed=seed, **settings) for seed in range(seeds)]


def test_a_better_row_is_found_and_told(tmp_path):
    found = compare(tmp_path, _row(tmp_path, 4.0), _row(tmp_path, 0.5, epochs=9))
    assert found.headline == "macro_auc"
    assert found.difference.value > 0.1
    assert found.difference.p < 0.05
    assert "the first is better" in sentence(found)
    assert "3 seeds and 3" in sentence(found)


def test_equal_rows_are_not_told_apart(tmp_path):
    first, second = _row(tmp_path, 2.0), _row(tmp_path, 2.0, stray=1, epochs=9)
    found = compare(tmp_path, first, second)
    assert found.difference.p > 0.05
    assert "no difference is shown" in sentence(found)


def test_the_sides_are_mirror_images(tmp_path):
    first, second = _row(tmp_path, 2.5), _row(tmp_path, 2.0, epochs=9)
    one, other = compare(tmp_path, first, second), compare(tmp_path, second, first)
    assert one.difference.value == pytest.approx(-other.difference.value)
    assert one.difference.p == pytest.approx(other.difference.p, abs=0.02)
    assert one.difference.low == pytest.approx(-other.difference.high, abs=0.01)
    np.testing.assert_allclose(one.images["influence"], -other.images["influence"], atol=1e-12)


def test_the_metrics_are_those_of_the_records(tmp_path):
    (one,), (other,) = _row(tmp_path, 2.5, seeds=1), _row(tmp_path, 2.0, seeds=1, epochs=9)
    table = compare(tmp_path, [one], [other]).metrics
    assert table.index[0] == "macro_auc"
    for name in ("macro_auc", "macro_f1", "ece"):
        assert table.at[name, "first"] == pytest.approx(one.metrics[name].value)
        assert table.at[name, "second_high"] == pytest.approx(other.metrics[name].high)
    tested = table["p"].notna()
    difference = one.metrics["macro_f1"].value - other.metrics["macro_f1"].value
    assert table.at["macro_f1", "difference"] == pytest.approx(difference)
    assert tested["accuracy"]
    assert not tested["ece"]


@pytest.mark.parametrize(
    ("task", "settings"),
    [
        ("grading", {"method": "single-task"}),
        ("semi-supervised", {"task_options": {"label_fractions": "10,50"}, "method": "supervised"}),
        ("imbalance", {}),
    ],
)
def test_every_task_is_compared_by_its_headline(tmp_path, task, settings):
    better = [answered_made.run(tmp_path, task, skill=3.0, **settings)]
    worse = [answered_made.run(tmp_path, task, skill=0.5, epochs=9, **settings)]
    found = compare(tmp_path, better, worse)
    assert found.headline == better[0].headline
    assert found.difference.value == pytest.approx(
        better[0].metrics[found.headline].value - worse[0].metrics[found.headline].value
    )
    assert found.difference.low > 0
    assert write(found, tmp_path / "told", None)


def test_the_image_that_one_side_alone_gets_right_weighs_for_it(tmp_path):
    (one,), (other,) = _row(tmp_path, 4.0, seeds=1), _row(tmp_path, 4.0, seeds=1, epochs=9)
    (said,) = predictions.load(tmp_path, one).values()
    wrong = said.probabilities.copy()
    wrong[7] = np.roll(wrong[7], 1)
    predictions.save(tmp_path, other.run_id, [Predictions(said.ids, wrong)])
    found = compare(tmp_path, [one], [other])
    influence = found.images["influence"]
    assert influence.idxmax() == said.ids[7]
    assert influence.max() == pytest.approx(found.difference.value, rel=0.05)
    for_first, for_second = deciding(found.images, 3)
    assert for_first.index[0] == said.ids[7]
    assert (for_second["influence"] < 0).all()


def test_files_are_written_and_pictures_show_photographs(tmp_path):
    found = compare(tmp_path, _row(tmp_path, 3.0), _row(tmp_path, 1.0, epochs=9))
    whole = answered_made.dataset(tmp_path)

    class Painted(Dataset):
        def image(self, sample_id):
            return np.full((20, 30, 3), 10 * len(sample_id), np.uint8)

    painted = Painted(whole.name, whole.root, whole.table, whole.classes)
    files = write(found, tmp_path / "told", painted)
    assert [path.name for path in files] == [
        *("metrics.csv", "images.csv", "difference.png", "deciding-images.png")
    ]
    images = pd.read_csv(files[1], index_col="id")
    assert len(images) == len(found.images)
    assert images["influence"].is_monotonic_decreasing
    again = {path.name: path.read_bytes() for path in files}
    for path in write(found, tmp_path / "again", painted):
        assert path.read_bytes() == again[path.name]


def test_a_metric_that_is_not_defined_is_a_dash(tmp_path):
    found = compare(tmp_path, _row(tmp_path, 2.0, seeds=1), _row(tmp_path, 1.0, 1, epochs=9))
    table = metrics_table(found)
    assert table.at["ECE", "p"] == "-"
    assert table.at["macro AUC", "p"] != "-"


def test_what_is_no_pair_of_rows_is_refused(tmp_path):
    first, second = _row(tmp_path, 2.0, seeds=2), _row(tmp_path, 2.0, seeds=2, epochs=9, stray=1)
    with pytest.raises(UserError, match="differ in more than their seed"):
        compare(tmp_path, [first[0], second[1]], second)
    with pytest.raises(UserError, match="1 have the seed of another"):
        compare(tmp_path, [first[0], first[0]], second)
    with pytest.raises(UserError, match="is compared with itself"):
        compare(tmp_path, first, first)


def test_answers_to_other_questions_are_not_compared(tmp_path):
    (one,) = _row(tmp_path, 2.0, seeds=1)
    other = answered_made.run(tmp_path, "imbalance")
    with pytest.raises(UserError, match="not of one task: diagnosis and imbalance"):
        compare(tmp_path, [one], [other])
    elsewhere = answered_made.run(tmp_path, data=answered_made.dataset(tmp_path, 120), epochs=9)
    with pytest.raises(UserError, match="are not of one data"):
        compare(tmp_path, [one], [elsewhere])


def test_other_test_images_are_not_compared(tmp_path):
    plain = answered_made.run(tmp_path, "imbalance")
    asked = {"task_options": {"positive": "mel"}}
    with pytest.raises(UserError, match="are not of one data"):
        compare(tmp_path, [plain], [answered_made.run(tmp_path, "imbalance", **asked)])


def test_the_command_says_who_won_and_where_the_files_are(tmp_path, capsys):
    one, other = _row(tmp_path, 4.0, seeds=3), _row(tmp_path, 0.5, seeds=3, epochs=9)
    sides = [",".join(record.run_id for record in row) for row in (one, other)]
    assert main(["compare", *sides, "--out", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "the first is better" in told
    assert "macro AUC" in told
    folder = (
        tmp_path / "v1" / "comparisons" / f"{one[0].run_id}-and-2-against-{other[0].run_id}-and-2"
    )
    assert (folder / "difference.png").is_file()
    assert str(folder / "metrics.csv") in told
    assert main(["compare", "nothing", sides[1], "--out", str(tmp_path)]) == 1
    assert "no record 'nothing'" in capsys.readouterr().err


def test_a_record_without_predictions_says_what_to_do(tmp_path, capsys):
    one, other = _row(tmp_path, 3.0, seeds=2)
    Store(tmp_path).save(records_made.record("r1", "macro_auc", {}, one.config))
    predictions.location(tmp_path, other.run_id).unlink()
    assert main(["compare", one.run_id, other.run_id, "--out", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert "npz does not exist: restore the file, or make the run again with --overwrite" in told
