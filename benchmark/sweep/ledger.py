"""What is kept of each run of a sweep, below `results`/v1/sweeps, and who is working on it.

A folder per planned run, named by its id, whichever plan it is in: state.json, written by whoever
holds claim.lock; log.txt, all that its processes printed; events.jsonl, how far the last one came.
A claim ends with the process that holds it. That a run is done is not believed without its record,
which must be readable.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from benchmark.common import locks
from benchmark.common.files import write_json
from benchmark.errors import UserError
from benchmark.records.store import Stat, Store
from benchmark.sweep import states
from benchmark.sweep.plan import PlannedRun
from benchmark.sweep.states import State

# `status` looks whether a claim is held by holding it for a moment.
_PATIENCE_SECONDS = 0.5


def now() -> str:
    """The time in UTC, fine enough to order what one sweep does after another."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Row(BaseModel):
    """What is known of one planned run.

    Attributes:
        id: of the planned run.
        name: of the planned run, for people.
        state: where it stands; RUNNING and RETRYING hold only while it is claimed.
        tries: how often it was started since it was last pending for a reason of its own.
        since: when it came to this state.
        run_id: of its record, once it is done.
        seconds: that its last process took, once it is done.
        reason: why it failed, timed out or is tried again, in one line.
        traceback: of an error that is not the user's to mend, or the end of what it printed.
        anew: its record, if there is one, is from before it was asked to be run again.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    id: str
    name: str
    state: State = State.PENDING
    tries: int = 0
    since: str = ""
    run_id: str = ""
    seconds: float = 0.0
    reason: str = ""
    traceback: str = ""
    anew: bool = False

    def moved(self, state: State, **changes: Any) -> "Row":
        """In another state, with these changes.

        Raises:
            ValueError: it cannot come to that state from this one.
        """
        states.check(self.state, state)
        return self.model_copy(update={"state": state, "since": now(), **changes})

    def pending(self) -> "Row":
        """To be started, with nothing held against it."""
        return self.moved(State.PENDING, tries=0, reason="", traceback="")

    def done(self, run_id: str, seconds: float) -> "Row":
        """With a record."""
        return self.moved(
            State.DONE, run_id=run_id, seconds=seconds, reason="", traceback="", anew=False
        )


@dataclass(frozen=True)
class Files:
    """The files of one planned run."""

    folder: Path

    @property
    def state(self) -> Path:
        """The row."""
        return self.folder / "state.json"

    @property
    def claim(self) -> Path:
        """The lock of whoever works on it."""
        return self.folder / "claim.lock"

    @property
    def log(self) -> Path:
        """All that its processes printed."""
        return self.folder / "log.txt"

    @property
    def events(self) -> Path:
        """How far its last process came."""
        return self.folder / "events.jsonl"


class Ledger:
    """The rows of a results folder."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self._store = Store(out)
        self._sound: dict[str, Stat] = {}

    def files(self, run: PlannedRun) -> Files:
        """Where a planned run's files lie."""
        return Files(self.out / "v1" / "sweeps" / run.id)

    def claim(self, run: PlannedRun) -> FileLock | None:
        """The right to work on a run, until it is released; None where another process has it.

        Raises:
            UserError: the folder cannot be written or knows no locks.
        """
        return locks.take(self.files(run).claim, _PATIENCE_SECONDS)

    def row(self, run: PlannedRun) -> Row:
        """What is stored of a run; a damaged file says as little as none.

        A run that is stored as done and has no record, or a damaged one, is pending.
        """
        try:
            row = Row.model_validate_json(self.files(run).state.read_bytes())
        except (OSError, ValidationError):
            return Row(id=run.id, name=run.name)
        if row.state is State.DONE and not self._has_record(row.run_id):
            return row.moved(State.PENDING, run_id="")
        return row

    def seen(self, run: PlannedRun) -> Row:
        """What a bystander sees: what is stored as going on and nobody works on is pending."""
        row = self.row(run)
        if row.state in (State.RUNNING, State.RETRYING) and not self._claimed(run):
            return row.moved(State.PENDING)
        return row

    def keep(self, run: PlannedRun, row: Row) -> Row:
        """Store what is known of a run, by whoever has claimed it.

        Raises:
            UserError: the folder cannot be written.
        """
        write_json(self.files(run).state, row.model_dump(mode="json"))
        return row

    def mark_anew(self, run: PlannedRun) -> Row:
        """Have a run done again though it may have a record; not what another process works on.

        Raises:
            UserError: the folder cannot be written or knows no locks.
        """
        claim = self.claim(run)
        if claim is None:
            return self.row(run)
        try:
            row = self.row(run)
            row = row if row.state is State.PENDING else row.pending()
            return self.keep(run, row.model_copy(update={"anew": True}))
        finally:
            claim.release()

    def walls(self) -> dict[str, float]:
        """Seconds that the process of each run took, by the id of its record."""
        rows = []
        for path in (self.out / "v1" / "sweeps").glob("*/state.json"):
            with suppress(OSError, ValidationError):
                rows.append(Row.model_validate_json(path.read_bytes()))
        return {row.run_id: row.seconds for row in rows if row.state is State.DONE}

    def _has_record(self, run_id: str) -> bool:
        """Whether there is a record that can be read; it is read again only when it has changed."""
        stat = self._store.stat(run_id)
        if stat is None:
            return False
        if self._sound.get(run_id) != stat:
            try:
                self._store.load(run_id)
            except UserError:
                return False
            self._sound[run_id] = stat
        return True

    def _claimed(self, run: PlannedRun) -> bool:
        with locks.held(self.files(run).claim) as free:
            return not free
