"""What the process of a run tells the sweep: a file of JSON lines that it alone writes.

A file and not a pipe, so that `sweep status` and a sweep on another machine can read it too.
"""

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from benchmark.common.progress import Display, EpochDisplay
from benchmark.sweep.retries import Ending

T = TypeVar("T")


# Exit statuses that tell how a run ended where nothing can be written, for the disk is full.
STATUS: dict[Ending, int] = {ending: 64 + number for number, ending in enumerate(Ending)}


class _Event(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Progress(_Event):
    """How far a run has come: what it does, and of training how many epochs are finished.

    `summary` is what the last finished epoch said, `left` for how many seconds the others of this
    stage would go on as those before them; None before the first is finished, and of what has none.
    """

    doing: str = "starting"
    epoch: int = 0
    epochs: int = 0
    summary: str = ""
    left: float | None = None


class End(_Event):
    """How a run ended, with its record's run id, or the reason and what there is of a traceback."""

    ending: Ending
    run_id: str = ""
    reason: str = ""
    traceback: str = ""


class Told(BaseModel):
    """All that a run has told so far."""

    progress: Progress = Progress()
    end: End | None = None


class EventLog:
    """Writes the events of one process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._cut = False

    def progress(self, progress: Progress) -> None:
        """Tell how far the run is. That it cannot be told is no reason to stop it."""
        with suppress(OSError):
            self._write(progress)

    def end(self, end: End) -> None:
        """Tell how it ended; where even that fails, its exit status (`STATUS`) does."""
        with suppress(OSError):
            self._write(end)

    def _write(self, event: _Event) -> None:
        # A full disk may have cut the last line off; what follows is a line of its own.
        start, self._cut = "\n" if self._cut else "", True
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{start}{event.model_dump_json()}\n")
        self._cut = False


def read(path: Path) -> Told:
    """What has been told; a line that is not whole yet is left for later."""
    told = Told()
    try:
        # Not `splitlines`, which ends a line at signs that a reason may hold.
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return told
    for line in lines:
        with suppress(ValueError, ValidationError):
            fields: dict[str, Any] = json.loads(line)
            if "ending" in fields:
                told.end = End(**fields)
            else:
                told.progress = Progress(**fields)
    return told


class Follower:
    """How far a run is, as it tells in its events; read again only when it has told more."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._progress, self._read_bytes = Progress(), 0

    def progress(self) -> Progress:
        """The last that was told."""
        with suppress(FileNotFoundError):
            told_bytes = self._path.stat().st_size
            if told_bytes != self._read_bytes:
                self._progress = read(self._path).progress
                self._read_bytes = told_bytes
        return self._progress


class EventDisplay:
    """A run's display that prints as usual and tells the sweep as well."""

    def __init__(self, printed: Display, log: EventLog) -> None:
        self._printed, self._log = printed, log
        self._last = Progress()
        # When this process began with the stage, and after how many epochs of it.
        self._began, self._before = 0.0, 0

    def say(self, line: str) -> None:
        """Print one line."""
        self._printed.say(line)

    def track(self, items: Iterable[T], description: str, total: int) -> Iterator[T]:
        """Pass `items` on."""
        self._tell(doing=description, epoch=0, epochs=0, left=None)
        return self._printed.track(items, description, total)

    def epoch(self, stage: str, epoch: int, epochs: int, steps: int) -> "EventEpoch":
        """Open the display of one training epoch."""
        opened = {"doing": stage, "epoch": epoch - 1, "epochs": epochs}
        # Else it goes on from the last epoch, of which all is told.
        if self._last.model_copy(update=opened) != self._last:
            self._began, self._before = time.monotonic(), epoch - 1
            self._tell(**opened, left=None)
        return EventEpoch(self._printed.epoch(stage, epoch, epochs, steps), self, epoch)

    def finished(self, epoch: int, summary: str) -> None:
        """An epoch is over."""
        pace = (time.monotonic() - self._began) / (epoch - self._before)
        self._tell(epoch=epoch, summary=summary, left=pace * (self._last.epochs - epoch))

    def _tell(self, **changes: Any) -> None:
        self._last = self._last.model_copy(update=changes)
        self._log.progress(self._last)


class EventEpoch:
    """The line of one epoch."""

    def __init__(self, printed: EpochDisplay, display: EventDisplay, number: int) -> None:
        self._printed, self._display, self._number = printed, display, number

    def step(self, loss: float | None, images_per_second: float) -> None:
        """One more batch is done."""
        self._printed.step(loss, images_per_second)

    def close(self, summary: str) -> None:
        """The epoch is over; without a summary it was not finished."""
        self._printed.close(summary)
        if summary:
            self._display.finished(self._number, summary)
