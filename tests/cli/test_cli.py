"""The command line, as a user meets it. Every command is a process of its own."""

import functools
import json
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

FRAMEWORKS = ("torch", "tensorflow", "keras", "jax")
HEAVY = (*FRAMEWORKS, "numpy", "pandas", "pydantic", "matplotlib", "sklearn")


def _benchmark(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmark", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=300,
        check=False,
    )


def _refusal(*arguments: str, **environment: str) -> str:
    """The one line a refused command ends with."""
    done = _benchmark(*arguments, **environment)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return line


def _loaded_by(code: str, names: tuple[str, ...]) -> list[str]:
    """Which of the modules are loaded after running `code` in a fresh interpreter."""
    probe = (
        f"import sys\n{code}\nprint([m for m in {names!r} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=120
    )
    return json.loads(done.stderr.splitlines()[-1].replace("'", '"'))


def _command(*arguments: str) -> str:
    return (
        f"from benchmark.cli import main\ntry: main({list(arguments)!r})\nexcept SystemExit: pass"
    )


def test_help_loads_nothing_heavy():
    assert _loaded_by(_command("--help"), HEAVY) == []


@pytest.mark.parametrize(
    "arguments",
    [("list",), ("describe", "Xception"), ("describe", "synthetic"), ("describe", "cross-entropy")],
)
def test_looking_loads_no_framework(arguments):
    assert _loaded_by(_command(*arguments), FRAMEWORKS) == []


def test_importing_the_python_interface_loads_no_framework():
    assert _loaded_by("from benchmark.run import run", FRAMEWORKS) == []


@pytest.mark.parametrize(
    "command",
    [(), ("run",), ("sweep",), ("sweep", "plan"), ("list",), ("describe",), ("leaderboard",)],
)
def test_every_help_shows_an_example(command):
    done = _benchmark(*command, "--help")
    assert done.returncode == 0
    assert "python -m benchmark " in done.stdout.split("example", 1)[1]


def test_list_names_all_there_is():
    shown = _benchmark("list").stdout
    for name in ("NASNetMobile", "explainability", "cross-entropy", "dermxdb"):
        assert name in shown


def test_list_counts_the_records_and_not_what_is_being_written(tmp_path):
    records = tmp_path / "v1" / "records"
    records.mkdir(parents=True)
    for name in ("r1.json", "r2.json", ".r2-unfinished.json"):
        (records / name).write_text("")
    assert f"2 in {tmp_path}" in _benchmark("list", "--out", str(tmp_path)).stdout


def test_describe_shows_both_sides_of_an_architecture():
    shown = _benchmark("describe", "xception").stdout
    assert "block14_sepconv2_act" in shown
    assert "22,910,480" in shown


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("--arch", "Xcepton", "--task", "diagnosis"), "Xception"),
        (("--arch", "Xception", "--task", "diagnose"), "diagnosis"),
        (
            ("--arch", "Xception", "--task", "diagnosis", "--method", "crossentropy"),
            "cross-entropy",
        ),
        (("--arch", "Xception", "--task", "diagnosis", "--dataset", "isic2081"), "isic2018"),
    ],
)
def test_unknown_names_get_a_suggestion(arguments, hint):
    line = _refusal("run", *arguments)
    assert "did you mean" in line
    assert hint in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--image-size", "40"), "at least 71"),
        (("--budget", "large"), "smoke, quick, paper"),
        (("--framework", "jax"), "torch, keras"),
        (("--epochs", "0"), "--epochs 0"),
        (("--dataset", "isic2018"), "--data-dir"),
        (("--dataset", "isic2018", "--data-dir", "nowhere"), "nowhere does not exist"),
        (("--pretrain-on", "isic2018"), "NAME:DIR"),
        (("--data-option", "colour=red"), "no option 'colour'"),
    ],
)
def test_what_cannot_be_run_is_said_in_one_line(arguments, said):
    assert said in _refusal("run", "--arch", "Xception", "--task", "diagnosis", *arguments)


def test_an_unwritable_results_folder_is_named(tmp_path: Path):
    file = tmp_path / "results"
    file.write_text("a file where a folder should be")
    run = ["run", "--arch", "MobileNet", "--task", "diagnosis", "--budget", "smoke"]
    options = ["--data-option", "images=72", "--data-option", "size=64", "--out", str(file)]
    line = _refusal(*run, *options)
    assert str(file) in line
    assert "name another folder" in line
    into = _refusal("data", "card", "--into", str(file / "card"), *options[:4])
    assert "name another folder" in into
    assert "--out" not in into


@pytest.mark.parametrize("kind", ["method", "dataset"])
def test_an_unknown_name_says_how_what_others_wrote_is_loaded(kind, tmp_path: Path):
    asked = ["--arch", "Xception", "--task", "diagnosis", f"--{kind}", "my-own"]
    line = _refusal("run", *asked)
    assert f"unknown {kind} 'my-own'" in line
    assert "--plugin FILE.py" in line
    plan = ["--plan", str(tmp_path / "plan.jsonl")]
    assert "--plugin FILE.py" in _refusal("sweep", "plan", *asked, *plan)


def test_the_folder_of_a_data_set_as_a_grid_takes_it_is_told_apart():
    asked = ["--arch", "Xception", "--task", "diagnosis", "--dataset", "isic2018:/a/b"]
    assert "--dataset isic2018 --data-dir /a/b" in _refusal("run", *asked)


@pytest.mark.parametrize(
    ("weights", "told"), [("imagnet", "did you mean imagenet?"), ("xyz", "known: imagenet")]
)
def test_weights_that_are_neither_a_name_nor_a_file_are_refused(weights, told):
    line = _refusal("run", "--arch", "Xception", "--task", "diagnosis", "--weights", weights)
    assert f"unknown weights '{weights}': {told}" in line
    assert "nor is there a file of this name" in line


def test_a_leaderboard_of_nothing_says_how_to_get_a_record(tmp_path: Path):
    assert "python -m benchmark run" in _refusal("leaderboard", "--out", str(tmp_path))


def test_describing_nothing_known_is_refused():
    assert "did you mean" in _refusal("describe", "Explainabilty")


def test_ctrl_c_ends_cleanly_says_how_to_go_on_and_the_next_run_goes_on(tmp_path: Path):
    command = [sys.executable, "-m", "benchmark", "run", "--arch", "MobileNetV2"]
    command += ["--task", "diagnosis", "--budget", "smoke", "--epochs", "20"]
    command += ["--data-option", "images=72", "--data-option", "size=64", "--out", str(tmp_path)]
    # A shell starts background jobs with SIGINT ignored, and children inherit that.
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heed) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("train 2/20"):
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
        assert process.wait(timeout=60) == 130
    assert "run the same command again to continue" in rest
    assert "Traceback" not in rest
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    # Not the first alone, which is kept in any case: the interrupt kept what was trained.
    assert re.search(r"continuing after epoch ([2-9]|1\d)", done.stderr)
    assert "train 20/20" in done.stderr


def test_a_split_by_image_of_lesions_with_several_is_refused_by_name(real_data, tmp_path):
    folder = real_data / "ham10000-multi-image-lesions"
    images = sorted(path.stem for path in (folder / "images").iterdir())
    random.Random(0).shuffle(images)
    parts = ["train"] * 700 + ["validation"] * 200 + ["test"] * 248
    rows = [f"{image},{part}\n" for image, part in zip(images, parts, strict=True)]
    split = tmp_path / "by-image.csv"
    split.write_text("id,part\n" + "".join(rows))
    arguments = ["data", "leaks", "--dataset", "isic2018", "--data-dir", str(folder)]
    done = _benchmark(*arguments, "--split", str(split))
    assert done.returncode == 1
    assert re.search(r"group +train +ISIC_\d+ +validation +ISIC_\d+ +HAM_\d+", done.stdout)
    assert re.search(r"of 248 test images show a lesion or patient that is also in", done.stdout)
    assert "--allow-leaks" in done.stderr
    # Without a file it is the split by lesion that a run would draw.
    done = _benchmark(*arguments)
    assert done.returncode == 0
    assert "the split that a run would draw" in done.stdout
    assert "No image, lesion, patient or copy lies in two parts." in done.stdout


def test_an_option_given_twice_is_refused(tmp_path):
    done = _benchmark(
        *("run", "--arch", "MobileNetV2", "--task", "imbalance", "--method", "focal"),
        *("--method-option", "gamma=2", "--method-option", "gamma=3", "--out", str(tmp_path)),
    )
    assert done.returncode == 1
    assert "option gamma is given twice, 2 and 3" in done.stderr
