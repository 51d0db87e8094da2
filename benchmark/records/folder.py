"""The folder of one run: all that is needed to score it again and to look at it.

config.json, environment.json, record.json; and per trial predictions.csv, maps.npz,
history-STAGE.csv, the score's tables, weights.safetensors and plots/. The tables and plots/ of
several trials together lie beside config.json. Checkpoints lie in checkpoints/ until the run is
finished.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.common import locks
from benchmark.common.files import atomic_path, write_json, write_text
from benchmark.config import RunConfig
from benchmark.errors import RunInProgressError
from benchmark.records import environment
from benchmark.records.record import Record

_CHECKPOINTS = "checkpoints"
# Tells there that they are of a run with --overwrite.
_ANEW = "anew"


class RunFolder:
    """Names and writes the files of one run below `out`/v1/runs."""

    def __init__(self, out: str | Path, config: RunConfig, run_id: str) -> None:
        # Archives and other file systems take no colon, as in "timm:resnet18".
        arch = config.arch.replace(":", "-")
        name = f"{config.task}-{arch}-{config.framework}-{config.dataset}-{run_id}"
        self.path = Path(out) / "v1" / "runs" / name

    @classmethod
    def of_record(cls, out: str | Path, record: Record) -> "RunFolder":
        """The folder of a run that is done.

        Raises:
            UserError: as `Record.settings`.
        """
        return cls(out, record.settings, record.run_id)

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """While the body runs no other process computes this run.

        Raises:
            RunInProgressError: another one does.
            UserError: the folder cannot be written.
        """
        with locks.held(self.path / "run.lock") as free:
            if not free:
                raise RunInProgressError(
                    f"another process is computing this run in {self.path}: wait for it, or stop it"
                )
            yield

    def start(self, config: RunConfig, overwrite: bool) -> None:
        """Write what is known before training; with `overwrite`, forget earlier checkpoints.

        But not those of an earlier try with `overwrite`, which this one continues.

        Raises:
            UserError: the folder cannot be written.
        """
        if overwrite and not begun_anew(self.path):
            shutil.rmtree(self.path / _CHECKPOINTS, ignore_errors=True)
            write_text(self.path / _CHECKPOINTS / _ANEW, "")
        write_json(self.path / "config.json", config.model_dump(mode="json"))
        write_json(self.path / "environment.json", environment.packages())

    def finish(self, record: Record) -> None:
        """Write the record and drop the checkpoints, which nothing needs any more."""
        write_json(self._record, record.model_dump(mode="json"))
        shutil.rmtree(self.path / _CHECKPOINTS, ignore_errors=True)

    def update(self, record: Record) -> None:
        """Write the record anew where there is one: a run's folder may be gone, or elsewhere."""
        if self._record.is_file():
            write_json(self._record, record.model_dump(mode="json"))

    @property
    def finished(self) -> bool:
        """Whether there is nothing left for `finish`; so where there is no folder at all."""
        return not self.path.exists() or (
            self._record.is_file() and not (self.path / _CHECKPOINTS).exists()
        )

    @property
    def _record(self) -> Path:
        return self.path / "record.json"

    def checkpoint(self, stage: str) -> Path:
        """Where a stage keeps its state between two steps; the one before lies beside it."""
        return self.path / _CHECKPOINTS / f"{stage}.safetensors"

    def weights(self, name: str) -> Path:
        """Where trained weights are kept."""
        return self.path / name / "weights.safetensors"

    def pictures(self, trial: str = "") -> Path:
        """The folder of a trial's pictures, or of those of the whole run."""
        return self.path / trial / "plots"

    def drawings(self) -> list[Path]:
        """Every picture that was drawn, by name, those of the whole run first."""
        return [
            p for where in ("plots", "*/plots") for p in sorted(self.path.glob(f"{where}/*.png"))
        ]

    def tables(self) -> list[Path]:
        """The tables of the whole run, by name."""
        return sorted(self.path.glob("*.csv"))

    def pages(self) -> list[Path]:
        """Every page that shows pictures."""
        return sorted(self.path.glob("*/plots/*.html"))

    def save_history(self, trial: str, stage: str, epochs: Sequence[dict[str, Any]]) -> None:
        """One CSV row per epoch."""
        _write_csv(pd.DataFrame(epochs), self.path / trial / f"history-{stage}.csv", index=False)

    def save_tables(self, trial: str, tables: dict[str, pd.DataFrame]) -> None:
        """The tables behind a trial's score, one CSV each; trial "" is the whole run."""
        for name, table in tables.items():
            _write_csv(table, self.path / trial / f"{name}.csv")

    def save_predictions(
        self,
        trial: str,
        ids: Sequence[str],
        labels: Sequence[int],
        classes: Sequence[str],
        probabilities: np.ndarray,
    ) -> None:
        """predictions.csv: id, true class, then a probability per class.

        Nine significant digits, so that every float32 is read back exactly.
        """
        table = pd.DataFrame(probabilities, columns=list(classes))
        table.insert(0, "id", list(ids))
        table.insert(1, "true", [classes[label] for label in labels])
        target = self.path / trial / "predictions.csv"
        _write_csv(table, target, index=False, float_format="%.9g")

    def save_maps(self, trial: str, ids: Sequence[str], maps: Mapping[str, np.ndarray]) -> None:
        """maps.npz: `ids` (N,) text and each array of `maps`; no pickled objects."""
        arrays: dict[str, Any] = {"ids": np.asarray(ids, np.str_), **maps}
        with atomic_path(self.path / trial / "maps.npz") as temporary:
            np.savez_compressed(temporary, **arrays)


def begun_anew(run_folder: Path) -> bool:
    """Whether a run with --overwrite was begun there and has not come to its end."""
    return (run_folder / _CHECKPOINTS / _ANEW).is_file()


def _write_csv(
    table: pd.DataFrame, target: Path, index: bool = True, float_format: str | None = None
) -> None:
    with atomic_path(target) as temporary:
        table.to_csv(temporary, index=index, float_format=float_format)
