"""Sweeps on real Ray clusters, all of whose processes listen on the loopback address alone."""

import importlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest

from benchmark.sweep import events

pytest.importorskip("ray", reason="Ray is not installed: pip install 'dermbench[ray]'")
# One worker does them all: plans of two workers have runs of the same names, and two clusters that
# start at a time may choose the same ports.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]

sys.path.insert(0, str(Path(__file__).parent))
campaign = importlib.import_module("campaign")

COMMAND = (sys.executable, "-m", "benchmark", "sweep")
PLAN = ("plan", "--arch", "MobileNetV2", "--task", "diagnosis", "--budget", "smoke")
NODE = Path(__file__).with_name("ray_node.py")


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    # Only so does Ray listen on 127.0.0.1 and nowhere else.
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))


class Cluster:
    """Nodes that are processes of this one, each of which can be killed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.address = folder, ""
        self.nodes: list[subprocess.Popen[str]] = []

    def add(self, cpus: int, before: str = "", **environment: str) -> "subprocess.Popen[str]":
        """Start a node, the head first. `before` is what a shell does among its mounts."""
        command = [sys.executable, str(NODE), str(self.folder), str(cpus), self.address]
        if before:
            command = ["unshare", "-m", "sh", "-c", f'{before} && exec "$@"', "sh", *command]
        pipe = subprocess.PIPE
        node = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, text=True, env={**os.environ, **environment}
        )
        self.nodes.append(node)
        assert node.stdout is not None
        self.address = json.loads(node.stdout.readline())[0]
        return node

    def of(self, process: psutil.Process) -> "subprocess.Popen[str]":
        """The node on which a process runs."""
        above = {parent.pid for parent in process.parents()}
        (found,) = [node for node in self.nodes if node.pid in above]
        return found


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    # Paths of Unix sockets are short.
    folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))
    made = Cluster(folder)
    try:
        yield made
    finally:
        below = [p for node in made.nodes if node.poll() is None for p in _below(node.pid)]
        for node in reversed(made.nodes):
            assert node.stdin is not None
            node.stdin.close()
        for node in made.nodes:
            node.wait(60)
        left = psutil.wait_procs(below, 30)[1]
        for process in left:
            process.kill()
        shutil.rmtree(folder, ignore_errors=True)
        assert not left


def _below(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


@pytest.fixture
def sweeps() -> "Iterator[list[subprocess.Popen[str]]]":
    """Those that were started, ended if need be; what such a one said is shown if a test fails."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for sweep in started:
        if sweep.poll() is None:
            sweep.kill()
            print(*sweep.communicate())


def _sweep(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=500, check=False, **options
    )


def _start(sweeps, *arguments: str | Path) -> "subprocess.Popen[str]":
    pipe = subprocess.PIPE
    command = [*COMMAND, "run", *map(str, arguments)]
    sweeps.append(subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True))
    return sweeps[-1]


def _differences(one: Path, other: Path) -> list[str]:
    # Not the folders of the runs, which name places of this machine.
    parts = ("records", "predictions", "splits")
    found = [campaign.results(out, parts) for out in (one, other)]
    assert found[0]
    return campaign.differences(*found)


def _plan(folder: Path, *arguments: str | Path) -> Path:
    path = folder / "plan.jsonl"
    done = _sweep(*PLAN, *arguments, "--plan", path, "--out", folder)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="module")
def plan(tmp_path_factory, shared_cache) -> Path:
    """Two runs of so many epochs that none is over soon after its first."""
    data = ("--data-option", "images=54", "--data-option", "size=64")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DERMBENCH_CACHE", str(shared_cache))
        folder = tmp_path_factory.mktemp("plan")
        return _plan(folder, "--seeds", "0-1", "--epochs", "8", *data)


@pytest.fixture(scope="module")
def undisturbed(plan, tmp_path_factory, shared_cache) -> Path:
    """What the local engine leaves of the plan."""
    out = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DERMBENCH_CACHE", str(shared_cache))
        patched.setenv("OMP_NUM_THREADS", "1")
        done = _sweep("run", plan, "--out", out)
    assert done.returncode == 0, done.stderr
    return out


def _wait(condition, *arguments, seconds: float = 300.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition(*arguments)):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


def _checkpoints(out: Path) -> list[Path]:
    return list((out / "v1" / "runs").glob("*/checkpoints/*.safetensors"))


def _runs(plan: Path) -> list[psutil.Process]:
    """The processes that run something of a plan."""
    ids = {json.loads(line)["id"] for line in plan.read_text().splitlines()}
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if command and command[-1] in ids and "benchmark.sweep.child" in command:
            found.append(process)
    return found


def _beyond_its_first_epoch(run: str, out: Path) -> bool:
    return events.read(out / "v1" / "sweeps" / run / "events.jsonl").progress.epoch >= 2


def _held(plan: Path, folders: list[Path]) -> psutil.Process | None:
    """One that runs something beyond its first epoch, suspended there: it may be done otherwise
    before what it keeps is brought home, which takes a second and more."""
    for process in _runs(plan):
        for folder in folders:
            for out in (folder, *folder.glob("ray/run-*")):
                if _beyond_its_first_epoch(process.cmdline()[-1], out):
                    process.suspend()
                    return process
    return None


def _beyond_loopback(processes: list[psutil.Process]) -> list[str]:
    return [
        f"{process.name()} {found.laddr.ip}:{found.laddr.port}"
        for process in processes
        for found in process.net_connections("inet")
        if found.status == psutil.CONN_LISTEN
        and found.laddr.ip.removeprefix("::ffff:") != "127.0.0.1"
    ]


def test_on_this_machine_alone_everything_is_as_with_the_local_engine(
    plan, undisturbed, tmp_path, sweeps, monkeypatch
):
    # As users have it.
    for name in ("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.delenv(name)
    before = set(Path("/tmp").glob("dermbench-ray-*"))
    sweep = _start(sweeps, plan, "--out", tmp_path, "--ray", "local", "--jobs", "2")
    _wait(_checkpoints, tmp_path)
    below = _below(sweep.pid)
    assert {"raylet", "gcs_server"} <= {process.name() for process in below}
    assert _beyond_loopback([*below, psutil.Process(sweep.pid)]) == []
    told, said = sweep.communicate(timeout=300)
    assert sweep.returncode == 0, said
    assert _differences(undisturbed, tmp_path) == []
    assert told == f"{plan}: 2 done of 2 runs\n"
    first_words = {line.split()[0] for line in said.splitlines()}
    assert first_words == {"started", "done", "sweep"}, said
    assert psutil.wait_procs(below, 10)[1] == []
    assert set(Path("/tmp").glob("dermbench-ray-*")) <= before


@pytest.mark.parametrize("apart", [False, True], ids=["shared", "apart"])
def test_a_node_that_is_killed_costs_no_more_than_an_epoch(
    plan, undisturbed, tmp_path, sweeps, cluster, apart
):
    """With nodes that see the results folder, and with nodes that do not."""
    out = tmp_path / "out"
    out.mkdir()
    cluster.add(0)
    caches = [tmp_path / f"cache{number}" for number in range(2)]
    for cache in caches:
        _add(cluster, cache, [out] if apart else [])
    sweep = _start(sweeps, plan, "--out", out, "--ray", cluster.address)
    held = _wait(_held, plan, [out, *caches])
    _wait(_beyond_its_first_epoch, held.cmdline()[-1], out)
    cluster.of(held).kill()
    killed = time.monotonic()
    held.resume()
    told, said = sweep.communicate(timeout=400)
    assert sweep.returncode == 0, said
    assert "2 done of 2 runs" in told
    (retried,) = [line for line in said.splitlines() if line.startswith("retrying")]
    assert "lost with node" in retried
    assert _differences(undisturbed, out) == []
    rows = [json.loads(path.read_text()) for path in (out / "v1" / "sweeps").glob("*/state.json")]
    assert sorted(row["tries"] for row in rows) == [1, 2]
    logs = [path.read_text() for path in (out / "v1" / "sweeps").glob("*/log.txt")]
    assert any("continuing after epoch" in log for log in logs)
    assert _checkpoints(out) == []
    print(f"finished {time.monotonic() - killed:.0f} s after the node was killed")


def _add(cluster: Cluster, cache: Path, hidden: list[Path]) -> "subprocess.Popen[str]":
    """A node of one CPU, with its own empty folders in place of the hidden ones."""
    before = " && ".join(f"mount -t tmpfs -o size=64m tmpfs '{folder}'" for folder in hidden)
    if hidden and subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("folders cannot be hidden from a process here: unshare -m is not permitted")
    return cluster.add(1, before, DERMBENCH_CACHE=str(cache))


def _photographs(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    for label in ("nevus", "melanoma"):
        for number in range(20):
            path = folder / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), rng.integers(0, 255, (64, 64, 3), np.uint8))
    return folder


def test_data_are_shipped_to_a_node_that_lacks_them(tmp_path, sweeps, cluster):
    data, out, cache = _photographs(tmp_path / "photographs"), tmp_path / "out", tmp_path / "cache"
    out.mkdir()
    plan = _plan(tmp_path, "--dataset", f"folder:{data}", "--seeds", "0-1")
    cluster.add(0)
    _add(cluster, cache, [out, data])
    done = _sweep("run", plan, "--out", out, "--ray", cluster.address)
    assert done.returncode == 0, done.stderr
    (copy,) = cache.glob("shipped/*/photographs")
    assert len(list(copy.rglob("*.png"))) == 40
    assert list((cache / "ray").iterdir()) == []
    here = tmp_path / "here"
    assert _sweep("run", plan, "--out", here).returncode == 0
    assert _differences(here, out) == []


def test_a_sweep_that_is_killed_leaves_no_process_and_is_continued(
    plan, undisturbed, tmp_path, sweeps, cluster
):
    out = tmp_path / "out"
    cluster.add(0)
    cluster.add(1)
    sweep = _start(sweeps, plan, "--out", out, "--ray", cluster.address)
    _wait(_checkpoints, out)
    (run,) = _wait(_runs, plan)
    actor = run.parent()
    sweep.kill()
    assert psutil.wait_procs([run, actor], 90)[1] == []
    sweep.communicate()
    again = _sweep("run", plan, "--out", out, "--ray", cluster.address)
    assert again.returncode == 0, again.stderr
    assert _differences(undisturbed, out) == []


def test_a_sweep_on_this_machine_alone_that_is_killed_takes_ray_with_it(plan, tmp_path, sweeps):
    sweep = _start(sweeps, plan, "--out", tmp_path, "--ray", "local")
    _wait(_checkpoints, tmp_path)
    below = _below(sweep.pid)
    assert _runs(plan)[0] in below
    sweep.kill()
    left = psutil.wait_procs(below, 90)[1]
    for process in left:
        process.kill()
    assert left == []


def test_a_sweep_that_is_stopped_keeps_what_is_done(plan, tmp_path, sweeps, cluster):
    cluster.add(0)
    cluster.add(1)
    sweep = _start(sweeps, plan, "--out", tmp_path, "--ray", cluster.address)
    _wait(_checkpoints, tmp_path)
    sweep.terminate()
    told, said = sweep.communicate(timeout=120)
    assert sweep.returncode == 130, said
    assert "run the same command again to continue" in told
    assert _runs(plan) == []
    # That of the first epoch and that of the interrupt.
    assert len(_checkpoints(tmp_path)) == 2


def test_a_node_with_another_dermbench_is_named(plan, tmp_path, cluster):
    other = tmp_path / "other"
    root = Path(__file__).parents[2]
    shutil.copytree(root / "benchmark", other / "benchmark")
    for name in ("architectures", "tasks"):
        (other / name).symlink_to(root / name)
    init = other / "benchmark" / "__init__.py"
    init.write_text(init.read_text().replace('__version__ = "', '__version__ = "9.'))
    cluster.add(0)
    cluster.add(1, PYTHONPATH=str(other))
    # Ray has every node look for modules in the folder in which the sweep was started.
    done = _sweep("run", plan, "--out", tmp_path, "--ray", cluster.address, cwd=tmp_path)
    assert done.returncode == 1
    assert "has DermBench 9." in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_that_no_node_can_do_ends_the_sweep_at_once(plan, tmp_path, cluster):
    lines = [json.loads(line) for line in plan.read_text().splitlines()]
    large = tmp_path / "plan.jsonl"
    large.write_text("".join(json.dumps({**line, "cpus": 2}) + "\n" for line in lines))
    cluster.add(0)
    cluster.add(1)
    done = _sweep("run", large, "--out", tmp_path, "--ray", cluster.address)
    assert done.returncode == 1
    assert "needs 2 cpus and 0 gpus, and no node has as many (they have 1 and 0)" in done.stderr
    assert "Traceback" not in done.stderr
