"""A package of somebody else's: built, installed beside us, run in both frameworks."""

import json
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PACKAGE = Path(__file__).with_name("dermbench-example")


def _do(*words):
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The interpreter of a fresh environment that has our packages, and the example installed."""
    home = tmp_path_factory.mktemp("example")
    wheels, environment = home / "wheels", home / "environment"
    source = home / "source"
    subprocess.run(["cp", "-r", str(PACKAGE), str(source)], check=True)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    _do(*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(wheels), str(source))
    venv.create(environment, with_pip=False)
    own = environment / "bin" / "python"
    (libraries,) = environment.glob("lib/python*/site-packages")
    # Torch and TensorFlow are 8 GB: those of this environment are seen, not copied.
    seen = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *_of_this_checkout()}
    (libraries / "seen.pth").write_text("".join(f"{folder}\n" for folder in sorted(seen)))
    (wheel,) = wheels.glob("*.whl")
    _do(*pip, "--python", str(own), "install", "--no-deps", "--no-index", str(wheel))
    return own


def _of_this_checkout():
    return {str(Path(__file__).resolve().parents[2])}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Three classes of 24 patients with two images each: enough of each in any resample."""
    folder = tmp_path_factory.mktemp("images")
    generator = np.random.default_rng(0)
    lines = []
    for label, low in {"dark": 0, "grey": 60, "light": 120}.items():
        for number in range(48):
            name = f"{label}-{number}.png"
            pixels = generator.integers(low, low + 130, (65, 65, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name)
            lines.append(f"{label} {label}-{number // 2} {name}\n")
    (folder / "list.txt").write_text("".join(lines))
    return folder


def test_what_it_adds_is_listed_and_described(python):
    for kind, name in (
        ("methods", "example-smoothing"),
        ("architectures", "example-three"),
        ("datasets", "example-list"),
        ("tasks", "example-top-2"),
        ("explainers", "example-centre"),
    ):
        assert name in _do(python, "-m", "benchmark", "list", kind)
    assert "default 0.1: the paper's" in _do(
        python, "-m", "benchmark", "describe", "example-smoothing"
    )


def test_a_run_of_its_method_network_data_and_task_is_a_row_of_the_board(
    python, images, framework, tmp_path
):
    words = ["--arch", "example-three", "--framework", framework, "--budget", "smoke"]
    words += ["--task", "example-top-2", "--method", "example-smoothing"]
    words += ["--dataset", "example-list", "--data-dir", str(images), "--out", str(tmp_path)]
    words += ["--method-option", "smoothing=0.2"]
    told = _do(python, "-m", "benchmark", "run", *words)
    assert "top 2 accuracy" in told
    (record,) = map(_read, (tmp_path / "v1" / "records").glob("*.json"))
    assert record["origins"]["dermbench-example"] == "0.1.0"
    assert record["config"]["method_options"] == {"smoothing": 0.2}
    assert record["metrics"]["top_2_accuracy"]["value"] >= record["metrics"]["accuracy"]["value"]
    assert record["metrics"]["top_2_accuracy"]["groups"] < record["metrics"]["accuracy"]["n"]
    # Of two rows the board says which is better, and how sure that is.
    _do(python, "-m", "benchmark", "run", *words[:-2], "--out", str(tmp_path))
    _do(python, "-m", "benchmark", "leaderboard", "--out", str(tmp_path))
    page = (tmp_path / "v1" / "leaderboard.md").read_text()
    assert "A difference in top 2 accuracy below about" in page
    assert "example-top-2 (version 1) on example-list" in page
    assert "Outside the eleven: example-three." in page


def _read(path):
    return json.loads(path.read_text())


@pytest.mark.slow
def test_its_explainer_is_scored_against_masks(python, framework, real_data, tmp_path):
    words = ["--arch", "example-three", "--framework", framework, "--budget", "smoke"]
    words += ["--task", "explainability", "--explainer", "example-centre"]
    words += ["--dataset", "isic2018", "--data-dir", str(real_data / "ham10000-lesion-masks")]
    _do(python, "-m", "benchmark", "run", *words, "--out", str(tmp_path))
    (record,) = map(_read, (tmp_path / "v1" / "records").glob("*.json"))
    assert record["config"]["explainer"] == "example-centre"
    # It does not look, and lesions are in the middle: so it is near the floor that does the same.
    floor = record["baselines"]["centred Gaussian"]["metrics"]["explainability_f1"]["value"]
    assert record["metrics"]["explainability_f1"]["value"] == pytest.approx(floor, abs=0.1)
    assert record["origins"]["dermbench-example"] == "0.1.0"
