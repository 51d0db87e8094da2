"""SIGKILL at random moments of a sweep: afterwards it is as if there had been none."""

import csv
import importlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmark.sweep.ledger import Ledger
from benchmark.sweep.states import State

sys.path.insert(0, str(Path(__file__).parent))
campaign = importlib.import_module("campaign")

# Another campaign, by hand: the moments depend on the machine as well.
SEED = int(os.environ.get("DERMBENCH_TEST_SEED", "0"))
KILLS = 20

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]


@pytest.fixture(scope="module")
def plan(tmp_path_factory) -> Path:
    """Six runs."""
    return campaign.write_plan(
        tmp_path_factory.mktemp("plan") / "plan.jsonl", campaign.BOTH_FRAMEWORKS
    )


@pytest.fixture(scope="module")
def undisturbed(plan, tmp_path_factory, shared_cache) -> tuple[Path, float]:
    """The results of the plan, done in one go, and the seconds that it took."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DERMBENCH_CACHE", str(shared_cache))
        with campaign.sweeps(plan, out) as sweep:
            started = time.monotonic()
            assert sweep.start().wait(900) == 0, sweep.told.read_text()
            return out, time.monotonic() - started


@pytest.mark.parametrize("at_once", [1, 2], ids=["one sweep", "two sweeps on one folder"])
def test_twenty_kills_change_nothing_lose_nothing_and_double_nothing(
    plan, undisturbed, tmp_path, at_once, capsys
):
    whole, seconds = undisturbed
    killer = campaign.Killer(SEED, seconds)
    started = time.monotonic()
    rounds, computed_again = 0, 0
    while killer.kills < KILLS:
        rounds += 1
        # On a machine that is quick enough a folder is finished before the last kill.
        out = tmp_path / f"killed-{rounds}"
        with campaign.sweeps(plan, out) as sweep:
            computed_again += _disturb(sweep, killer, at_once)
            sweep.finish()
            living = sweep.wait_until_gone()
        told = f"seed {SEED}: {sweep.told.read_text()}"
        rows = [Ledger(out).row(run) for run in sweep.runs]
        assert [row.state for row in rows] == [State.DONE] * len(rows), told
        assert sorted(f"{row.run_id}.json" for row in rows) == sorted(campaign.made(out)), told
        assert campaign.left_over(out) == [], told
        assert campaign.differences(campaign.results(whole), campaign.results(out)) == [], told
        assert living == [], told
    assert computed_again == 0, told
    assert _table(whole) == _table(out)
    with capsys.disabled():
        print(
            f"\n{killer.kills} kills in {time.monotonic() - started:.0f} s (undisturbed"
            f" {seconds:.0f} s, {rounds} folders), seed {SEED}: of {dict(killer.victims)}, in"
            f" {dict(killer.phases)}; runs lost 0, doubled 0, computed again {computed_again}"
        )


def _disturb(sweep, killer, at_once: int) -> int:
    """Kill and start again until that was enough or all is done; how often a record changed."""
    seen: dict[str, tuple[int, int]] = {}
    changed = 0
    commands = [sweep.start() for _ in range(at_once)]
    while killer.kills < KILLS:
        killer.wait(sweep)
        commands = [command for command in commands if command.poll() is None]
        if not commands:
            return changed
        killed = killer.kill(sweep, commands)
        now = campaign.made(sweep.out)
        changed += sum(now.get(name) != when for name, when in seen.items())
        seen = now
        if killed is not None:
            killed.wait(30)
            commands[commands.index(killed)] = sweep.start()
    for command in commands:
        command.wait(900)
    now = campaign.made(sweep.out)
    return changed + sum(now.get(name) != when for name, when in seen.items())


def _table(out: Path) -> list[dict[str, str]]:
    """The rows of the table that is made of the records, without times."""
    command = [*campaign.COMMAND, "leaderboard", "--out", str(out)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    with (out / "v1" / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    passing = campaign.PASSING_COLUMNS
    return [{n: v for n, v in row.items() if n not in passing} for row in rows]
