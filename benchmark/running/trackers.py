"""Training in the tools that people watch theirs with: TensorBoard, MLflow. Off unless asked for.

A tracker is told of a run's settings, of every epoch and of the scores. Nothing depends on it: one
that fails is left out, and the run goes on. What it keeps is no part of a record.
"""

import importlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmark.common.progress import Display
from benchmark.errors import needs_package, unknown_name

# Names divided by commas: set by `ask`, so that the runs of a sweep have them too.
VARIABLE = "DERMBENCH_TRACK"
_EXPERIMENT = "dermbench"
# Of a row of a history; "epoch" is the step.
_TOLD = ("loss", "validation", "learning_rate", "seconds")


@dataclass(frozen=True)
class Watched:
    """What is tracked.

    Attributes:
        run_id: of the run; a tracker goes on with what it has of it.
        title: for people, such as "diagnosis Xception torch cross-entropy".
        settings: the record's, flat.
        folder: the run's own.
        out: the results folder.
    """

    run_id: str
    title: str
    settings: Mapping[str, str]
    folder: Path
    out: Path


class Tracker(ABC):
    """One tool. Whatever it raises is told, and it is not asked again."""

    package: str

    @abstractmethod
    def begin(self, watched: Watched) -> None:
        """A run starts, or goes on."""

    @abstractmethod
    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """Of an epoch, such as {"main/train/loss": 0.7}, or scores, such as {"macro_f1": 0.6}."""

    @abstractmethod
    def end(self, done: bool) -> None:
        """It is over, or was stopped or failed."""


class TensorBoard(Tracker):
    """Event files in the run's folder: `tensorboard --logdir results/v1/runs`."""

    package = "tensorboardX"

    def begin(self, watched: Watched) -> None:
        """Open a new event file."""
        writer = importlib.import_module("tensorboardX").SummaryWriter
        self._writer = writer(str(watched.folder / "tensorboard"))
        lines = (f"| {name} | {value} |" for name, value in watched.settings.items())
        self._writer.add_text("settings", "\n".join(["| setting | value |", "|---|---|", *lines]))

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """A scalar each."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def end(self, done: bool) -> None:
        """Close the file."""
        self._writer.close()


class MLflow(Tracker):
    """A run of the experiment "dermbench": at $MLFLOW_TRACKING_URI, else in files below `mlruns`.

    The files are the results folder's; `mlflow ui --backend-store-uri results/mlruns` shows them.
    """

    package = "mlflow"

    def begin(self, watched: Watched) -> None:
        """Go on with the run of this id, or begin one."""
        # MLflow asks for this where it is to write files; a database needs its full package.
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        where = os.environ.get("MLFLOW_TRACKING_URI") or (watched.out / "mlruns").resolve().as_uri()
        self._client = importlib.import_module("mlflow.tracking").MlflowClient(tracking_uri=where)
        found = self._client.get_experiment_by_name(_EXPERIMENT)
        experiment = found.experiment_id if found else self._client.create_experiment(_EXPERIMENT)
        ours = self._client.search_runs([experiment], f"tags.dermbench_run = '{watched.run_id}'")
        if ours:
            self._run = ours[0].info.run_id
            self._client.update_run(self._run, status="RUNNING")
            return
        tags = {"dermbench_run": watched.run_id}
        self._run = self._client.create_run(
            experiment, tags=tags, run_name=f"{watched.title} {watched.run_id}"
        ).info.run_id
        for name, value in watched.settings.items():
            self._client.log_param(self._run, name, value)

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """A metric each; MLflow takes letters, digits and a few signs in their names."""
        for name, value in values.items():
            self._client.log_metric(self._run, name.replace(":", "/"), value, step=step)

    def end(self, done: bool) -> None:
        """Set the run's state."""
        self._client.set_terminated(self._run, "FINISHED" if done else "KILLED")


TRACKERS: Mapping[str, type[Tracker]] = {"tensorboard": TensorBoard, "mlflow": MLflow}


def ask(names: Sequence[str]) -> None:
    """Have this process, and those that it starts, track their runs.

    Raises:
        UserError: there is no such tracker, or its package is not installed.
    """
    _checked(names)
    if names:
        os.environ[VARIABLE] = ",".join(names)


@contextmanager
def opened(watched: Watched, display: Display) -> Iterator["Trackers"]:
    """Yield the trackers that were asked for, told of the run.

    Raises:
        UserError: as `ask`.
    """
    names = [each for each in os.environ.get(VARIABLE, "").split(",") if each]
    trackers = Trackers([kind() for kind in _checked(names)], display)
    trackers.tell("begin", watched)
    done = False
    try:
        yield trackers
        done = True
    finally:
        trackers.tell("end", done)


class Trackers:
    """All that were asked for."""

    def __init__(self, trackers: list[Tracker], display: Display) -> None:
        self._trackers, self._display = trackers, display

    def epoch(self, stage: str, row: Mapping[str, Any]) -> None:
        """One more epoch of a stage: the row of its history."""
        values = {f"{stage}/{name}": row[name] for name in _TOLD if row.get(name) is not None}
        self.tell("numbers", values, int(row["epoch"]))

    def scores(self, values: Mapping[str, float]) -> None:
        """What the run came to."""
        self.tell("numbers", values, 0)

    def tell(self, what: str, *arguments: Any) -> None:
        """Call a method of each; one that fails is told and left out from then on."""
        for tracker in tuple(self._trackers):
            try:
                getattr(tracker, what)(*arguments)
            except Exception as error:
                self._trackers.remove(tracker)
                self._display.say(
                    f"note: {type(tracker).__name__} is left out from here on, the run goes on:"
                    f" {error}"
                )


def _checked(names: Sequence[str]) -> list[type[Tracker]]:
    for name in names:
        if name not in TRACKERS:
            raise unknown_name("tracker", name, TRACKERS)
        if find_spec(TRACKERS[name].package) is None:
            raise needs_package(TRACKERS[name].package, "track", f"tracking with {name}")
    return [TRACKERS[name] for name in names]
