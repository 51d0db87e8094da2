"""A disk that is full at random moments: reasons are told, nothing is damaged, all ends well."""

import importlib
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark.sweep.display import TerminalSweepDisplay
from benchmark.sweep.ledger import Ledger
from benchmark.sweep.local import LocalExecutor
from benchmark.sweep.retries import Retries
from benchmark.sweep.scheduler import Rules, Scheduler
from benchmark.sweep.states import State

sys.path.insert(0, str(Path(__file__).parent))
campaign = importlib.import_module("campaign")

SEED = int(os.environ.get("DERMBENCH_TEST_SEED", "0"))
MEBIBYTE = 1 << 20
SIZE = 160 * MEBIBYTE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A small disk."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(mounted)]
    made = subprocess.run(mount, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no small disk can be mounted here: {made.stderr.strip()}")
    try:
        yield mounted
    finally:
        subprocess.run(["umount", "--lazy", str(mounted)], check=True)


class Filler(threading.Thread):
    """A file that leaves little or no space, another amount at random moments."""

    def __init__(self, disk: Path, seed: int) -> None:
        super().__init__(daemon=True)
        self._file, self._random = disk / "filler", random.Random(seed)
        self._over = threading.Event()
        self.fills = 0

    def run(self) -> None:
        while not self._over.is_set():
            left = self._random.choice((0, 3000, 70_000, MEBIBYTE, 12 * MEBIBYTE, 40 * MEBIBYTE))
            self._leave(left)
            self.fills += 1
            self._over.wait(self._random.uniform(0.1, 6.0))
            self._leave(None)
            self._over.wait(self._random.uniform(0.1, 3.0))

    def _leave(self, left: int | None) -> None:
        with self._file.open("ab") as file:
            if left is None:
                file.truncate(0)
                return
            found = os.statvfs(self._file.parent)
            more = found.f_bavail * found.f_frsize - left
            if more > 0:
                # What is written meanwhile may have been quicker.
                with campaign.suppress(OSError):
                    os.posix_fallocate(file.fileno(), file.tell(), more)

    def end(self) -> None:
        self._over.set()
        self.join(60)
        self._file.unlink(missing_ok=True)


def test_a_disk_that_is_full_at_random_moments_damages_nothing(tmp_path, disk, capfd):
    lines = [campaign.line("torch", method) for method in ("cross-entropy", "crest")]
    plan = campaign.write_plan(tmp_path / "plan.jsonl", lines)
    with campaign.sweeps(plan, tmp_path / "whole") as sweep:
        assert sweep.start().wait(600) == 0, sweep.told.read_text()
    out, runs = disk / "out", sweep.runs
    rules = Rules(retries=Retries(most=3, first=0.5, factor=2))
    seen: dict[str, tuple[int, int]] = {}
    reasons: list[str] = []
    filler = Filler(disk, SEED)
    filler.start()
    passes, started = 0, time.monotonic()
    try:
        while passes < 6 and len(seen) < len(runs):
            passes += 1
            display = TerminalSweepDisplay(runs)
            Scheduler(runs, Ledger(out), LocalExecutor(out, 2), display, rules).run()
            rows = [Ledger(out).row(run) for run in runs]
            reasons += [row.reason for row in rows if row.state is State.FAILED]
            now = campaign.made(out)
            assert {name: now.get(name) for name in seen} == seen
            seen = now
    finally:
        filler.end()
    said = capfd.readouterr().err
    with campaign.sweeps(plan, out) as sweep:
        sweep.finish()
    assert campaign.differences(campaign.results(tmp_path / "whole"), campaign.results(out)) == []
    assert campaign.left_over(out) == []
    assert {name: campaign.made(out)[name] for name in seen} == seen
    told = [line for line in said.splitlines() if re.match(r"retrying|failed|Mobile", line)]
    assert told, said
    for reason in (*told, *reasons):
        assert re.search("No space left on device|the disk is full", reason), reason
    with capfd.disabled():
        print(
            f"\n{filler.fills} fills, {len(told)} faults in {passes} sweeps,"
            f" {time.monotonic() - started:.0f} s, seed {SEED}: {len(seen)} of {len(runs)} done"
        )
