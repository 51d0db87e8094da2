"""Sweeps with real runs: done, disturbed, continued, and by two processes on one folder."""

import importlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
campaign = importlib.import_module("campaign")

COMMAND = (sys.executable, "-m", "benchmark", "sweep")
DATA = ("--data-option", "images=54", "--data-option", "size=64")


def _sweep(*arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def _start(plan: Path, out: Path) -> "subprocess.Popen[str]":
    command = [*COMMAND, "run", str(plan), "--out", str(out)]
    pipe = subprocess.PIPE
    # A shell starts background jobs with SIGINT ignored, and children inherit that.
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=_one_thread())


def _one_thread() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def _differences(one: Path, other: Path) -> list[str]:
    return campaign.differences(campaign.results(one), campaign.results(other))


def _states(out: Path) -> dict[str, dict[str, Any]]:
    rows = [json.loads(path.read_text()) for path in (out / "v1" / "sweeps").glob("*/state.json")]
    return {row["name"]: row for row in rows}


def _wait_for_an_epoch(out: Path) -> None:
    deadline = time.monotonic() + 200
    while not list((out / "v1" / "runs").glob("*/checkpoints/*.safetensors")):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(scope="module")
def plan(tmp_path_factory, shared_cache) -> Path:
    """Two runs of two epochs, and one of data that are not there any more."""
    folder = tmp_path_factory.mktemp("plan")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DERMBENCH_CACHE", str(shared_cache))
        _sweep(
            *("plan", "--arch", "MobileNetV2", "--task", "diagnosis", "--seeds", "0-1"),
            *("--budget", "smoke", "--epochs", "2", *DATA, "--plan", folder / "plan.jsonl"),
            *("--out", folder),
        )
    lines = (folder / "plan.jsonl").read_text()
    gone = {"arch": "MobileNetV2", "task": "diagnosis", "dataset": "folder", "data_dir": "gone"}
    (folder / "plan.jsonl").write_text(json.dumps(gone) + "\n" + lines)
    return folder / "plan.jsonl"


@pytest.fixture(scope="module")
def undisturbed(plan, tmp_path_factory, shared_cache) -> Path:
    """The results of the plan, done in one go."""
    out = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DERMBENCH_CACHE", str(shared_cache))
        patched.setenv("OMP_NUM_THREADS", "1")
        done = _sweep("run", plan, "--jobs", "2", "--out", out, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "2 done, 1 failed of 3 runs" in done.stdout
    return out


def test_a_faulty_plan_is_refused_by_file_and_line(plan, tmp_path):
    edited = tmp_path / "edited.jsonl"
    edited.write_text(plan.read_text().replace('"seed": 1', '"seed": 7'))
    done = _sweep("run", edited, "--out", tmp_path, check=False)
    assert done.returncode == 1
    assert f"error: {edited}:3: " in done.stderr
    assert "the line was edited" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_failure_is_told_with_its_reason_and_the_others_are_done(plan, undisturbed):
    rows = _states(undisturbed)
    (failed,) = [row for row in rows.values() if row["state"] == "failed"]
    assert "gone does not exist" in failed["reason"]
    assert len(campaign.made(undisturbed)) == 2
    told = _sweep("status", plan, "--out", undisturbed).stdout
    assert "done            2" in told
    assert "failed          1" in told
    assert "gone does not exist" in told


@pytest.mark.slow
def test_a_sweep_stopped_killed_and_finished_by_two_gives_the_same(plan, undisturbed, tmp_path):
    sweep = _start(plan, tmp_path)
    _wait_for_an_epoch(tmp_path)
    sweep.send_signal(signal.SIGTERM)
    told, _ = sweep.communicate(timeout=120)
    assert sweep.returncode == 130
    assert "run the same command again to continue" in told
    assert {row["state"] for row in _states(tmp_path).values()} <= {"pending", "failed", "done"}

    sweep = _start(plan, tmp_path)
    time.sleep(random.uniform(0, 12))
    sweep.kill()
    sweep.communicate()

    both = [_start(plan, tmp_path) for _ in range(2)]
    said = [line for sweep in both for line in sweep.communicate(timeout=400)[1].splitlines()]
    rows = _states(tmp_path)
    assert sorted(row["state"] for row in rows.values()) == ["done", "done", "failed"], said
    assert _differences(undisturbed, tmp_path) == []
    done = [line.split()[1] for line in said if line.startswith("done")]
    assert len(done) == len(set(done))
