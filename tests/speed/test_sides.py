"""The sides that need no framework give what they promise; the others' are in tests/frameworks."""

from dataclasses import replace

import numpy as np
import pytest

from benchmark.cli import main
from benchmark.speed.growth import Point
from benchmark.speed.sides import bootstrap, made, pipeline, raters, startup
from benchmark.speed.works import GROUPS, chosen


def _settings(name, **changed):
    (work,) = [work for work in chosen(GROUPS) if work.name == name]
    return {**work.settings, **changed}


def _result(prepared):
    return prepared.result(prepared.work())


def test_made_images_are_of_all_classes_and_look_different(tmp_path):
    images = made.pixels(3, 40, 50)
    assert images.shape == (3, 40, 50, 3)
    assert images.dtype == np.uint8
    assert len({image.tobytes() for image in images}) == 3
    paths = made.files(tmp_path, made.CLASSES, 40, 50)
    assert [path.parent.name for path in paths] == [f"class-{i}" for i in range(made.CLASSES)]


@pytest.mark.parametrize("metric", ["macro_f1", "macro_auc"])
def test_both_bootstraps_are_of_one_score(metric, tmp_path, monkeypatch):
    monkeypatch.setattr(bootstrap, "_PEER_RESAMPLES", 3)
    settings = _settings(f"bootstrap-{metric}", rows=2, resamples=20, images=60)
    ours = bootstrap.ours(settings, tmp_path)
    other = bootstrap.scipy_over_sklearn(settings, tmp_path)
    assert len(ours.work()) == 2
    np.testing.assert_allclose(_result(ours), _result(other), atol=1e-12)
    assert other.times == pytest.approx(2 * 20 / 3)


def test_an_epoch_of_the_pipeline_has_every_image(tmp_path, monkeypatch):
    monkeypatch.setenv("DERMBENCH_CACHE", str(tmp_path / "before"))
    settings = _settings("pipeline", images=32, size=32)
    (tmp_path / "first").mkdir()
    first = pipeline.first(settings, tmp_path / "first")
    assert [first.work(), first.work()] == [32, 32]
    assert list((tmp_path / "first" / "cache" / "pixels").iterdir())
    assert _result(pipeline.later(settings, tmp_path / "later")) == [32]


def test_the_loop_over_pairs_finds_our_agreement(monkeypatch, real_data):
    monkeypatch.setattr(raters, "_EVERY", 150)
    settings = _settings("raters")
    ours, loop = _result(raters.ours(settings, None)), _result(raters.pil_loop(settings, None))
    assert len(ours) > 1
    np.testing.assert_allclose(ours, loop, atol=1e-12)


@pytest.mark.parametrize("command", ["--help", "list"])
def test_commands_that_compute_nothing_import_no_framework(command, tmp_path):
    assert _result(startup.ours({"command": command}, tmp_path)) == [0]
    assert _result(startup.python({"command": command}, tmp_path)) == [0]


def test_from_the_command_line(tmp_path, capsys, monkeypatch):
    work = chosen(["startup"])[0]
    monkeypatch.setattr("benchmark.speed.works.GROUPS", {"startup": (replace(work),)})
    status = main(["speed", "--what", "startup", "--rounds", "1", "--out", str(tmp_path)])
    assert status == 0
    shown = capsys.readouterr().out
    assert "python -c pass" in shown
    assert str(tmp_path / "v1" / "speed" / "speed.md") in shown


def test_one_curve_is_measured_by_its_name(tmp_path, capsys, monkeypatch):
    def measured(curve, scratch, progress):
        return [Point(curve.name, size, size / 1000, 1.0, 10**8, {}) for size in curve.sizes]

    monkeypatch.setattr("benchmark.speed.growth.measure", measured)
    assert main(["speed", "--what", "board-records", "--out", str(tmp_path)]) == 0
    assert "building the leaderboard, by records" in capsys.readouterr().out
    written = tmp_path / "v1" / "speed" / "growth"
    assert [path.name for path in written.iterdir()] == ["board-records.json"]


def test_what_is_not_known_is_named_before_anything_is_measured(tmp_path, capsys):
    assert main(["speed", "--what", "startup", "grwoth", "--out", str(tmp_path)]) == 1
    assert "did you mean growth" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_rounds_are_at_least_one(capsys):
    assert main(["speed", "--rounds", "0"]) == 1
    assert "at least one round" in capsys.readouterr().err
