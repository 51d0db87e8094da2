"""What a run does for its split: draws it once, and refuses leaks before anything is trained.

Copies are looked for at one small size, whatever the run's, so that every run finds the same.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.errors import ParserError

from benchmark.common.cache import cache_folder
from benchmark.common.files import write_text
from benchmark.common.progress import Display
from benchmark.data import Dataset, copies, leaks
from benchmark.data import splits as drawing
from benchmark.data.pixels import Decoded
from benchmark.errors import UserError
from benchmark.records import splits
from benchmark.records.record import Record
from tasks.base import SPLIT_SEED, Task
from tasks.given import ONLY, Trial

# The parts of pre-training data that are used.
EARLIER_PARTS = ("train", "validation")


@dataclass(frozen=True)
class Guards:
    """Draws and examines the splits of one run.

    Attributes:
        out: the results folder, where splits are frozen.
        allowed: tell of leaks instead of refusing them.
        display: where progress goes.
        decoded: small pixels of every data set.
    """

    out: Path
    allowed: bool
    display: Display
    decoded: Decoded

    @classmethod
    def of_run(cls, out: Path, allowed: bool, display: Display) -> "Guards":
        """With pixels of the size that copies are looked for at."""
        size = (copies.SMALLEST, copies.SMALLEST)
        return cls(out, allowed, display, Decoded(size, display.track))

    def split(
        self, task: Task, dataset: Dataset, prepared: Dataset, options: Mapping[str, Any], seed: int
    ) -> splits.FrozenSplit:
        """The task's trials as they were when this question was first asked of these data.

        The seed is the run's.
        """

        def draw() -> dict[str, dict[str, Sequence[str]]]:
            trials = task.trials_of(self._united(dataset), seed)
            return {t.name: {part: getattr(t, part) for part in splits.PARTS} for t in trials}

        own = seed if task.seeded else None
        return splits.frozen(
            self.out,
            prepared,
            task.name,
            task.version,
            options,
            draw,
            own,
            lambda trial: task.of_trial(prepared, trial),
        )

    def earlier_split(self, dataset: Dataset) -> splits.FrozenSplit:
        """How data to pre-train on are divided, by the same rules."""

        def draw() -> dict[str, dict[str, list[str]]]:
            return {ONLY: self.drawn(dataset)}

        return splits.frozen(self.out, dataset, "pretraining", "1", {}, draw)

    def drawn(self, dataset: Dataset) -> dict[str, list[str]]:
        """Train, validation and test ids of a data set that no task changes, drawn anew."""
        return drawing.partition(self._united(dataset), SPLIT_SEED)

    def refuse_leaks(
        self,
        dataset: Dataset,
        trials: Sequence[Trial],
        earlier: Sequence[tuple[Dataset, Mapping[str, Sequence[str]]]],
        with_pixels: bool,
        seen: Sequence[Dataset] = (),
    ) -> tuple[str, ...]:
        """See that no two parts share an image, a lesion or a patient.

        Args:
            dataset: of the trials.
            trials: each has a train, a validation and a test part; unlabelled images are of train.
            earlier: data to pre-train on and their parts: these are compared too, and all of
                each data set with the test images.
            with_pixels: look for near-identical images as well.
            seen: what the weights that the run starts with have learned from: all of each is
                compared with the test images.

        Returns:
            One sentence for each division or earlier data set that leaks.

        Raises:
            DataError: there are leaks and they are not allowed.
        """
        # Trials that differ only in what is labelled are one division.
        divisions = {trial.fingerprint: trial.parts for trial in trials}
        told = [self._judged(dataset, parts, with_pixels) for parts in divisions.values()]
        test = sorted({sample for trial in trials for sample in trial.test})
        for other, all_parts in earlier:
            used = {name: all_parts[name] for name in EARLIER_PARTS}
            told.append(self._judged(other, used, with_pixels))
            told.append(self._judged_between(other, dataset, test, with_pixels))
        told += [self._judged_between(other, dataset, test, with_pixels) for other in seen]
        return tuple(filter(None, told))

    def _judged(
        self, dataset: Dataset, parts: Mapping[str, Sequence[str]], with_pixels: bool
    ) -> str:
        def find() -> pd.DataFrame:
            pixels = self.decoded(dataset) if with_pixels else None
            return leaks.find(dataset, parts, pixels, self.display.track)

        found = _remembered(find, with_pixels, dataset.fingerprint, dict(parts))
        return self._told(found, dataset, parts)

    def _judged_between(
        self, other: Dataset, dataset: Dataset, test: list[str], with_pixels: bool
    ) -> str:
        def find() -> pd.DataFrame:
            theirs, ours = (self.decoded(d) if with_pixels else None for d in (other, dataset))
            return leaks.between(other, dataset, test, theirs, ours, self.display.track)

        found = _remembered(find, with_pixels, other.fingerprint, dataset.fingerprint, test)
        return self._told(found, dataset, {"test": test}, other)

    def _told(
        self,
        found: pd.DataFrame,
        dataset: Dataset,
        parts: Mapping[str, Sequence[str]],
        earlier: Dataset | None = None,
    ) -> str:
        if not self.allowed:
            leaks.refuse(found, dataset, parts, earlier)
        return leaks.summary(found, parts, self.allowed)

    def _united(self, dataset: Dataset) -> Dataset:
        return drawing.united(dataset, self.decoded(dataset), self.display.track)


def _remembered(find: Callable[[], pd.DataFrame], *question: Any) -> pd.DataFrame:
    """What `find` gives, from the cache folder where the same was asked before."""
    digest = hashlib.sha256(json.dumps([leaks.VERSION, *question]).encode()).hexdigest()
    path = cache_folder() / "leaks" / f"{digest[:32]}.csv"
    if path.is_file():
        try:
            kept = pd.read_csv(path, dtype=str, keep_default_na=False)
            similarity = pd.to_numeric(kept["similarity"].replace("", "nan"))
            return kept.assign(similarity=similarity)[list(leaks.COLUMNS)]
        except (KeyError, ValueError, ParserError):
            path.unlink()  # damaged: asked anew
    found = find()
    write_text(path, found.to_csv(index=False))
    return found


def refuse_another(record: Record, name: str, protocol: Mapping[str, Any]) -> None:
    """Refuse a run that is not the one of a record, because of what was read or of the version.

    Args:
        record: of the run that is meant.
        name: the id that the run at hand would have.
        protocol: what that id stands for besides the settings, see `config.run_id`.

    Raises:
        UserError: names what differs.
    """
    if name == record.run_id:
        return
    wanted = {
        "the weights that it starts with": record.weights.identity,
        "the version of the task": record.task_version,
        "the data set (ids, labels, groups, parts or bytes)": record.data.fingerprint,
        "the split": [trial.split_fingerprint for trial in record.trials],
        "the data sets of the pre-training": [each.fingerprint for each in record.pretraining],
    }
    found = (protocol[key] for key in ("weights", "task_version", "data", "splits", "pretraining"))
    differing = [
        what for (what, value), own in zip(wanted.items(), found, strict=True) if own != value
    ]
    what = " and ".join(differing) or "what this version of DermBench makes of the settings"
    raise UserError(
        f"this would not be run {record.run_id} of DermBench {record.benchmark_version} again:"
        f" {what} differ{'' if len(differing) > 1 else 's'}"
    )
