"""What a waiting user sees: bars on a terminal, plain lines elsewhere. All of it on stderr."""

import time
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

T = TypeVar("T")

# Work shorter than this shows no bar.
PATIENCE_SECONDS = 2.0
# Off a terminal, between two lines of one epoch; an epoch that is faster has only its last line.
LINE_SECONDS = 30.0


class Display(Protocol):
    """Where a run reports to. `SilentDisplay` is what a library caller gets."""

    def say(self, line: str) -> None:
        """Print one line."""

    def track(self, items: Iterable[T], description: str, total: int) -> Iterator[T]:
        """Pass `items` on, showing how far they have come."""

    def epoch(self, stage: str, epoch: int, epochs: int, steps: int) -> "EpochDisplay":
        """Open the display of one training epoch."""


class EpochDisplay(Protocol):
    """The line of one epoch while it runs."""

    def step(self, loss: float | None, images_per_second: float) -> None:
        """One more batch is done."""

    def close(self, summary: str) -> None:
        """The epoch is over; `summary` stays on the screen."""


class SilentDisplay:
    """Says nothing."""

    def say(self, line: str) -> None:
        """Drop the line."""

    def track(self, items: Iterable[T], description: str, total: int) -> Iterator[T]:
        """Pass `items` on."""
        yield from items

    def epoch(self, stage: str, epoch: int, epochs: int, steps: int) -> "SilentEpoch":
        """An epoch nobody watches."""
        return SilentEpoch()


class SilentEpoch:
    """An epoch nobody watches."""

    def step(self, loss: float | None, images_per_second: float) -> None:
        """Drop it."""

    def close(self, summary: str) -> None:
        """Drop it."""


class TerminalDisplay:
    """Bars when stderr is a terminal; when not, a line per epoch and long job, more if slow."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)

    def say(self, line: str) -> None:
        """Print one line."""
        self._console.print(line, markup=False)

    def track(self, items: Iterable[T], description: str, total: int) -> Iterator[T]:
        """Pass `items` on; a bar (or, off a terminal, a closing line) once it takes long."""
        started = time.monotonic()
        with self._bar("{task.description}") as bar:
            task = bar.add_task(description, total=total, visible=False)
            for item in items:
                yield item
                late = time.monotonic() - started > PATIENCE_SECONDS
                bar.update(task, advance=1, visible=late)
        elapsed = time.monotonic() - started
        if elapsed > PATIENCE_SECONDS and not self._console.is_terminal:
            self.say(f"{description}: {total} in {elapsed:.0f} s")

    def epoch(self, stage: str, epoch: int, epochs: int, steps: int) -> "TerminalEpoch":
        """Open the bar of one training epoch."""
        bar = self._bar("{task.description}", "{task.fields[state]}")
        title, terminal = f"{stage} {epoch}/{epochs}", self._console.is_terminal
        return TerminalEpoch(self, bar, title, steps, lines=not terminal)

    def _bar(self, *texts: str) -> Progress:
        first, *rest = (TextColumn(text, markup=False) for text in texts)
        return Progress(
            first,
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            *rest,
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )


class TerminalEpoch:
    """The bar of one epoch: loss and images per second while it runs, a summary when it ends.

    With `lines`, where no bar can be seen, a line now and then.
    """

    def __init__(
        self, display: TerminalDisplay, bar: Progress, title: str, steps: int, lines: bool = False
    ) -> None:
        self._display = display
        self._title = title
        self._bar = bar
        self._lines = lines
        self._done, self._steps = 0, steps
        self._said_at = time.monotonic()
        self._bar.start()
        self._task = bar.add_task(title, total=steps, state="")

    def step(self, loss: float | None, images_per_second: float) -> None:
        """One more batch is done; `loss` is None between two readings."""
        state = {} if loss is None else {"state": f"loss {loss:.3f}  {images_per_second:.0f} img/s"}
        self._bar.update(self._task, advance=1, **state)  # type: ignore[arg-type]
        self._done += 1
        now = time.monotonic()
        # After the last step comes the summary.
        if self._lines and self._done < self._steps and now - self._said_at >= LINE_SECONDS:
            self._said_at = now
            of = f"step {self._done} of {self._steps}"
            self._display.say(f"{self._title}  {of}  {images_per_second:.0f} images/s")

    def close(self, summary: str) -> None:
        """Replace the bar by one line."""
        self._bar.stop()
        if summary:
            self._display.say(f"{self._title}  {summary}")
