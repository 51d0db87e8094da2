"""Runs as processes: how they are told, watched, stopped, and what is known of one that dies."""

import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.sweep import local
from benchmark.sweep.events import STATUS, End
from benchmark.sweep.executor import Step
from benchmark.sweep.ledger import Files
from benchmark.sweep.local import LocalExecutor
from benchmark.sweep.plan import Asked, Needs, planned
from benchmark.sweep.retries import Ending

RUN = planned(Asked(arch="MobileNetV2", task="diagnosis", budget="smoke"))
READ = "import json, os, signal, sys, time\norder = json.loads(sys.stdin.readline())\n"
TELL = "open(order['events'], 'a').write(json.dumps({}) + '\\n')\n"


def _started(folder: Path, script: str, slots: int = 1, **options) -> local.LocalJob:
    folder.mkdir(exist_ok=True)
    executor = LocalExecutor(folder, slots, command=[sys.executable, "-c", script], **options)
    return executor.start(RUN, Files(folder), overwrite=False)


def _end(job: local.LocalJob) -> End:
    deadline = time.monotonic() + 60
    while (end := job.ended()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return end


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_process_is_told_what_to_run_and_tells_how_it_ended(tmp_path):
    told = {"ending": "done", "run_id": "r0"}
    job = _started(tmp_path, READ + TELL.format(told))
    assert _end(job) == End(ending=Ending.DONE, run_id="r0")


def test_of_a_process_that_says_nothing_the_last_lines_are_kept(tmp_path):
    end = _end(_started(tmp_path, "import sys; print('so far'); sys.exit(3)"))
    assert end.ending is Ending.BROKEN
    assert "status 3" in end.reason
    assert end.traceback.endswith("so far")


@pytest.mark.parametrize("status", [0, STATUS[Ending.DISTURBED]])
def test_how_it_ended_is_known_where_nothing_could_be_written(tmp_path, status):
    end = _end(_started(tmp_path, f"import sys; sys.exit({status})"))
    assert end.ending is Ending.DISTURBED
    assert "the disk is full" in end.reason


def test_a_process_that_is_killed_from_outside_is_disturbed(tmp_path):
    end = _end(_started(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"))
    assert end.ending is Ending.DISTURBED
    assert "SIGKILL" in end.reason
    assert "memory" in end.reason


@pytest.mark.parametrize("deaf", [0, 1, 2])
def test_a_process_is_stopped_by_the_first_signal_it_hears(tmp_path, deaf):
    signals = ["signal.SIGINT", "signal.SIGTERM"][:deaf]
    ignore = "".join(f"signal.signal({name}, signal.SIG_IGN)\n" for name in signals)
    # Where the tests run in the background Ctrl-C is ignored from the start.
    hear = "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    script = READ + hear + ignore + "open('heard', 'w').close()\ntime.sleep(600)\n"
    script = script.replace("'heard'", repr(str(tmp_path / "heard")))
    job = _started(tmp_path, script)
    _wait_for(tmp_path / "heard")
    for step in list(Step)[: deaf + 1]:
        assert job.ended() is None
        job.stop(step)
        time.sleep(0.2)
    assert _end(job).ending is not Ending.DONE
    job.stop(Step.KILL)


def test_killing_a_process_ends_what_it_started(tmp_path):
    child = tmp_path / "child"
    script = READ + (
        "import subprocess\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(child)!r}, 'w').write(str(p.pid))\ntime.sleep(600)\n"
    )
    job = _started(tmp_path, script)
    _wait_for(child)
    time.sleep(0.2)
    job.stop(Step.KILL)
    _end(job)
    pid = int(child.read_text())
    deadline = time.monotonic() + 30
    while _alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] not in "ZX"
    except OSError:
        return False


def _two_that_tell(names, folder, monkeypatch) -> LocalExecutor:
    """Two at once on four cores and two GPUs, whose processes print these of their environment."""
    for name in names[1:]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("benchmark.common.threads.cores", lambda: 4)
    script = READ + f"print([os.environ.get(name) for name in {names}])"
    command = [sys.executable, "-c", script]
    return LocalExecutor(folder, 2, gpus=["GPU-a", "GPU-b"], command=command)


def test_jobs_share_cores_and_have_a_gpu_each(tmp_path, monkeypatch):
    names = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
    executor = _two_that_tell(names, tmp_path, monkeypatch)
    folders = [Files(tmp_path / name) for name in ("one", "two", "three")]
    for files in folders:
        files.folder.mkdir()
    first, second = (executor.start(RUN, files, False) for files in folders[:2])
    _end(first), _end(second)
    _end(executor.start(RUN, folders[2], False))
    told = [files.log.read_text().splitlines()[-1] for files in folders]
    assert told == [str([gpu, "2", "2"]) for gpu in ("GPU-a", "GPU-b", "GPU-a")]


@pytest.mark.parametrize(
    ("needs", "told"),
    [
        (Needs(cpus=3), ["GPU-a", "3", None]),
        (Needs(gpus=0), ["", "2", None]),
        (Needs(gpus=0.5), ["GPU-a", "2", "true"]),
    ],
)
def test_what_the_plan_says_a_run_needs_comes_before_its_share(tmp_path, monkeypatch, needs, told):
    names = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "TF_FORCE_GPU_ALLOW_GROWTH")
    executor = _two_that_tell(names, tmp_path, monkeypatch)
    _end(executor.start(replace(RUN, needs=needs), Files(tmp_path), False))
    assert (tmp_path / "log.txt").read_text().splitlines()[-1] == str(told)


def test_gpus_are_those_the_user_leaves_visible(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    assert local.gpus() == ["2", "5"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert local.gpus() == []


def test_a_run_ends_when_its_sweep_is_gone(tmp_path):
    """The real process, of which the sweep's end of the pipe is closed before it can begin."""
    job = _started(tmp_path, "from benchmark.sweep.child import main; main()")
    job._process.stdin.close()
    assert _end(job).ending is Ending.INTERRUPTED
