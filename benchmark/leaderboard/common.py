"""The common-correct view: networks compared on the images that all of them diagnose correctly."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from benchmark.errors import UserError
from benchmark.leaderboard.columns import COLUMNS, COMMON, frame, score
from benchmark.metrics.statistics import Estimate
from benchmark.records.folder import RunFolder
from benchmark.records.record import Record

_TASK = "explainability"
# Faults that a note spells out; the rest is counted.
_NAMED = 3


def add_common(
    table: pd.DataFrame, records: Iterable[Record], results: str | Path
) -> tuple[pd.DataFrame, dict[str, str]]:
    """The table of runs with the mean F1 of each row over the images its section has in common.

    A common image is diagnosed correctly by every seed of every ranked row of the section (ours);
    of a run with several trials each trial's images count. A row's value is the mean over its
    seeds. It has no interval: run folders do not say which images belong together. Submissions have
    no run folders, and no such value.

    Args:
        table: of `build_table`.
        records: those in the table, or more.
        results: the folder in which v1/runs lies.

    Returns:
        The table with the columns of `COMMON`, and by section a sentence that says why there is no
        value. One run folder too few leaves the whole section without: its images would be others.
    """
    by_id = {record.run_id: record for record in records}
    runs = (table[COLUMNS.task] == _TASK) & (table[COLUMNS.submitted] == "")
    ranked = table[runs & table[COLUMNS.rank].notna()]
    unknown = score(COMMON, Estimate(np.nan, np.nan, np.nan, 0, 0))
    found: dict[int, dict[str, Any]] = {at: unknown for at in ranked.index}
    notes = {}
    for section, rows in ranked.groupby(COLUMNS.section, sort=False):
        runs, faults = {}, []
        for run in " ".join(rows[COLUMNS.run_ids]).split():
            try:
                runs[run] = _per_image(by_id[run], Path(results))
            except UserError as error:
                faults.append(str(error))
        first = next(iter(runs.values()), pd.DataFrame())
        for name, run in runs.items():
            if set(run.index) != set(first.index):
                faults.append(f"run {name} (other images than the first)")
        if faults:
            notes[str(section)] = _note(faults)
            continue
        correct = pd.concat([run["correct"] for run in runs.values()], axis=1)
        common = correct.index[correct.all(axis=1)]
        if common.empty:
            notes[str(section)] = "No image is diagnosed correctly by every seed of every row."
        for at, ids in rows[COLUMNS.run_ids].items():
            means = [runs[run].loc[common, "network_f1"].mean() for run in ids.split()]
            value = Estimate(float(np.mean(means)), np.nan, np.nan, len(common), 0)
            found[at] = score(COMMON, value) | {COLUMNS.n_common: len(common)}
    rows_with = [row | found.get(at, {}) for at, row in enumerate(table.to_dict("records"))]
    return frame(rows_with), notes


def _per_image(record: Record, results: Path) -> pd.DataFrame:
    """Of one run, by trial and image: `correct` bool and `network_f1` float.

    Raises:
        UserError: a file is missing or holds something else.
    """
    try:
        folder = RunFolder.of_record(results, record).path
    except ValidationError:
        raise UserError(f"run {record.run_id} (its settings are of another version)") from None
    return pd.concat(
        {t.name: _read(folder / t.name / "per_image.csv", results) for t in record.trials}
    )


def _read(file: Path, results: Path) -> pd.DataFrame:
    # Relative to the results: a page that is published names nobody's folders.
    name = file.relative_to(results).as_posix()
    try:
        table = pd.read_csv(
            file,
            usecols=["id", "correct", "network_f1"],
            dtype={"id": str, "correct": bool, "network_f1": float},
            keep_default_na=False,
            na_values={"network_f1": [""]},
            index_col="id",
        )
    except FileNotFoundError:
        raise UserError(f"{name} (missing)") from None
    except OSError as error:
        raise UserError(f"{name} ({error.strerror})") from None
    except ValueError as error:
        # A parser's message may run over several lines.
        raise UserError(f"{name} ({str(error).splitlines()[0]})") from None
    if table.index.has_duplicates:
        raise UserError(f"{name} (an id twice)")
    return table


def _note(faults: list[str]) -> str:
    more = f" and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
    return (
        "The common-correct F1 needs the run folder of every ranked row. Not usable:"
        f" {'; '.join(faults[:_NAMED])}{more}."
    )
