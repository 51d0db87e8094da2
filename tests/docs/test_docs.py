"""Every command of every page: it can be read, and it does what the page says, on small data."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import made_data
from documents import ROOT, blocks, pages

import architectures
from benchmark.cli import main, make_parser
from benchmark.records.folder import RunFolder
from benchmark.registry import DATASETS, EXPLAINERS, METHODS, TASKS
from benchmark.run import run

BLOCKS = blocks()
EXAMPLES = ROOT / "tests" / "plugins" / "dermbench-example" / "dermbench_example"
# What is not run here, by what its text has, and why.
LEFT_OUT = {
    "make ": "it installs an environment, or is what runs this test",
    "pip install": "it installs",
    "ray ": "it needs a cluster: tests/sweep/test_ray.py",
    "srun": "it needs Slurm",
    "-m benchmark speed": "hours; tests/speed has each of its works",
    "/data/xception.h5": "it needs weights of the DermXDB benchmark; tests/frameworks/test_run.py",
    "--parity-table": "it is a test, of minutes",
    "reproduce.sh": "hours: it makes the board that lies in results/v1",
}


def _left_out(block):
    return next((why for text, why in LEFT_OUT.items() if text in block.text), None)


def test_the_pages_are_found():
    names = {page.relative_to(ROOT).as_posix() for page in pages()}
    assert {"README.md", "CONTRIBUTING.md", "architectures/PARITY.md"} <= names
    assert len([block for block in BLOCKS if _left_out(block) is None]) > 20


def test_nothing_is_left_out_that_is_on_no_page():
    assert [text for text in LEFT_OUT if not any(text in block.text for block in BLOCKS)] == []


def test_what_is_typed_stands_in_a_block():
    """Without its indentation a command is a line of prose, and is not run here."""
    for page in pages():
        for number, line in enumerate(page.read_text("utf-8").splitlines(), start=1):
            typed = re.match(r"(python -m benchmark|pip install|pytest|make) \S", line)
            assert typed is None, f"{page}, line {number}: {line}"


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_every_command_can_be_read_and_names_what_there_is(block):
    known = {
        "task": [*TASKS.names(), "my-task"],
        "method": [*METHODS.names(), "my-method", "$method"],
        "dataset": [*DATASETS.names(), "my-list"],
        "explainer": [*EXPLAINERS.names(), "my-explainer"],
    }
    for command in block.commands:
        words = shlex.split(
            command.partition(" > ")[0].replace("$seed", "0").replace("$SLURM_ARRAY_TASK_ID", "1")
        )
        words = words[words.index("benchmark") + 1 :]
        while "--plugin" in words:
            del words[words.index("--plugin") : words.index("--plugin") + 2]
        options = vars(make_parser().parse_args(words))
        if words[0] != "run":
            continue
        assert options["arch"] == "my-net" or architectures.find(options["arch"])
        for kind, names in known.items():
            assert options[kind] is None or options[kind] in names, command


def test_links_to_files_lead_somewhere():
    for page in pages():
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page}: {target}"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The data, and results with one run and a board."""
    home = tmp_path_factory.mktemp("docs")
    made_data.write_all(home / "data")
    words = ["run", "--arch", "MobileNetV2", "--task", "diagnosis", "--budget", "smoke"]
    words += ["--dataset", "isic2018", "--data-dir", str(home / "data" / "isic2018")]
    words += ["--image-size", "72", "--out", str(home / "results")]
    for seed in ("0", "1"):
        assert main([*words, "--seed", seed]) == 0
    assert main(["leaderboard", "--out", str(home / "results")]) == 0
    return home


@pytest.mark.slow
@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_every_block_runs(block, home, tmp_path):
    if why := _left_out(block):
        pytest.skip(why)
    shutil.copytree(home / "results", tmp_path / "results")
    runs = sorted(path.stem for path in (tmp_path / "results" / "v1" / "records").glob("*.json"))
    if "my-method" in block.text and "new method" not in block.text:
        main(["new", "method", "my-method", "--into", str(tmp_path)])
    if "my_net.py" in block.text:
        _copied_examples(tmp_path)
    if "submit predictions.csv" in block.text:
        runs = [_submission(tmp_path, home / "data", "--maps" in block.text)]
    text = _small(block, home / "data", runs)
    script = tmp_path / ("block.py" if block.python else "block.sh")
    script.write_text(text)
    command = [sys.executable] if block.python else ["bash", "-euo", "pipefail"]
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DERMBENCH_DATA": str(home / "data"),
    }
    done = subprocess.run(
        [*command, str(script)], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"


def _copied_examples(folder):
    """As the page says: the examples under names of one's own, each with the line at its end."""
    for example, kind, thing, name, own in (
        ("dataset", "datasets", "LIST", "example-list", "my-list"),
        ("architecture", "architectures", "Three", "example-three", "my-net"),
        ("task", "tasks", "TopTwo", "example-top-2", "my-task"),
        ("explainer", "explainers", "Centre", "example-centre", "my-explainer"),
    ):
        text = (EXAMPLES / f"{example}.py").read_text()
        assert f'"{name}"' in text
        last = f'DERMBENCH = {{"{kind}": {{"{own}": {thing}}}}}'
        file = folder / f"{own.replace('-', '_')}.py"
        file.write_text(f"{text.replace(name, own)}\n\n{last}\n")


def _small(block, data, runs):
    """The block's text on small data, with the least budget, of the runs that there are."""
    text = block.text.replace("\\\n", " ").replace("/data/", f"{data}/")
    text = text.replace("RUN[,RUN,...] RUN[,RUN,...]", " ".join(runs))
    text = re.sub(r"\bRUN\b|\br0123abcd\b", runs[0], text)
    text = text.replace("in 0 1 2;", "in 0;").replace('framework="keras"', 'budget="smoke"')
    text = text.replace(" --budget paper", "")
    text = re.sub(r"benchmark (run|sweep plan)(?!.*--budget)", r"benchmark \1 --budget smoke", text)
    # Of the synthetic images fewer: some explainers ask a network hundreds of times for each.
    maps = r"benchmark run(?=.*--task explainability)(?!.*--(?:dataset|data-option))"
    text = re.sub(maps, "benchmark run --data-option images=54", text)
    text = text.replace("--template > manifest.toml", "--template > /dev/null")
    # Of a plan the first run tells as much as all.
    return text.replace("--plan plan.jsonl", "--plan all.jsonl\nhead -n 1 all.jsonl > plan.jsonl")


def _submission(folder, data, mapped):
    """What a submitter has, predictions of a run and the manifest that the page shows; the run."""
    words = {"framework": "torch", "budget": "smoke", "out": folder / "results"}
    if mapped:
        words |= {"dataset": "dermxdb", "data_dir": data / "dermxdb"}
    else:
        words |= {"dataset": "isic2018", "data_dir": data / "isic2018", "image_size": 72}
    record = run("MobileNetV2", "explainability" if mapped else "diagnosis", **words)
    own = RunFolder.of_record(folder / "results", record).path / "main" / "predictions.csv"
    said = pd.read_csv(own).drop(columns="true")
    said.to_csv(folder / "predictions.csv", index=False)
    maps = np.random.default_rng(0).random((len(said), 8, 8), np.float32)
    np.savez(folder / "maps.npz", ids=said["id"].to_numpy(str), maps=maps)
    page = ROOT / "benchmark" / "submissions" / "SUBMISSIONS.md"
    lines = page.read_text("utf-8").splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("    method = "))
    shown = [line.strip() for line in lines[start : lines.index("", start)]]
    (folder / "manifest.toml").write_text("\n".join(shown) + "\n")
    return record.run_id
