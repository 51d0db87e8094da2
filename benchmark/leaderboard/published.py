"""Numbers that others published, as rows of the table. They are never ranked with ours.

The figures lie in `reported/`, each with where it was printed.
"""

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
    """A mean over runs with their sample standard deviation (n - 1)."""

    mean: float
    sd: float


class Stage(_Part):
    """The rows of one stage of training: architecture to metric to figure, by our names.

    `images` counts the test images, `runs` what the figures are means of. `sources` says for the
    metrics of the explanation and of the diagnosis where they were printed.
    """

    stage: str
    images: int
    runs: int
    sources: dict[str, str]
    caveats: tuple[str, ...]
    rows: dict[str, dict[str, Figure]]


class Publication(_Part):
    """One benchmark as others published it, and what a reader must know to read its numbers."""

    title: str
    paper: str
    task: str
    dataset: str
    framework: str
    headline: str
    caveats: tuple[str, ...]
    stages: tuple[Stage, ...]

    @property
    def points(self) -> list[str]:
        """What a reader must know, and where the numbers were printed, one sentence each."""
        found = list(self.caveats)
        for stage in self.stages:
            found += [f"{stage.stage}: {caveat}" for caveat in stage.caveats]
            found += [f"{stage.stage}, {what}: {where}" for what, where in stage.sources.items()]
        return found

    def metrics(self, rows: pd.DataFrame) -> list[str]:
        """The metrics that reported rows of the table can have, headline first."""
        found = [c.removesuffix(SPREAD) for c in rows.columns if c.endswith(SPREAD)]
        return sorted(found, key=lambda name: (name != self.headline, name))


@cache
def publication() -> Publication:
    """The DermXDB explainability benchmark's own numbers, from its repository."""
    file = resources.files("benchmark.leaderboard").joinpath("reported", "dermxdb-2023.json")
    return Publication.model_validate_json(file.read_text(encoding="utf-8"))


def concerned(table: pd.DataFrame) -> bool:
    """Whether the table has rows of the task and the data set of which numbers were published."""
    return bool(_ours(table).any())


def _ours(table: pd.DataFrame) -> "pd.Series[bool]":
    about = publication()
    return (table[COLUMNS.task] == about.task) & (table[COLUMNS.dataset] == about.dataset)


def reported_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The published rows for each section of that task and data set; without one, for their own.

    Returns:
        Rows for `columns.add_rows`, in the order of the file's stages and, within one, by headline.
    """
    about = publication()
    ours = table[_ours(table)]
    own = digest(["reported", about.title])[:8]
    places = ours[COLUMNS.section].unique() if len(ours) else [own]
    return [
        _row(about, stage, arch, figures) | {COLUMNS.section: place}
        for place in places
        for stage in about.stages
        for arch, figures in sorted(
            stage.rows.items(), key=lambda item: (-item[1][about.headline].mean, item[0])
        )
    ]


def _row(about: Publication, stage: Stage, arch: str, figures: dict[str, Figure]) -> dict[str, Any]:
    row: dict[str, Any] = {
        COLUMNS.task: about.task,
        COLUMNS.dataset: about.dataset,
        COLUMNS.headline: about.headline,
        COLUMNS.kind: "reported",
        COLUMNS.name: stage.stage,
        COLUMNS.arch: arch,
        COLUMNS.framework: about.framework,
        COLUMNS.n_seeds: stage.runs,
        COLUMNS.n_images: stage.images,
        COLUMNS.source: "; ".join([about.paper, *stage.sources.values()]),
    }
    for metric, figure in figures.items():
        row |= score(metric, Estimate(figure.mean, np.nan, np.nan, stage.images, 0))
        row[f"{metric}{SPREAD}"] = figure.sd
    return row
