"""Numbers that others published, as rows of the table. They are never ranked with ours.

The figures lie in `reported/`, each with where it was printed.
"""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from benchmark.leaderboard.columns import COLUMNS, SPREAD, digest, score
from benchmark.metrics.statistics import Estimate


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Figure(_Part):
    """A mean over runs with their sample standard deviation (n - 1), None where none was given."""

    mean: float
    sd: float | None = None


class Setting(_Part):
    """The rows of one setting of training: architecture to metric to figure, by our names.

    `images` counts the test images, `runs` what the figures are means of, None where it was not
    found. `sources` says for the metrics of the explanation and of the diagnosis where they were
    printed.
    """

    setting: str
    images: int
    runs: int | None
    sources: dict[str, str]
    caveats: tuple[str, ...]
    rows: dict[str, dict[str, Figure]]


class Publication(_Part):
    """One benchmark as others published it, and what a reader must know to read its numbers.

    It stands beside our rows of its task and data set, where `images` is given beside those of as
    many test images alone: a layout may hold several data sets. With `alone` it has a section of
    its own on a board that has no such rows.
    """

    title: str
    paper: str
    task: str
    dataset: str
    framework: str
    headline: str
    images: int | None
    alone: bool
    caveats: tuple[str, ...]
    settings: tuple[Setting, ...]

    @property
    def opening(self) -> str:
        """What these rows are, in a sentence or two."""
        told = (
            f"Printed by others ({self.paper}), in {self.framework}, not run here and not ranked."
        )
        figures = (f for each in self.settings for row in each.rows.values() for f in row.values())
        if all(figure.sd is None for figure in figures):
            return told
        return f"{told} ± is the standard deviation over runs, not an interval."

    @property
    def points(self) -> list[str]:
        """What a reader must know, and where the numbers were printed, one sentence each."""
        found = list(self.caveats)
        for each in self.settings:
            found += [f"{each.setting}: {caveat}" for caveat in each.caveats]
            found += [f"{each.setting}, {what}: {where}" for what, where in each.sources.items()]
        return found

    def metrics(self, rows: pd.DataFrame) -> list[str]:
        """The metrics that reported rows of the table have, headline first, then by name."""
        every = {m for each in self.settings for row in each.rows.values() for m in row}
        found = [name for name in rows.columns if name in every]
        return sorted(found, key=lambda name: (name != self.headline, name))

    def concerns(self, table: pd.DataFrame) -> bool:
        """Whether rows of runs in the table stand on the data of which it speaks."""
        return bool(self._ours(table).any())

    def beside(self, table: pd.DataFrame) -> list[dict[str, Any]]:
        """Its rows for each section of the table that it concerns, for `columns.add_rows`.

        In the order of the file's settings and, within one, by headline.
        """
        places = table[self._ours(table)][COLUMNS.section].unique()
        return [row for place in places for row in self._rows(place)]

    def apart(self) -> list[dict[str, Any]]:
        """Its rows in a section of their own."""
        return self._rows(digest(["reported", self.title])[:8])

    def _ours(self, table: pd.DataFrame) -> "pd.Series[bool]":
        ours = (table[COLUMNS.task] == self.task) & (table[COLUMNS.dataset] == self.dataset)
        return ours if self.images is None else ours & (table[COLUMNS.n_images] == self.images)

    def _rows(self, section: str) -> list[dict[str, Any]]:
        return [
            _row(self, each, arch, figures) | {COLUMNS.section: section}
            for each in self.settings
            for arch, figures in sorted(
                each.rows.items(), key=lambda item: (-item[1][self.headline].mean, item[0])
            )
        ]


@cache
def publications() -> tuple[Publication, ...]:
    """Every benchmark of which numbers are kept, by the name of its file."""
    folder = resources.files("benchmark.leaderboard").joinpath("reported")
    files = sorted(folder.iterdir(), key=lambda file: file.name)
    return tuple(
        Publication.model_validate_json(file.read_text(encoding="utf-8"))
        for file in files
        if file.name.endswith(".json")
    )


def publication_of(rows: pd.DataFrame) -> Publication:
    """Whose rows these reported rows of one section are."""
    first = rows.iloc[0]
    at = (first[COLUMNS.task], first[COLUMNS.dataset])
    return next(each for each in publications() if (each.task, each.dataset) == at)


def figure_told(row: Mapping[str, Any] | pd.Series, metric: str) -> tuple[str, str]:
    """A reported row's mean of a metric and its deviation, "" where none was given."""
    spread = row.get(f"{metric}{SPREAD}", np.nan)
    return f"{row[metric]:.3f}", "" if pd.isna(spread) else f"± {spread:.3f}"


def reported_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """What others published on the data of the table's sections, for `columns.add_rows`."""
    return [row for each in publications() for row in each.beside(table)]


def _row(
    about: Publication, setting: Setting, arch: str, figures: dict[str, Figure]
) -> dict[str, Any]:
    row: dict[str, Any] = {
        COLUMNS.task: about.task,
        COLUMNS.dataset: about.dataset,
        COLUMNS.headline: about.headline,
        COLUMNS.kind: "reported",
        COLUMNS.name: setting.setting,
        COLUMNS.arch: arch,
        COLUMNS.framework: about.framework,
        COLUMNS.n_seeds: setting.runs,
        COLUMNS.n_images: setting.images,
        COLUMNS.source: "; ".join([about.paper, *setting.sources.values()]),
    }
    for metric, figure in figures.items():
        row |= score(metric, Estimate(figure.mean, np.nan, np.nan, setting.images, 0))
        if figure.sd is not None:
            row[f"{metric}{SPREAD}"] = figure.sd
    return row
