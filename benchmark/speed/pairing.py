"""Measuring sides in turns: A B C A B C, each in a process that waits while the others work.

What slows the machine for a while then slows all of them, so a ratio says more than two times do.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import numpy as np

from benchmark.common import threads
from benchmark.errors import UserError
from benchmark.speed.works import Side, Work

Track = Callable[[Iterable[int], str, int], Iterable[int]]
_PACKAGES = {"torch": "torch", "keras": "tensorflow"}


@dataclass(frozen=True)
class Timed:
    """What one side took.

    Attributes:
        side: its name.
        seconds: of each round, the first, which warms up, left out.
        cpu_seconds: likewise, what all its threads and processes computed.
        memory: bytes that its process held at its peak.
        deviation: largest difference between its result and that of the first side.
        facts: as its process tells them.
        fault: why it was not measured; "": it was.
    """

    side: str
    seconds: tuple[float, ...] = ()
    cpu_seconds: tuple[float, ...] = ()
    memory: int = 0
    deviation: float | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""

    def __post_init__(self) -> None:
        if len(self.cpu_seconds) != len(self.seconds):
            raise ValueError("cpu_seconds are not of the same rounds as seconds")


@dataclass(frozen=True)
class _Turn:
    """What doing the work once took, and bytes held at the peak until then."""

    seconds: float
    cpu_seconds: float
    memory: int


class _FailedError(Exception):
    """A side cannot go on; the message says why."""


def measure(work: Work, rounds: int, track: Track) -> tuple[Timed, ...]:
    """Every side of a work, in its order.

    A side whose library is not installed, or that fails, is named with its fault; the others are
    measured nevertheless.

    Args:
        work: what is done.
        rounds: how often each side does it, after one round that warms up.
        track: called as `track(rounds, description, total)`, passes the rounds on.

    Raises:
        UserError: a result differs by more than the work's tolerance, for then the sides do not
            the same.
    """
    faults = {side.name: _missing(side) for side in work.sides}
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dermbench-speed-")))
        present = [side for side in work.sides if not faults[side.name]]
        processes = [stack.enter_context(_Process(work, side, scratch)) for side in present]
        turns: dict[str, list[_Turn]] = {side.name: [] for side in work.sides}
        for number in track(range(rounds + 1), work.title, rounds + 1):
            for process in processes:
                name = process.side.name
                if faults[name]:
                    continue
                try:
                    turn = process.turn(first=number == 0)
                except _FailedError as error:
                    faults[name] = str(error)
                    continue
                if number:
                    turns[name].append(turn)
        by_name = {process.side.name: process for process in processes}
        deviations = _deviations(work, faults, scratch)
    timed = []
    for side in work.sides:
        if faults[side.name]:
            timed.append(Timed(side.name, fault=faults[side.name]))
            continue
        process = by_name[side.name]
        timed.append(
            Timed(
                side.name,
                tuple(turn.seconds for turn in turns[side.name]),
                tuple(turn.cpu_seconds for turn in turns[side.name]),
                turns[side.name][-1].memory,
                deviations.get(side.name),
                process.facts,
            )
        )
    return tuple(timed)


def _missing(side: Side) -> str:
    """What the side needs and is not installed, as a fault; "" if nothing."""
    for package in filter(None, (_PACKAGES.get(side.framework), side.package)):
        if find_spec(package) is None:
            return f"skipped: {package} is not installed (pip install 'dermbench[peers]')"
    return ""


class _Process:
    """The process of a side; it ends when it is left."""

    def __init__(self, work: Work, side: Side, scratch: Path) -> None:
        self.side = side
        self.facts: dict[str, Any] = {}
        self._ready = False
        own = scratch / f"{work.sides.index(side)}"
        own.mkdir()
        order = {
            "code": side.code,
            "framework": side.framework,
            "settings": dict(work.settings),
            "scratch": str(own),
            "result": str(_result(work, side, scratch)),
        }
        share = threads.environment(threads.available())
        self._log: IO[str] = (own / "log").open("w+", encoding="utf-8")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmark.speed.worker", json.dumps(order)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**os.environ, **share, **side.environment},
        )

    def __enter__(self) -> "_Process":
        return self

    def __exit__(self, *_: object) -> None:
        # Also after an error or Ctrl-C: nothing of it stays.
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def turn(self, first: bool) -> _Turn:
        """Have it do the work once."""
        assert self._process.stdin is not None
        if not self._ready:
            self.facts = self._answer()["facts"]
            self._ready = True
        # Where it has ended, its last words say why.
        with suppress(BrokenPipeError):
            self._process.stdin.write("first\n" if first else "again\n")
            self._process.stdin.flush()
        return _Turn(**self._answer())

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            last = self._log.read().strip().splitlines()[-1:] or ["no message"]
            raise _FailedError(f"failed: its process ended with {self._process.wait()}: {last[0]}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise _FailedError(f"failed: {answer['error']}")
        return answer


def _result(work: Work, side: Side, scratch: Path) -> Path:
    return scratch / f"result-{work.sides.index(side)}.npy"


def _deviations(work: Work, faults: Mapping[str, str], scratch: Path) -> dict[str, float]:
    """By side, how far its result lies from that of the first side that has one."""
    found = dict(_results(work, faults, scratch))
    if not found:
        return {}
    expected = next(iter(found.values()))
    deviations = {}
    for name, result in found.items():
        if result.shape != expected.shape:
            raise UserError(
                f"{work.title}: {name} gives {result.shape}, {next(iter(found))} {expected.shape}:"
                " they do not do the same work, which is a fault of this comparison"
            )
        deviations[name] = float(np.abs(result - expected).max(initial=0.0))
        if not deviations[name] <= work.tolerance:
            raise UserError(
                f"{work.title}: the results of {name} and {next(iter(found))} differ by"
                f" {deviations[name]:.3g}, allowed is {work.tolerance:g}: one of them is wrong, so"
                " their times are not compared"
            )
    return deviations


def _results(
    work: Work, faults: Mapping[str, str], scratch: Path
) -> Iterator[tuple[str, np.ndarray]]:
    for side in work.sides:
        if not faults[side.name]:
            yield side.name, np.load(_result(work, side, scratch)).astype(np.float64)
