"""Whole runs of few labels with a network of two numbers per image, in this process's framework."""

import json
import random
import sys
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import architectures
import benchmark.data
from benchmark.common import interrupt
from benchmark.data import pixels
from benchmark.data.copies import SMALLEST
from benchmark.explain.predictions import EXPLAINED, first_by_hash
from benchmark.pictures.explained import explained_predictions
from benchmark.records.folder import RunFolder
from benchmark.registry import METHODS
from benchmark.run import run
from benchmark.running.trial import TrialRunner
from benchmark.training import loop
from benchmark.training.frameworks import select_backend

SMALL = {"images": 72, "size": 96}
SIZE = (architectures.find("MobileNetV2").least_size,) * 2
# Those of several diseases have tests of their own: tests/tasks/test_grading_run.py
# and test_grading_stages.py.
TRAINED = [n for n in METHODS.names() if METHODS.get(n).trains and not METHODS.get(n).joint]


def pytest_generate_tests(metafunc):
    if "method" in metafunc.fixturenames:
        keras = metafunc.config.getoption("--framework") == "keras"
        # Tracing takes seconds for each: there only those made for few labels, and all after them.
        first = TRAINED.index("supervised") if keras else 0
        metafunc.parametrize("method", TRAINED[first:])


@pytest.fixture(autouse=True)
def _tiny(framework, monkeypatch):
    select_backend(framework)
    from points import build

    monkeypatch.setattr("architectures.build", build)


@pytest.fixture
def quick(monkeypatch):
    """Without what comes after the predictions, and without pictures."""
    monkeypatch.setattr("benchmark.pictures.history", lambda *_: None)
    monkeypatch.setattr(TrialRunner, "_explain_some", lambda *_: None)
    for name in ("draw", "draw_overall"):
        monkeypatch.setattr(f"tasks.semi_supervised.SemiSupervised.{name}", lambda *_: [])


def _run(out, framework, method, fractions="5", **settings):
    record = run(
        "MobileNetV2",
        "semi-supervised",
        framework=framework,
        method=method,
        budget="smoke",
        epochs=2,
        device="cpu",
        dataset_options=SMALL,
        task_options={"label_fractions": fractions},
        out=out,
        **settings,
    )
    return RunFolder.of_record(out, record).path


def test_labels_that_are_hidden_are_out_of_every_methods_reach(
    framework, tmp_path, monkeypatch, quick, method
):
    true = _run(tmp_path / "true", framework, method)
    whole, hidden = TrialRunner.run, []

    def poisoned(self, dataset, trial, earlier):
        hidden.extend(trial.unlabelled)
        labels = dataset.table["label"].copy()
        labels[hidden] = (labels[hidden] + 1) % len(dataset.classes)
        return whole(
            self, replace(dataset, table=dataset.table.assign(label=labels)), trial, earlier
        )

    monkeypatch.setattr(TrialRunner, "run", poisoned)
    other = _run(tmp_path / "poisoned", framework, method)
    assert len(hidden) > 20
    name = "labels-5/predictions.csv"
    assert (other / name).read_bytes() == (true / name).read_bytes()


def test_a_run_of_several_fractions_opens_its_images_once_and_decodes_each_once(
    framework, tmp_path, monkeypatch, quick
):
    monkeypatch.setenv("DERMBENCH_CACHE", str(tmp_path / "cache"))
    decoded, opened = Counter(), Counter()
    resize, open_pixels = pixels.resize, pixels.open_pixels

    def resized(image, size):
        decoded[size] += 1
        return resize(image, size)

    def once(dataset, size, progress):
        opened[size] += 1
        return open_pixels(dataset, size, progress)

    monkeypatch.setattr(pixels, "resize", resized)
    monkeypatch.setattr(pixels, "open_pixels", once)
    folder = _run(tmp_path, framework, "mean-teacher", "5,50")
    assert (folder / "labels-50" / "predictions.csv").is_file()
    # Small ones, before: the search for copies across the parts.
    assert opened == {SIZE: 1, (SMALLEST, SMALLEST): 1}
    assert decoded == {size: SMALL["images"] for size in opened}


@pytest.mark.slow
def test_isdl_leaves_what_speaks_for_some_of_its_predictions(framework, tmp_path, monkeypatch):
    """What is explained, and that it is all of the logit: see the tests of `predictions`."""
    pytest.importorskip("shap")
    shown = []

    def drawn(exhibits, *arguments):
        shown.append(exhibits)
        explained_predictions(exhibits, *arguments)

    monkeypatch.setattr("benchmark.explain.predictions.explained_predictions", drawn)
    folder = _run(tmp_path, framework, "isdl", "5,50")
    dataset = benchmark.data.load("synthetic", None, **SMALL)
    photographs = pixels.open_pixels(dataset, SIZE)
    for trial, exhibits in zip(("labels-5", "labels-50"), shown, strict=True):
        predicted = pd.read_csv(folder / trial / "predictions.csv", index_col="id")
        told = pd.read_csv(folder / trial / "shap-predictions.csv", index_col="id")
        ids = predicted.index.to_list()
        assert told.index.to_list() == [ids[place] for place in first_by_hash(ids, EXPLAINED)]
        probabilities = predicted.loc[told.index].drop(columns="true")
        assert told["true"].equals(predicted.loc[told.index, "true"])
        assert told["predicted"].to_list() == probabilities.idxmax(axis=1).to_list()
        assert told["probability"].to_numpy() == pytest.approx(probabilities.max(axis=1).to_numpy())
        assert told["attributed"].abs().min() > 1e-4
        assert told["error"].abs().max() < 1e-5
        assert [exhibit.id for exhibit in exhibits] == told.index.to_list()
        for exhibit in exhibits:
            place = dataset.table.index.get_loc(exhibit.id)
            np.testing.assert_array_equal(exhibit.photograph, photographs[place])
        assert (folder / trial / "plots" / "shap-predictions.png").is_file()


CUTS = 4


class Killed(BaseException):
    """Nothing is kept and nothing tidied up, as far as can be in one process."""


def _left(folder):
    """Of a run's folder all that no time is in."""
    record = json.loads((folder / "record.json").read_text())
    stages = [
        (stage["stage"], stage["best_epoch"], stage["selection_score"])
        for trial in record["trials"]
        for stage in trial["stages"]
    ]
    losses = [
        [row.split(",")[2] for row in path.read_text().splitlines()]
        for path in sorted(folder.glob("*/history-*.csv"))
    ]
    said = [path.read_bytes() for path in sorted(folder.glob("*/predictions.csv"))]
    assert losses
    assert said
    return stages, losses, said, record["metrics"]


@pytest.mark.slow
@pytest.mark.parametrize("trained", TRAINED)
def test_a_run_cut_at_random_steps_ends_as_one_that_was_not(
    framework, tmp_path, monkeypatch, quick, trained
):
    monkeypatch.setattr(loop.StageTraining, "_due", True)
    steps: list[int] = []
    monkeypatch.setattr(interrupt, "check", lambda: steps.append(1))
    whole = _left(_run(tmp_path / "whole", framework, trained, "20"))
    assert len(steps) > 3
    seed = zlib.crc32(trained.encode())
    chance, cuts = random.Random(seed), 0
    for how in (interrupt.Asked, Killed) * (CUTS // 2):
        # Later and later, for each try has less to do than the one before.
        left = [chance.randrange(1, max(len(steps) // (cuts + 2), 2))]

        def check(left=left, how=how):
            left[0] -= 1
            if left[0] < 0:
                raise how

        monkeypatch.setattr(interrupt, "check", check)
        try:
            _run(tmp_path / "cut", framework, trained, "20")
        except (KeyboardInterrupt, Killed):
            cuts += 1
    monkeypatch.setattr(interrupt, "check", lambda: None)
    ended = _left(_run(tmp_path / "cut", framework, trained, "20"))
    assert ended == whole, f"{cuts} cuts, seed {seed}"
    assert cuts > 1
