"""Which run of a sweep is started when, what its end means, and how the sweep itself is stopped.

Nothing here knows processes: runs are started by an `Executor`, and what becomes of them is stored
in the ledger at every step, so that a sweep that is killed is continued by the next.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from filelock import FileLock

from benchmark.errors import UserError
from benchmark.sweep import measured
from benchmark.sweep.cost import Costs, Underway, seconds_left
from benchmark.sweep.display import Shown, SweepDisplay
from benchmark.sweep.events import End, Progress
from benchmark.sweep.executor import Executor, Job, Step
from benchmark.sweep.ledger import Ledger, Row, now
from benchmark.sweep.plan import PlannedRun
from benchmark.sweep.retries import Ending, Retries, Stop, ending_of, verdict
from benchmark.sweep.states import UNFINISHED, State

_TICK_SECONDS = 0.2
# How often the time left is reckoned anew though nothing has ended.
_RECKON_SECONDS = 10.0


@dataclass(frozen=True)
class Rules:
    """How long runs may take and how patient the sweep is.

    Attributes:
        limit: seconds that a run may take at a stretch; None: as long as it likes.
        grace: seconds between the steps in which a run is stopped.
        retries: after faults of the machine.
    """

    limit: float | None = None
    grace: float = 30.0
    retries: Retries = field(default_factory=Retries)


@dataclass(eq=False)
class _Work:
    """A run that is not settled yet; `claim` and `row` are there while it is ours."""

    run: PlannedRun
    due: float = 0.0
    # How often the machine did not even let it be claimed.
    refusals: int = 0
    claim: FileLock | None = None
    row: Row | None = None
    job: Job | None = None
    started: float = 0.0
    stop: Stop | None = None
    steps: list[Step] = field(default_factory=lambda: list(Step))
    next_step: float = 0.0


class Scheduler:
    """Runs a sweep, or a shard of one.

    Args:
        runs: in the order in which they are started.
        ledger: of the results folder.
        executor: starts them.
        display: shows how far it is.
        rules: of time and patience.
        costs: what is known of runs before it starts.
        clock: seconds, from anywhere.
        sleep: waits so many.
    """

    def __init__(
        self,
        runs: Sequence[PlannedRun],
        ledger: Ledger,
        executor: Executor,
        display: SweepDisplay,
        rules: Rules | None = None,
        costs: Costs | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._runs, self._ledger, self._executor = runs, ledger, executor
        self._display, self._rules = display, rules or Rules()
        self._clock, self._sleep = clock, sleep
        self._stops = 0
        self._began = now()
        self._waiting: list[_Work] = []
        self._running: list[_Work] = []
        self._elsewhere: list[PlannedRun] = []
        self._states: dict[str, State] = {}
        # What could not be stored, for the disk is full.
        self._unstored: dict[str, Row] = {}
        self._costs = costs or Costs()
        self._left: float | None = None
        self._told_left = -math.inf

    def stop(self) -> None:
        """End the sweep: the runs are asked to stop, and killed when this is called again."""
        self._stops += 1

    @property
    def stopped(self) -> bool:
        """Whether it was asked to end."""
        return self._stops > 0

    def run(self, overwrite: bool = False) -> Counter[State]:
        """Do what is missing, or everything with `overwrite`; how many runs are in each state.

        A run that another sweep works on is left to it.

        Raises:
            UserError: the results folder cannot be written.
        """
        self._waiting = [_Work(run) for run in self._runs]
        looked_again = False
        try:
            for run in self._runs:
                self._note(run, self._ledger.mark_anew(run) if overwrite else self._ledger.row(run))
            while self._waiting or self._running:
                if self._stops:
                    self._drop_waiting()
                self._start_due()
                for work in list(self._running):
                    self._look_after(work)
                self._show()
                if not (self._waiting or self._running or looked_again):
                    # The other sweep may have been killed meanwhile.
                    looked_again = True
                    self._waiting = [_Work(run) for run in self._elsewhere]
                    self._elsewhere.clear()
                elif self._waiting or self._running:
                    self._sleep(_TICK_SECONDS)
        finally:
            self._display.close()
        return Counter(self._state(run) for run in self._runs)

    def _state(self, run: PlannedRun) -> State:
        """Where a run stands, though it could not be stored."""
        state, unstored = self._ledger.seen(run).state, self._unstored.get(run.id)
        return state if unstored is None or state is State.DONE else unstored.state

    def _start_due(self) -> None:
        for work in list(self._waiting):
            if len(self._running) >= self._executor.slots:
                return
            if work.due > self._clock():
                continue
            if work.claim is None and not self._take(work):
                continue
            self._waiting.remove(work)
            self._start(work)

    def _take(self, work: _Work) -> bool:
        """Claim a run; what needs no work or cannot be had leaves the waiting ones."""
        run = work.run
        if not self._missing(run, self._ledger.row(run)):
            self._waiting.remove(work)
            return False
        try:
            work.claim = self._ledger.claim(run)
        except UserError as error:
            if ending_of(error) is not Ending.DISTURBED:
                raise
            self._put_off(work, str(error))
            return False
        if work.claim is None:
            self._waiting.remove(work)
            self._elsewhere.append(run)
            return False
        # Read again: until now another sweep may have had it.
        work.row = self._ledger.row(run)
        if not self._missing(run, work.row):
            self._waiting.remove(work)
            self._release(work)
            return False
        if work.row.state is not State.PENDING:
            work.row = work.row.pending()
        return True

    def _put_off(self, work: _Work, reason: str) -> None:
        """Try to claim a run later; where that has not helped, it has failed."""
        work.refusals += 1
        if work.refusals <= self._rules.retries.most:
            work.due = self._clock() + self._rules.retries.wait(work.refusals)
            self._display.say(f"{work.run.name}: {reason}")
            return
        self._waiting.remove(work)
        row = Row(id=work.run.id, name=work.run.name, state=State.FAILED, reason=reason)
        self._unstored[work.run.id] = row
        self._note(work.run, row)
        self._display.ended(work.run, row, 0.0)

    def _missing(self, run: PlannedRun, row: Row) -> bool:
        """Whether there is work: not of what is done, nor of what failed since this sweep began."""
        self._note(run, row)
        if row.state is State.DONE:
            return False
        return row.state not in (State.FAILED, State.TIMED_OUT) or row.since < self._began

    def _start(self, work: _Work) -> None:
        assert work.row is not None
        work.row = work.row.moved(State.RUNNING, tries=work.row.tries + 1)
        self._keep(work)
        work.started, work.stop, work.steps = self._clock(), None, list(Step)
        self._running.append(work)
        self._display.started(work.run, work.row)
        try:
            files = self._ledger.files(work.run)
            work.job = self._executor.start(work.run, files, work.row.anew)
        except OSError as error:
            self._finish(work, End(ending=Ending.DISTURBED, reason=f"cannot be started: {error}"))

    def _look_after(self, work: _Work) -> None:
        assert work.job is not None
        end = work.job.ended()
        if end is not None:
            self._finish(work, end)
            return
        clock, limit = self._clock(), self._rules.limit
        if work.stop is None and self._stops:
            work.stop, work.next_step = Stop.SWEEP, clock
        elif work.stop is None and limit is not None and clock - work.started > limit:
            work.stop, work.next_step = Stop.LIMIT, clock
            self._display.say(f"{work.run.name}: over its time limit, asked to stop")
        if self._stops > 1 and work.steps:
            work.steps, work.next_step = [Step.KILL], clock
        if work.stop is not None and work.steps and clock >= work.next_step:
            work.job.stop(work.steps.pop(0))
            work.next_step = clock + self._rules.grace

    def _finish(self, work: _Work, end: End) -> None:
        assert work.row is not None
        row, retries, clock = work.row, self._rules.retries, self._clock()
        state = verdict(end.ending, work.stop, row.tries, retries)
        seconds = round(clock - work.started, 3)
        self._running.remove(work)
        work.job = None
        if state is State.PENDING:
            work.row = row.pending()
        elif state is State.DONE:
            work.row = row.done(end.run_id, seconds)
        else:
            reason = end.reason
            if state is State.TIMED_OUT:
                reason = f"stopped after {seconds:.0f} s, its time limit: a longer one continues it"
            work.row = row.moved(state, reason=reason, traceback=end.traceback)
        self._keep(work)
        if state is State.RETRYING:
            work.due = clock + retries.wait(row.tries)
            self._waiting.insert(0, work)
        else:
            self._release(work)
        if end.ending is Ending.BUSY and state is State.PENDING and work.stop is None:
            self._elsewhere.append(work.run)
        self._display.ended(work.run, work.row, max(work.due - clock, 0.0))

    def _drop_waiting(self) -> None:
        for work in self._waiting:
            if work.row is not None:
                work.row = work.row.pending()
                self._keep(work)
                self._release(work)
        self._waiting.clear()

    def _keep(self, work: _Work) -> None:
        """Store the row; where that fails the sweep goes on, and the next one sees an older row."""
        assert work.row is not None
        self._note(work.run, work.row)
        self._unstored.pop(work.run.id, None)
        try:
            self._ledger.keep(work.run, work.row)
        except UserError as error:
            self._unstored[work.run.id] = work.row
            self._display.say(f"{work.run.name}: {error}")

    def _release(self, work: _Work) -> None:
        if work.claim is not None:
            work.claim.release()
            work.claim = None

    def _note(self, run: PlannedRun, row: Row) -> None:
        if self._states.get(run.id) is row.state:
            return
        self._states[run.id] = row.state
        self._told_left = -math.inf
        if row.state is State.DONE and row.run_id not in self._costs:
            done = measured.stored(self._ledger.out, row.run_id, row.seconds)
            if done is not None:
                self._costs.add(done)

    def _show(self) -> None:
        clock = self._clock()
        jobs = [
            (work.run, work.job.progress() if work.job else Progress(), clock - work.started)
            for work in self._running
        ]
        if clock - self._told_left > _RECKON_SECONDS:
            self._told_left = clock
            working = {run.id: Underway(age, progress.left) for run, progress, age in jobs}
            self._left = seconds_left(
                [run for run in self._runs if self._states[run.id] in UNFINISHED],
                working,
                self._costs,
                self._executor.slots,
            )
        self._display.show(Shown(Counter(self._states.values()), self._left, jobs))
