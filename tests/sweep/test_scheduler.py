"""What a sweep does, with runs that only pretend: no process, a clock that is turned by hand."""

import errno
import importlib
import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmark.errors import UserError
from benchmark.records.store import Store
from benchmark.sweep.events import End, Progress
from benchmark.sweep.executor import Step
from benchmark.sweep.ledger import Ledger
from benchmark.sweep.plan import Asked, planned
from benchmark.sweep.retries import Ending, Retries
from benchmark.sweep.scheduler import Rules, Scheduler
from benchmark.sweep.states import State

sys.path.insert(0, str(Path(__file__).parent.parent / "records"))
record = importlib.import_module("records_made").record

DONE = End(ending=Ending.DONE)
DISTURBED = End(ending=Ending.DISTURBED, reason="No space left on device", traceback="...")
BROKEN = End(ending=Ending.BROKEN, reason="KeyError: 'x'", traceback="Traceback ...")
REFUSED = End(ending=Ending.REFUSED, reason="the record is damaged")
BUSY = End(ending=Ending.BUSY, reason="another process is computing it")
RUNS = [
    planned(Asked(arch="MobileNetV2", task="diagnosis", budget="smoke", seed=seed))
    for seed in range(4)
]


class FakeJob:
    """A run that lasts so many seconds and then ends as it is told to, or stops at some step."""

    def __init__(self, world, run, seconds, end, heeds):
        self.world, self.run, self.end, self.heeds = world, run, end, heeds
        self.until = world.time + seconds
        self.steps: list[Step] = []
        self.over = False

    def progress(self):
        return Progress()

    def ended(self):
        if not self.over and self.world.time >= self.until:
            self.over = True
            if self.end.ending is Ending.DONE:
                made = record(f"r{self.run.id}", "accuracy", {}, self.run.config.public())
                Store(self.world.ledger.out).save(made)
                self.end = self.end.model_copy(update={"run_id": made.run_id})
        return self.end if self.over else None

    def stop(self, step):
        self.steps.append(step)
        if step is self.heeds:
            self.until = self.world.time
            self.end = End(ending=Ending.INTERRUPTED, reason="interrupted")


class World:
    """Clock, executor and display of a pretended sweep."""

    def __init__(self, out, slots=1):
        self.ledger, self.slots, self.time = Ledger(out), slots, 0.0
        self.endings: dict[str, list[End]] = {}
        self.seconds: dict[str, float] = {}
        self.heeds = Step.ASK
        self.jobs: list[FakeJob] = []
        self.said: list[str] = []
        self.most_at_once = 0
        self.at: dict[float, object] = {}

    def start(self, run, files, overwrite):
        ends = self.endings.get(run.id, [])
        end = ends.pop(0) if ends else DONE
        job = FakeJob(self, run, self.seconds.get(run.id, 10.0), end, self.heeds)
        job.overwrite = overwrite
        self.jobs.append(job)
        return job

    def sleep(self, seconds):
        self.time += seconds
        for moment in [moment for moment in self.at if moment <= self.time]:
            self.at.pop(moment)()

    def say(self, line):
        self.said.append(line)

    def started(self, run, row):
        pass

    def ended(self, run, row, wait):
        pass

    def show(self, shown):
        self.most_at_once = max(self.most_at_once, len(shown.jobs))

    def close(self):
        pass

    def sweep(self, runs=RUNS, **rules):
        return Scheduler(
            runs,
            self.ledger,
            self,
            self,
            Rules(**{"retries": Retries(most=2, first=10, factor=3), **rules}),
            clock=lambda: self.time,
            sleep=self.sleep,
        )

    def starts(self):
        return Counter(job.run.id for job in self.jobs)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_every_run_is_done_once_and_never_again(world):
    assert world.sweep().run() == {State.DONE: 4}
    assert set(world.starts().values()) == {1}
    assert world.sweep().run() == {State.DONE: 4}
    assert set(world.starts().values()) == {1}


def test_no_more_runs_at_once_than_there_are_slots(tmp_path):
    world = World(tmp_path, slots=3)
    world.sweep().run()
    assert world.most_at_once == 3
    assert world.time == pytest.approx(20, abs=2)


def test_a_failure_is_stored_with_its_traceback_and_the_others_are_done(world):
    world.endings[RUNS[1].id] = [BROKEN]
    assert world.sweep().run() == {State.DONE: 3, State.FAILED: 1}
    row = world.ledger.row(RUNS[1])
    assert (row.reason, row.traceback, row.tries) == (BROKEN.reason, BROKEN.traceback, 1)
    # The cause may be mended: the next sweep tries it again, and nothing else.
    assert world.sweep().run() == {State.DONE: 4}
    assert world.starts()[RUNS[1].id] == 2
    assert world.starts().total() == 5
    assert world.ledger.row(RUNS[1]).reason == ""


def test_faults_of_the_machine_are_tried_again_with_growing_waits(world):
    run = RUNS[0]
    world.endings[run.id] = [DISTURBED, DISTURBED]
    assert world.sweep([run]).run() == {State.DONE: 1}
    # Three runs of 10 s, and waits of 10 and 30 s between them.
    assert world.time == pytest.approx(70, abs=3)


def test_faults_that_do_not_go_away_end_as_failures(world):
    run = RUNS[0]
    world.endings[run.id] = [DISTURBED] * 9
    assert world.sweep([run]).run() == {State.FAILED: 1}
    assert world.starts()[run.id] == 3
    assert world.ledger.row(run).tries == 3


def test_others_run_while_one_waits_for_its_next_try(world):
    world.endings[RUNS[0].id] = [DISTURBED]
    world.sweep(RUNS[:2]).run()
    assert [job.run.id for job in world.jobs] == [RUNS[0].id, RUNS[1].id, RUNS[0].id]


@pytest.mark.parametrize(
    ("heeds", "steps", "seconds"),
    [
        (Step.ASK, [Step.ASK], 60),
        (Step.TERMINATE, [Step.ASK, Step.TERMINATE], 65),
        (Step.KILL, list(Step), 70),
    ],
)
def test_a_run_over_its_time_is_stopped_in_steps(world, heeds, steps, seconds):
    run = RUNS[0]
    world.seconds[run.id], world.heeds = 1e6, heeds
    assert world.sweep([run], limit=60, grace=5).run() == {State.TIMED_OUT: 1}
    assert world.jobs[0].steps == steps
    assert world.time == pytest.approx(seconds, abs=2)
    assert "its time limit" in world.ledger.row(run).reason


def test_a_stopped_sweep_asks_its_runs_and_the_next_one_goes_on(tmp_path):
    world = World(tmp_path, slots=2)
    sweep = world.sweep()
    world.at[5.0] = sweep.stop
    assert sweep.run() == {State.PENDING: 4}
    assert [job.steps for job in world.jobs] == [[Step.ASK], [Step.ASK]]
    assert world.sweep().run() == {State.DONE: 4}


def test_a_sweep_that_is_stopped_twice_kills(world):
    sweep = world.sweep(grace=1e6)
    world.heeds = Step.KILL
    world.at |= {5.0: sweep.stop, 6.0: sweep.stop}
    assert sweep.run()[State.PENDING] == 4
    assert world.jobs[0].steps == [Step.ASK, Step.KILL]


def test_a_sweep_stopped_between_two_tries_leaves_the_run_pending(world):
    sweep = world.sweep(RUNS[:1])
    world.endings[RUNS[0].id] = [DISTURBED]
    world.at[12.0] = sweep.stop
    assert sweep.run() == {State.PENDING: 1}
    assert world.ledger.row(RUNS[0]).state is State.PENDING


def test_what_another_sweep_works_on_is_left_to_it(world):
    claim = world.ledger.claim(RUNS[0])
    states = world.sweep().run()
    claim.release()
    assert RUNS[0].id not in world.starts()
    assert states[State.DONE] == 3


def test_what_another_sweep_leaves_behind_is_taken_over(world):
    claim = world.ledger.claim(RUNS[0])
    world.at[15.0] = claim.release
    assert world.sweep().run() == {State.DONE: 4}


def test_what_another_sweep_tried_in_vain_meanwhile_is_not_tried_here(world):
    other = World(world.ledger.out)
    other.endings[RUNS[3].id] = [BROKEN]
    world.at[5.0] = lambda: other.sweep(RUNS[3:]).run()
    assert world.sweep().run() == {State.DONE: 3, State.FAILED: 1}
    assert RUNS[3].id not in world.starts()


def test_a_killed_sweep_is_continued(world):
    class KilledError(BaseException):
        pass

    def kill():
        raise KilledError

    world.at[15.0] = kill
    sweep = world.sweep()
    with pytest.raises(KilledError):
        sweep.run()
    # The operating system does this when the process ends.
    for work in sweep._running:
        work.claim.release()
    assert world.ledger.row(RUNS[1]).state is State.RUNNING
    assert world.ledger.seen(RUNS[1]).state is State.PENDING
    assert world.sweep().run() == {State.DONE: 4}
    assert world.starts()[RUNS[0].id] == 1


def test_a_run_that_another_process_computes_is_waited_for_and_then_left(world):
    run = RUNS[0]
    world.endings[run.id] = [BUSY, DONE]
    assert world.sweep([run]).run() == {State.DONE: 1}
    other = RUNS[1]
    world.endings[other.id] = [BUSY] * 99
    assert world.sweep([other]).run() == {State.PENDING: 1}


def test_overwrite_does_all_again_and_a_stop_in_between_forgets_none(world):
    world.sweep().run()
    sweep = world.sweep()
    world.at[world.time + 15] = sweep.stop
    sweep.run(overwrite=True)
    assert world.sweep().run() == {State.DONE: 4}
    assert all(world.starts()[run.id] >= 2 for run in RUNS)
    assert all(job.overwrite for job in world.jobs[4:])
    assert not any(job.overwrite for job in world.jobs[:4])


def test_a_run_whose_record_is_gone_is_done_again(world):
    world.sweep().run()
    (world.ledger.out / "v1" / "records" / f"r{RUNS[2].id}.json").unlink()
    assert world.sweep().run() == {State.DONE: 4}
    assert world.starts()[RUNS[2].id] == 2


def test_a_damaged_row_costs_no_more_than_asking_again(world):
    world.sweep(RUNS[:1]).run()
    world.ledger.files(RUNS[0]).state.write_text('{"state": "do')
    assert world.sweep(RUNS[:1]).run() == {State.DONE: 1}


def test_a_damaged_record_is_not_done(world):
    world.sweep(RUNS[:1]).run()
    record_of = world.ledger.out / "v1" / "records" / f"r{RUNS[0].id}.json"
    record_of.write_bytes(record_of.read_bytes()[:-100])
    assert world.ledger.row(RUNS[0]).state is State.PENDING
    world.endings[RUNS[0].id] = [REFUSED]
    assert world.sweep(RUNS[:1]).run() == {State.FAILED: 1}


def test_a_run_that_can_never_be_claimed_has_failed_and_the_others_are_done(world, monkeypatch):
    claim = Ledger.claim

    def full(self, run):
        if run is RUNS[1]:
            raise UserError("cannot lock claim.lock: No space") from OSError(errno.ENOSPC, "full")
        return claim(self, run)

    monkeypatch.setattr(Ledger, "claim", full)
    assert world.sweep().run() == {State.DONE: 3, State.FAILED: 1}
    assert any("No space" in line for line in world.said)


def test_what_could_not_be_stored_is_told_all_the_same(world, monkeypatch):
    def full(self, run, row):
        raise UserError("cannot write state.json: No space left on device")

    world.endings[RUNS[1].id] = [BROKEN]
    monkeypatch.setattr(Ledger, "keep", full)
    assert world.sweep().run() == {State.DONE: 3, State.FAILED: 1}


def test_the_sweep_outlives_a_full_disk(world, monkeypatch):
    keep, refused = Ledger.keep, []

    def full_once(self, run, row):
        if row.state is State.DONE and not refused:
            refused.append(run.id)
            raise UserError("cannot write state.json: No space left on device")
        return keep(self, run, row)

    monkeypatch.setattr(Ledger, "keep", full_once)
    world.sweep().run()
    assert any("No space left" in line for line in world.said)
    assert world.sweep().run() == {State.DONE: 4}
    # The run itself finds its record: here, where runs only pretend, it is started once more.
    assert world.starts() == Counter({run.id: 1 for run in RUNS}) + Counter(refused)
