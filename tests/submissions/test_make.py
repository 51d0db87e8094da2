"""Making a bundle: faults are told before anything is sent anywhere."""

import json

import bundles_made
import pytest

from benchmark.errors import UserError
from benchmark.submissions.make import make
from benchmark.submissions.manifest import MANIFEST
from benchmark.submissions.verify import verify


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    results = tmp_path_factory.mktemp("graded")
    return results, bundles_made.answered_made.run(results, "grading", method="single-task")


def test_the_question_stands_in_the_manifest(graded, tmp_path):
    results, record = graded
    path = bundles_made.bundle(tmp_path, *graded, bundles_made.tables(*graded), ".npz")
    held = bundles_made.contents(path)
    asked = json.loads(held[MANIFEST])["question"]
    assert sorted(held) == [MANIFEST, "predictions-1.npz", "predictions-2.npz"]
    assert (asked["task"], asked["version"], asked["data"]) == (
        *("grading", record.task_version),
        record.data.fingerprint,
    )
    trials = {trial["name"]: trial for trial in asked["trials"]}
    assert trials["DR"]["classes"] == ["0", "1", "2"]
    assert trials["DME"]["classes"] == ["0", "1"]
    assert {t.name: t.split_fingerprint for t in record.trials} == {
        name: trial["split"] for name, trial in trials.items()
    }
    assert verify(path, results)


def _files(graded, folder):
    said = bundles_made.tables(*graded)
    return {name: str(bundles_made.write(t, folder / f"{name}.csv")) for name, t in said.items()}


def _refused(graded, folder, files, told, about=bundles_made.ABOUT, like=None):
    (folder / "m.toml").write_text(about)
    target = folder / "b.zip"
    with pytest.raises(UserError, match=told):
        make(files, folder / "m.toml", like or graded[1].run_id, target, graded[0])
    assert not target.exists()


def test_each_trial_has_one_file(graded, tmp_path):
    files = _files(graded, tmp_path)
    first = f"DR={files['DR']}"
    _refused(graded, tmp_path, [files["DR"]], "give TRIAL=FILE, the trials are DR, DME")
    _refused(graded, tmp_path, [first], "no predictions of trial DME: give DR=FILE DME=FILE")
    _refused(graded, tmp_path, [first, first], "trial DR has a file already")
    _refused(graded, tmp_path, [first, "wart=a.csv"], "give TRIAL=FILE")


def test_faults_are_told_with_the_authors_own_file(graded, tmp_path):
    files = _files(graded, tmp_path)
    swapped = [f"DR={files['DME']}", f"DME={files['DR']}"]
    _refused(graded, tmp_path, swapped, r"DME\.csv, line 1: class '2' is missing")
    missing = [f"DR={files['DR']}", "DME=/no/where.csv"]
    _refused(graded, tmp_path, missing, r"/no/where\.csv cannot be read: No such file")
    odd = [f"DR={files['DR']}", f"DME={tmp_path / 'm.toml'}"]
    _refused(graded, tmp_path, odd, "unknown format")


def test_the_manifest_and_the_run_must_be_there(graded, tmp_path):
    files = [f"{name}={path}" for name, path in _files(graded, tmp_path).items()]
    _refused(graded, tmp_path, files, r"m\.toml: field 'method' is missing", about="")
    _refused(graded, tmp_path, files, "no record 'none'", like="none")
    with pytest.raises(UserError, match=r"none\.toml cannot be read.*submit --template"):
        make(files, tmp_path / "none.toml", graded[1].run_id, tmp_path / "b.zip", graded[0])
