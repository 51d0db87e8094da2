"""A part of the board: the records that may stand side by side, and what is made of them.

A board is made part by part, so that memory holds the records of one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from benchmark.leaderboard.columns import COLUMNS
from benchmark.leaderboard.contested import Contested
from benchmark.leaderboard.curves import Curve
from benchmark.leaderboard.fractions import LabelCurve
from benchmark.leaderboard.learning import Learning
from benchmark.leaderboard.tradeoffs import Tradeoff
from benchmark.records.record import Record

# Trial -> name -> table, such as "per_class", with its index as a column.
Tables = Mapping[str, Mapping[str, pd.DataFrame]]

# Rows of one kind that a section shows on a page, and on that of a board of more than so many
# records, whose sections are many (ours): the others are in the table.
MOST_ROWS, FEW_ROWS, MANY_RECORDS = 100, 10, 5000


def rows_shown(records: int) -> int:
    """How many rows of one kind a section shows on the pages that show all sections."""
    return MOST_ROWS if records <= MANY_RECORDS else FEW_ROWS


@dataclass(frozen=True)
class Part:
    """Records that agree in task, its version and data; no section or curve joins two parts.

    Attributes:
        records: every one that can be read, those that are in no row among them.
        table: of `build_table`, with the rows that are not runs.
        plots: by `section_id` the plot, relative to the leaderboard.
        notes: by `section_id` what the section's table can show, what it lacks, and why.
        leaks: of `leaks_told`.
        curves: each stands above the first of its sections.
        below: by `section_id` the plots that stand below its table.
        problems: a sentence for each floor or ceiling that was left out.
        contested: the notes on records, of this part or another.
        tables: by run id, trial and name those of submissions, which have no run folder.
    """

    records: Sequence[Record]
    table: pd.DataFrame
    plots: Mapping[str, str]
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    leaks: Mapping[str, Sequence[str]] = field(default_factory=dict)
    curves: Sequence[Curve | LabelCurve] = ()
    below: Mapping[str, Sequence[Tradeoff | Learning]] = field(default_factory=dict)
    problems: Sequence[str] = ()
    contested: Contested = field(default_factory=Contested)
    tables: Mapping[str, Tables] = field(default_factory=dict)

    @property
    def pictures(self) -> list[str]:
        """Every picture, relative to the leaderboard."""
        below = (each for every in self.below.values() for each in every)
        return [*self.plots.values(), *(each.plot for each in (*self.curves, *below))]


@dataclass(frozen=True)
class Summary:
    """What a table holds, whichever part of it: its rows that are runs or submissions.

    `runs` counts the seeds of the runs, `submitted` the submissions.

    `oldest` and `newest` are of the newest record of each row, "" where there is none.
    """

    rows: int = 0
    runs: int = 0
    submitted: int = 0
    oldest: str = ""
    newest: str = ""
    versions: frozenset[str] = frozenset()

    @classmethod
    def of(cls, table: pd.DataFrame) -> "Summary":
        """What a table holds."""
        rows = table[table[COLUMNS.kind] == "run"]
        submitted = rows[COLUMNS.submitted] == "yes"
        return cls(
            len(rows),
            int(rows[COLUMNS.n_seeds][~submitted].sum()),
            int(submitted.sum()),
            min(rows[COLUMNS.created], default=""),
            max(rows[COLUMNS.created], default=""),
            frozenset(v for text in rows[COLUMNS.benchmark_versions] for v in text.split()),
        )

    def __add__(self, other: "Summary") -> "Summary":
        return Summary(
            self.rows + other.rows,
            self.runs + other.runs,
            self.submitted + other.submitted,
            # "" is no date.
            min(filter(None, (self.oldest, other.oldest)), default=""),
            max(self.newest, other.newest),
            self.versions | other.versions,
        )
