"""A bundle against our records and splits: what is scored, refused and flagged."""

import json
import shutil

import bundles_made
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmark.errors import DataError, UserError
from benchmark.records import predictions
from benchmark.submissions import keep
from benchmark.submissions.faults import BundleError
from benchmark.submissions.manifest import MANIFEST, read_manifest
from benchmark.submissions.verify import verify


def _refused(path, results, told):
    with pytest.raises(BundleError, match=told) as caught:
        verify(path, results)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("task", sorted(bundles_made.OPTIONS))
def test_a_runs_own_predictions_get_the_runs_scores_and_are_flagged(tmp_path, task):
    record = bundles_made.answered_made.run(tmp_path, task, **bundles_made.OPTIONS[task])
    said = bundles_made.tables(tmp_path, record)
    found = verify(bundles_made.bundle(tmp_path, tmp_path, record, said), tmp_path)
    assert set(found.score.metrics) == set(record.metrics)
    for name, metric in record.metrics.items():
        ours = found.score.metrics[name]
        for end in ("value", "low", "high"):
            assert getattr(ours, end) == pytest.approx(getattr(metric, end), abs=1e-6), name
    assert f"are those of run {record.run_id}" in found.flags[0]
    assert found.best["run_ids"] == record.run_id


def test_every_format_is_the_same_submission(made, tmp_path):
    results, _ = made
    said = bundles_made.tables(*made, noise=0.5)
    found = set()
    for ending in (".csv", ".parquet", ".npz"):
        found.add(verify(bundles_made.bundle(tmp_path, *made, said, ending), results).name)
    assert len(found) == 1


def test_the_order_of_the_rows_changes_nothing(made, tmp_path, bundle):
    results, _ = made
    first = verify(bundle, results)
    table = bundles_made.tables(*made, noise=0.5)["main"].sample(frac=1, random_state=3)
    again = verify(bundles_made.bundle(tmp_path, *made, {"main": table}), results)
    assert again.score.metrics == first.score.metrics
    assert again.name == first.name


def test_nothing_is_written_and_nothing_flagged_without_reason(made, bundle):
    results, _ = made
    before = sorted(results.rglob("*"))
    assert verify(bundle, results).flags == ()
    assert sorted(results.rglob("*")) == before


def _changed_cell(table, row, column, value):
    changed = table.astype(object)
    changed.iat[row, column] = value
    return changed.to_csv(index=False).encode()


_CELLS = st.one_of(st.floats(width=32), st.text(max_size=5), st.sampled_from(["", "nan", "1e999"]))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(row=st.integers(0, 47), column=st.integers(0, 3), value=_CELLS)
def test_any_single_corrupted_cell_is_refused_or_changes_nothing(made, sheet, row, column, value):
    from benchmark.submissions import tables
    from benchmark.submissions.check import checked

    trial, table, classes = sheet
    content = _changed_cell(table, row, column, value)
    try:
        said = checked(tables.read("p", "p.csv", content, classes), trial, classes)
    except BundleError as error:
        bundles_made.check_plain(error)
    else:
        true = table.set_index("id").loc[list(trial.test)].to_numpy()
        np.testing.assert_allclose(said.probabilities, true, atol=2.1e-3)


@pytest.fixture(scope="module")
def sheet(made):
    found = bundles_made.question_of(*made)
    return found.trials[0], bundles_made.tables(*made)["main"], bundles_made.CLASSES


def _without_first(table):
    return table.iloc[1:]


def _twice(table):
    return pd.concat([table, table.iloc[:1]])


def _with(column, value, row=2):
    def change(table):
        changed = table.copy()
        changed.iloc[row, column] = value
        return changed

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_without_first, "no row for test image 'i0.*: give a row for each of the 48 test images"),
        (lambda t: t.iloc[:10], "and 37 more"),
        (_twice, r"line 50: image 'i\d+' is also in line 2: give one row"),
        (_with(0, "stranger"), "line 4: 'stranger' is no image of this split"),
        (_with(0, ""), "line 4: '' is no image"),
        (_with(1, np.nan), "line 4: class 'bcc' has ''"),
        (_with(1, "nan"), "line 4: image .* class 'bcc': nan is no finite number"),
        (_with(1, "-inf"), "-inf is no finite number"),
        (_with(2, "1e999"), "class 'mel': inf is no finite number"),
        (_with(1, -0.5), "-0.5 is outside 0 to 1: give probabilities, such as the softmax"),
        (_with(3, 1.5), "class 'nv': 1.5 is outside 0 to 1"),
        (_with(slice(1, 4), 0.5), r"sum to 1.5, not 1: divide them by their sum \(within 0.001"),
        (_with(slice(1, 4), 0.0), "sum to 0, not 1"),
        (lambda t: t[["id", "nv", "mel", "bcc"]], "line 1: the classes are in another order"),
        (lambda t: t.rename(columns={"nv": "NV"}), "line 1: 'NV' is none of the classes"),
    ],
)
def test_faulty_predictions_are_refused(made, bundle, change, told):
    table = bundles_made.tables(*made)["main"].astype(object)
    content = change(table).to_csv(index=False).encode()
    _refused(bundles_made.changed(bundle, predictions=content), made[0], told)


def test_a_training_image_is_told_as_one(made, bundle, sheet):
    trial, table, _ = sheet
    changed = table.assign(id=[trial.train[0], *table["id"][1:]])
    content = changed.to_csv(index=False).encode()
    _refused(bundles_made.changed(bundle, predictions=content), made[0], "in the part 'train', not")


@pytest.mark.parametrize("offset", [0.0009, -0.0009])
def test_sums_within_the_tolerance_are_accepted(made, bundle, offset):
    table = bundles_made.tables(*made, noise=0.5)["main"]
    table[["bcc", "mel", "nv"]] *= 1 + offset
    content = table.to_csv(index=False).encode()
    assert verify(bundles_made.changed(bundle, predictions=content), made[0])


def _set(*path):
    *where, last, value = path

    def change(manifest):
        part = manifest
        for key in where:
            part = part[key]
        part[last] = value

    return change


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (("task", "diagnoses"), "unknown task 'diagnoses': did you mean diagnosis"),
        (("task", "explainability"), "task explainability has version '1', here it has '2'"),
        (("version", "0"), "task diagnosis has version '0', here it has '1'"),
        (("dataset", "isic2018"), "data set 'isic2018' fits no record here .they have 'hand'"),
        (("data", "0" * 64), "data fingerprint '000.* fits no record here .they have '"),
        (("options", {"colour": 1}), "options .*colour.* fits no record"),
        (("seed", 3), "seed '3' fits no record here .they have 'None'"),
        (("trials", 0, "name", "other"), "trials .*other.* fits no record"),
        (("trials", 0, "split", "0" * 64), "trial 'main': split '000"),
        (("trials", 0, "classes", ["mel", "bcc", "nv"]), "the classes are in another order"),
        (("trials", 0, "classes", ["bcc", "mel", "wart"]), "'wart' is none of the classes"),
        (("trials", 0, "classes", ["bcc", "mel"]), "class 'nv' is missing"),
        (("trials", 0, "file", "predictions-2.csv"), "predictions-1.csv is there and not named"),
    ],
)
def test_a_question_that_is_not_ours_is_refused(made, bundle, path, told):
    path = bundles_made.changed(bundle, manifest=_set("question", *path))
    _refused(path, made[0], told)


def test_the_truth_is_never_the_bundles(made, bundle, tmp_path):
    """Without our split there is no score, whatever the bundle says."""
    results = tmp_path / "results"
    shutil.copytree(made[0], results)
    shutil.rmtree(results / "v1" / "splits")
    with pytest.raises(UserError, match="does not exist: restore it") as caught:
        verify(bundle, results)
    assert not isinstance(caught.value, BundleError)


def test_without_records_there_is_nothing_to_verify_against(bundle, tmp_path):
    _refused(bundle, tmp_path / "empty", "there is none of this task")


def _perfect(made):
    sheet = bundles_made.question_of(*made)
    ids = list(sheet.trials[0].test)
    labels = sheet.dataset.table.loc[ids, "label"].to_numpy()
    table = pd.DataFrame(np.eye(3)[labels], columns=list(bundles_made.CLASSES))
    table.insert(0, "id", ids)
    return table


def test_perfect_scores_and_a_jump_are_flagged_and_accepted(made, bundle):
    content = _perfect(made).to_csv(index=False).encode()
    found = verify(bundles_made.changed(bundle, predictions=content), made[0])
    assert "Perfect scores in trial main: accuracy, macro F1, macro AUC." in found.flags
    assert any("is beyond the interval of the best row" in flag for flag in found.flags)


def test_a_rounded_copy_of_another_row_is_flagged(made, bundle):
    table = bundles_made.tables(*made)["main"].round(4)
    content = table.to_csv(index=False).encode()
    found = verify(bundles_made.changed(bundle, predictions=content), made[0])
    assert [flag for flag in found.flags if f"those of run {made[1].run_id}" in flag]


def test_an_accepted_submission_is_kept_once_and_known_later(made, bundle, tmp_path):
    results = tmp_path / "results"
    shutil.copytree(made[0], results)
    found = verify(bundle, results)
    folder = keep.keep(results, found.manifest, list(found.said.values()), ("odd",))
    assert folder == results / "v1" / "submissions" / found.name
    assert sorted(path.name for path in folder.iterdir()) == [
        *(keep.ACCEPTANCE, MANIFEST, "predictions.npz")
    ]
    kept = keep.load(results, found.name)
    np.testing.assert_array_equal(kept.said["main"].probabilities, found.said["main"].probabilities)
    assert kept.manifest.about == found.manifest.about
    assert kept.acceptance.flags == ("odd",)
    before = (folder / MANIFEST).stat().st_mtime_ns
    assert keep.keep(results, found.manifest, list(found.said.values())) == folder
    assert (folder / MANIFEST).stat().st_mtime_ns == before
    assert verify(bundle, results).flags == ()
    other = bundles_made.changed(bundle, manifest=_set("about", "method", "Zoo again"))
    (flag,) = verify(other, results).flags
    assert f"are those of submission {found.name}" in flag


def test_another_submission_in_its_place_is_not_overwritten(made, bundle, tmp_path):
    results = tmp_path / "results"
    shutil.copytree(made[0], results)
    found = verify(bundle, results)
    folder = keep.keep(results, found.manifest, list(found.said.values()))
    (said,) = found.said.values()
    predictions.write(
        folder / "predictions.npz", [predictions.Predictions(said.ids, said.probabilities[::-1])]
    )
    with pytest.raises(DataError, match="holds another submission: move it away"):
        keep.keep(results, found.manifest, list(found.said.values()))
    (folder / MANIFEST).unlink()
    with pytest.raises(DataError, match="delete the folder and accept the bundle again"):
        keep.load(results, found.name)
    assert "Not compared with" in " ".join(
        verify(bundles_made.changed(bundle, manifest=_set("about", "method", "B")), results).remarks
    )


def test_what_is_kept_is_written_by_us(made, bundle, tmp_path):
    """Neither the spelling of the manifest nor a byte of the predictions' file goes on."""
    results = tmp_path / "results"
    shutil.copytree(made[0], results)
    held = bundles_made.contents(bundle)
    padded = held | {MANIFEST: b" " * 100 + held[MANIFEST]}
    found = verify(bundles_made.zipped(bundle, padded), results)
    folder = keep.keep(results, found.manifest, list(found.said.values()))
    assert not (folder / MANIFEST).read_bytes().startswith(b" ")
    assert json.loads((folder / MANIFEST).read_text())["bundle_version"] == 1
    assert read_manifest("m", (folder / MANIFEST).read_bytes())
