"""Runs that hang, that take too much memory, and files that are damaged: the rest goes on."""

import importlib
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from benchmark.sweep.display import TerminalSweepDisplay
from benchmark.sweep.ledger import Ledger
from benchmark.sweep.local import LocalExecutor
from benchmark.sweep.plan import Asked, planned
from benchmark.sweep.scheduler import Rules, Scheduler
from benchmark.sweep.states import State

sys.path.insert(0, str(Path(__file__).parent))
campaign = importlib.import_module("campaign")

RUNS = [planned(Asked(**campaign.line("torch", "cross-entropy", seed=seed))) for seed in range(3)]
# Instead of a run: the first stops itself, the second is deaf, the third has its record at once.
STAND_IN = """\
import importlib, json, os, signal, sys, time
order = json.loads(sys.stdin.readline())
seed = order["config"]["seed"]
with open(os.path.join(order["out"], f"process-{{seed}}"), "w") as file:
    file.write(str(os.getpid()))
if seed == 0:
    os.kill(os.getpid(), signal.SIGSTOP)
if seed == 1:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    time.sleep(600)
sys.path.insert(0, {records!r})
record = importlib.import_module("records_made").record("r2", "accuracy", {{}}, order["config"])
from benchmark.records.store import Store
Store(order["out"]).save(record)
open(order["events"], "a").write('{{"ending": "done", "run_id": "r2"}}\\n')
"""
# A run that may take so many MiB more than its framework has when it is loaded.
LITTLE_MEMORY = """\
import re, resource, sys
from pathlib import Path
if sys.argv[1] == {victim!r}:
    import torch, benchmark.run
    used = int(re.search(r"VmData:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) << 10
    resource.setrlimit(resource.RLIMIT_DATA, (used + ({more} << 20),) * 2)
from benchmark.sweep.child import main
sys.exit(main())
"""


def _sweep(out: Path, script: str, runs=RUNS, slots: int = 1, **rules) -> Scheduler:
    executor = LocalExecutor(out, slots, command=[sys.executable, "-c", script])
    return Scheduler(runs, Ledger(out), executor, TerminalSweepDisplay(runs), Rules(**rules))


@pytest.mark.slow
def test_runs_that_hang_are_stopped_in_steps_and_the_others_are_done(tmp_path, capfd):
    records = str(Path(__file__).parent.parent / "records")
    script = STAND_IN.format(records=records)
    sweep = _sweep(tmp_path, script, slots=2, limit=10.0, grace=0.5)
    assert sweep.run() == {State.TIMED_OUT: 2, State.DONE: 1}
    ledger = Ledger(tmp_path)
    for run in RUNS[:2]:
        assert "its time limit: a longer one continues it" in ledger.row(run).reason
        process = int((tmp_path / f"process-{run.config.seed}").read_text())
        assert not psutil.pid_exists(process)
    assert "asked to stop" in capfd.readouterr().err


@pytest.mark.slow
def test_a_run_that_takes_too_much_memory_fails_with_its_traceback_and_the_others_are_done(
    tmp_path,
):
    script = LITTLE_MEMORY.format(victim=RUNS[0].id, more=100)
    assert _sweep(tmp_path, script, RUNS[:2]).run() == {State.FAILED: 1, State.DONE: 1}
    row = Ledger(tmp_path).row(RUNS[0])
    assert row.reason.startswith("out of memory")
    assert "Traceback" in row.traceback
    assert row.tries == 1


@pytest.fixture(scope="module")
def one_run(tmp_path_factory, shared_cache) -> tuple[Path, Path]:
    """A plan of a single run, and its results."""
    folder = tmp_path_factory.mktemp("one")
    plan = campaign.write_plan(folder / "plan.jsonl", [campaign.line("torch", "cross-entropy", 20)])
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DERMBENCH_CACHE", str(shared_cache))
        with campaign.sweeps(plan, folder / "out") as sweep:
            assert sweep.start().wait(300) == 0, sweep.told.read_text()
    return plan, folder / "out"


def _command(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [*campaign.COMMAND, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def _cut(path: Path) -> bytes:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return content


@pytest.mark.slow
def test_a_damaged_record_is_named_and_neither_counted_nor_replaced(one_run):
    plan, out = one_run
    (record,) = (out / "v1" / "records").glob("*.json")
    content = _cut(record)
    half = record.read_bytes()
    try:
        assert "pending         1" in _command("sweep", "status", plan, "--out", out).stdout
        done = _command("sweep", "run", plan, "--out", out)
        assert done.returncode == 1
        assert f"{record} is not valid JSON" in done.stderr
        assert "restore the file, or delete it and repeat the run" in done.stderr
        assert record.read_bytes() == half
        told = _command("list", "records", "--out", out)
        assert str(record) in told.stdout + told.stderr
        told = _command("leaderboard", "--out", out)
        assert str(record) in told.stdout + told.stderr
    finally:
        record.write_bytes(content)
    assert _command("sweep", "run", plan, "--out", out).returncode == 0
    assert record.read_bytes() == content


@pytest.mark.slow
@pytest.mark.parametrize("garbage", [b"", b"\x00\xff" * 99, b'{"state": "done"}', b"null"])
def test_a_damaged_row_costs_no_second_computation(one_run, garbage):
    plan, out = one_run
    before = campaign.made(out)
    (state,) = (out / "v1" / "sweeps").glob("*/state.json")
    state.write_bytes(garbage)
    (events,) = (out / "v1" / "sweeps").glob("*/events.jsonl")
    _cut(events)
    assert "pending         1" in _command("sweep", "status", plan, "--out", out).stdout
    done = _command("sweep", "run", plan, "--out", out)
    assert done.returncode == 0, done.stderr
    assert json.loads(state.read_text())["state"] == "done"
    assert campaign.made(out) == before
    assert campaign.left_over(out) == []


@pytest.mark.slow
def test_a_run_killed_after_its_record_is_tidied_up_by_the_same_command(one_run):
    """As far as a kill between the record and the end may leave it."""
    plan, out = one_run
    before, whole = campaign.made(out), campaign.results(out)
    (folder,) = (path for path in (out / "v1" / "runs").iterdir())
    (folder / "record.json").unlink()
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "main-train.safetensors").write_bytes(b"...")
    (state,) = (out / "v1" / "sweeps").glob("*/state.json")
    state.write_text(state.read_text().replace('"done"', '"running"'))
    assert _command("sweep", "run", plan, "--out", out).returncode == 0
    assert campaign.made(out) == before
    assert campaign.left_over(out) == []
    assert campaign.differences(campaign.results(out), whole) == []


@pytest.mark.slow
def test_of_a_damaged_checkpoint_the_one_before_is_taken_and_the_run_ends_as_it_would(
    one_run, tmp_path
):
    plan, whole = one_run
    with campaign.sweeps(plan, tmp_path / "out") as sweep:
        command = sweep.start()
        deadline = time.monotonic() + 300
        while not (kept := list(sweep.out.rglob("checkpoints/[!.]*"))):
            assert time.monotonic() < deadline, sweep.told.read_text()
            time.sleep(0.01)
        command.send_signal(signal.SIGTERM)
        assert command.wait(120) == 130
        (newest,) = kept
        # That of the interrupt, and that of the first epoch.
        assert len(list(newest.parent.iterdir())) == 2
        _cut(newest)
        sweep.finish()
        (log,) = sweep.out.glob("v1/sweeps/*/log.txt")
        told = log.read_text()
        assert re.search(r"checkpoint \S+ is damaged \(.*\): the one before it is taken", told)
        assert "continuing after epoch 1\n" in told
        assert campaign.left_over(sweep.out) == []
        assert campaign.differences(campaign.results(whole), campaign.results(sweep.out)) == []
