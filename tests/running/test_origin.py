"""A run that goes on from what an earlier one has learned, and knows what that has seen."""

import shutil

import numpy as np
import pytest
from clinic import write_images
from PIL import Image

from benchmark.cli import main
from benchmark.errors import DataError, UserError
from benchmark.leaderboard.columns import COLUMNS
from benchmark.leaderboard.table import build_table
from benchmark.records import predictions
from benchmark.records.folder import RunFolder
from benchmark.records.store import Store
from benchmark.repeat import repeat
from benchmark.run import run

NET = "MobileNetV2"


@pytest.fixture(scope="module")
def home(framework, tmp_path_factory):
    """A results folder with one diagnosis run, and data in folders "clinic" and "other"."""
    home = tmp_path_factory.mktemp("origin")
    for seed, name in enumerate(("clinic", "other")):
        write_images(home / name, seed)
    first = _run(home, framework, "clinic")
    assert [record.run_id for record in Store(home / "results").all().records] == [first.run_id]
    return home


@pytest.fixture
def results(home, tmp_path, monkeypatch):
    """A copy of the results, which a test may change."""
    monkeypatch.setenv("DERMBENCH_DATA", str(home))
    return shutil.copytree(home / "results", tmp_path / "results")


def _run(home, framework, data, out=None, arch=NET, **settings):
    return run(
        arch,
        "diagnosis",
        framework=framework,
        budget="smoke",
        dataset="folder",
        data_dir=home / data,
        out=out or home / "results",
        **settings,
    )


def _first(results):
    return next(r for r in Store(results).all().records if r.weights.run is None)


def test_a_network_scored_as_it_is_says_what_it_said(home, framework, results):
    first = _first(results)
    again = _run(home, framework, "clinic", results, method="checkpoint", weights="run:diagnosis")
    assert again.run_id != first.run_id
    said, before = (predictions.load(results, each)["main"] for each in (again, first))
    assert said.ids == before.ids
    np.testing.assert_array_equal(said.probabilities, before.probabilities)
    assert not again.leaks
    # Nothing is unknown of it; in one epoch it has learned nothing.
    (note,) = again.notes
    assert "got the same answer" in note


def test_the_record_tells_the_whole_way(home, framework, results):
    first = _first(results)
    after = _run(home, framework, "other", results, weights=f"run:{first.run_id[:5]}")
    assert after.config["weights"] == f"run:{first.run_id}"
    assert after.weights.run == first.run_id
    assert after.weights.kind == "none"
    assert after.weights.name == "cross-entropy, 1 epoch, 65 px (diagnosis)"
    assert after.pretraining == (first.data,)
    third = _run(home, framework, "clinic", results, weights=f"run:{after.run_id}", seed=1)
    assert third.pretraining == (first.data, after.data)
    assert third.weights.name.count(", then cross-entropy, 1 epoch") == 1


def test_it_goes_on_at_the_image_size_of_that_run(home, framework, results):
    first = _run(home, framework, "clinic", results, image_size=80)
    weights = f"run:{first.run_id}"
    again = _run(home, framework, "clinic", results, method="checkpoint", weights=weights)
    assert again.config["image_size"] == [80, 80]
    other = _run(home, framework, "other", results, weights=weights, image_size=65)
    assert other.config["image_size"] == [65, 65]


def test_seeds_that_went_the_same_way_are_one_row(home, framework, results):
    _run(home, framework, "clinic", results, seed=1)
    for seed in (0, 1):
        _run(home, framework, "other", results, weights="run:diagnosis", seed=seed)
    table = build_table(Store(results).all().records)
    (row,) = (row for _, row in table.iterrows() if row[COLUMNS.pretrained_on])
    assert row[COLUMNS.n_seeds] == 2
    assert row[COLUMNS.weights] == "none"
    assert row[COLUMNS.weights_source] == "cross-entropy, 1 epoch, 65 px (diagnosis)"


def test_a_network_scored_as_it_is_has_the_seed_of_its_training(home, framework, results):
    second = _run(home, framework, "clinic", results, seed=1)
    asked = {"method": "checkpoint", "out": results}
    again = _run(home, framework, "clinic", weights="run:diagnosis", seed=1, **asked)
    assert again.config["weights"] == f"run:{second.run_id}"
    same = _run(home, framework, "clinic", weights=f"run:{second.run_id}", **asked)
    assert same.run_id == again.run_id
    assert same.config["seed"] == 1
    _run(home, framework, "clinic", weights=f"run:{_first(results).run_id}", **asked)
    table = build_table(Store(results).all().records)
    (row,) = (row for _, row in table.iterrows() if row[COLUMNS.method] == "checkpoint")
    assert row[COLUMNS.seeds] == "0 1"
    with pytest.raises(UserError, match=r"--seed 2: the network of run .* was trained with seed 1"):
        _run(home, framework, "clinic", weights=f"run:{second.run_id}", seed=2, **asked)


def test_several_runs_of_a_task_are_named_and_none_is_said(home, framework, results):
    _run(home, framework, "other", results)
    with pytest.raises(UserError, match=r"has 2 runs of diagnosis by MobileNetV2 .*run:r\w{12}, "):
        _run(home, framework, "clinic", results, weights="run:diagnosis")
    with pytest.raises(UserError, match=r"has no run of diagnosis .* seed 7: run it first"):
        _run(home, framework, "clinic", results, weights="run:diagnosis", seed=7)
    with pytest.raises(UserError, match="no run of diagnosis on synthetic by MobileNetV2"):
        _run(home, framework, "clinic", results, weights="run:diagnosis/synthetic")
    with pytest.raises(UserError, match="no record 'graded'"):
        _run(home, framework, "clinic", results, weights="run:graded")


def test_a_test_image_that_the_network_has_seen_is_refused(home, framework, results, tmp_path):
    data = shutil.copytree(home / "clinic", tmp_path / "renamed")
    for path in [*data.rglob("*.png")]:
        # Other names, so that other images of the same come to be the test part.
        path.rename(path.with_stem(f"{(int(path.stem) * 7 + 3) % 16:02d}x"))
    weights = f"run:{_first(results).run_id}"
    with pytest.raises(DataError, match=r"byte for byte in the pre-training data"):
        _run(tmp_path, framework, "renamed", results, weights=weights)
    told = _run(tmp_path, framework, "renamed", results, weights=weights, allow_leaks=True).leaks
    assert any("byte for byte in the pre-training data" in sentence for sentence in told)


def test_changed_data_of_the_earlier_run_are_refused(home, framework, results, tmp_path):
    data = shutil.copytree(home / "clinic", tmp_path / "changed")
    first = _run(tmp_path, framework, "changed", tmp_path / "out")
    Image.new("RGB", (65, 65), "red").save(data / "dark" / "00.png")
    with pytest.raises(DataError, match=rf"changed has changed since run {first.run_id} learned"):
        _run(home, framework, "other", tmp_path / "out", weights=f"run:{first.run_id}")


def test_weights_that_are_not_here_or_do_not_fit_are_refused(home, framework, results):
    first = _first(results)
    weights = f"run:{first.run_id}"
    with pytest.raises(UserError, match="that run is of MobileNetV2, not of MobileNet"):
        _run(home, framework, "other", results, arch="MobileNet", weights=weights)
    RunFolder.of_record(results, first).weights("main").unlink()
    with pytest.raises(UserError, match="boards are published without weights"):
        _run(home, framework, "other", results, weights=weights)


def test_other_classes_cannot_be_scored_as_they_are(home, framework, results, tmp_path):
    data = shutil.copytree(home / "other", tmp_path / "renamed")
    (data / "dark").rename(data / "naevus")
    with pytest.raises(UserError, match="learned dark, light, and what is scored here has light"):
        _run(tmp_path, framework, "renamed", results, method="checkpoint", weights="run:diagnosis")


def test_it_is_repeated_with_the_run_before_it(home, framework, results, capsys):
    first = _first(results)
    after = _run(home, framework, "other", results, weights="run:diagnosis")
    shutil.rmtree(results / "v1" / "runs")  # as on another machine
    found = repeat(results, after)
    assert found.identical
    assert Store(results / "v1" / "repeats").has(first.run_id)


def test_a_sweep_takes_the_run_of_each(home, framework, results, tmp_path, capsys):
    first = _first(results)
    plan = tmp_path / "plan.jsonl"
    words = ["sweep", "plan", "--arch", f"{NET},VGG16", "--task", "diagnosis"]
    words += ["--framework", framework, "--weights", "run:diagnosis", "--out", str(results)]
    assert main([*words, "--plan", str(plan)]) == 0
    assert f'"weights": "run:{first.run_id}"' in plan.read_text()
    assert len(plan.read_text().splitlines()) == 1
    assert "no run of diagnosis by VGG16" in capsys.readouterr().err
