"""The board as a static site: one folder of pages that opens from disk, without a network.

Each module makes the view of one kind of page from the table and the records, `pages` turns views
into HTML, and `leaderboard.folder` writes it.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from benchmark.common.wording import counted
from benchmark.leaderboard import unfinished
from benchmark.leaderboard.columns import COLUMNS, metric_columns
from benchmark.leaderboard.contested import Note
from benchmark.leaderboard.critical_difference import Comparison
from benchmark.leaderboard.folder import OwnFolder
from benchmark.leaderboard.kept import Kept
from benchmark.leaderboard.marks import footnotes
from benchmark.leaderboard.opening import opening
from benchmark.leaderboard.part import Part, Summary, Tables
from benchmark.leaderboard.plot_style import question
from benchmark.leaderboard.site import curves, runs, sections, things
from benchmark.leaderboard.site.curves import CurveView
from benchmark.leaderboard.site.grid import Cell, Column, table
from benchmark.leaderboard.site.names import FOLDERS, SPOKEN, Pages
from benchmark.leaderboard.site.pages import STYLE, asset, page
from benchmark.leaderboard.site.pictures import Picture, copied, run_files
from benchmark.leaderboard.site.runs import Place
from benchmark.leaderboard.site.sections import Further, Section
from benchmark.leaderboard.table import section_id
from benchmark.leaderboard.table import sections as sections_of
from benchmark.metrics.names import title
from benchmark.records.attempts import Attempt
from benchmark.records.index import Head
from benchmark.records.record import Record

__all__ = ["Site"]

# Rows of one kind on a section's own page (ours); the others are in the table.
MOST_ROWS = 1000
# What pages tell of a row elsewhere than in its section, besides its headline.
_OF_PLACE = (
    *(COLUMNS.section, COLUMNS.task, COLUMNS.dataset, COLUMNS.headline, COLUMNS.kind),
    *(COLUMNS.rank, COLUMNS.rank_first, COLUMNS.rank_last, COLUMNS.arch, COLUMNS.framework),
    *(COLUMNS.method, COLUMNS.n_seeds, COLUMNS.run_ids, COLUMNS.submitted, COLUMNS.contested),
)


class Site:
    """Writes the site into a folder, part by part of the board.

    The same parts, plots and run folders give the same bytes.
    """

    def __init__(
        self,
        results: Path,
        root: Path,
        folder: OwnFolder,
        heads: Sequence[Head],
        most: int,
        kept: Kept,
    ) -> None:
        """Begin a site.

        Args:
            results: the folder in which v1/runs lies.
            root: the folder in which the plots lie.
            folder: of the site.
            heads: of every record that a part will have.
            most: rows of one kind that a section shows on the first page.
            kept: of the folder.
        """
        self._results, self._root, self._folder, self._most = results, root, folder, most
        self._pages, self._opening = Pages.of(heads), opening(heads)
        self._contents = {head.run_id: head.content for head in heads}
        self._kept = kept
        self._shown: list[tuple[list[CurveView], Section]] = []
        self._things = things.Found(things.Gathered)
        folder.write(STYLE, asset(STYLE).encode())

    def add(self, part: Part) -> None:
        """Write the pages of a part's records; its plots are drawn.

        Raises:
            UserError: the folder cannot be written.
        """
        self._shown += [self._section(section, part) for section in sections_of(part.table)]
        places = _places(part.table)
        of_runs = {run: place for place in places for run in place.row[COLUMNS.run_ids].split()}
        things.gather(self._things, part.records, places)
        for record in part.records:
            place = of_runs.get(record.run_id)
            notes = part.contested.of(record.run_id)
            name, made_of = f"{record.run_id}.json", self._made_of(record, place, notes)
            if not self._kept.unchanged(name, made_of):
                with self._kept.noting(name, made_of):
                    self._record(record, place, part.tables.get(record.run_id, {}), notes)
        self._kept.save()

    def finish(
        self,
        summary: Summary,
        comparisons: Sequence[Comparison],
        attempts: Sequence[Attempt],
        problems: Sequence[str],
    ) -> Path:
        """Write the pages that are of the whole board; the first one.

        Args:
            summary: of all parts.
            comparisons: over data sets; their diagrams are drawn.
            attempts: runs without a record, newest first.
            problems: a sentence for each row that was left out.

        Raises:
            UserError: the folder cannot be written.
        """
        for (kind, name), path in self._pages.things.items():
            thing = things.view(kind, name, self._things[kind, name], self._pages)
            heading = f"{SPOKEN[kind]} {name}"
            html = page("thing.html", heading, "../", thing=thing, spoken=SPOKEN[kind])
            self._folder.write(path, html)
        html = page(
            "index.html",
            "DermBench leaderboard",
            "",
            opening=self._opening,
            sections=self._shown,
            comparisons=[
                curves.comparison_view(each, self._plot(each.plot, each.alt), self._most)
                for each in comparisons
            ],
            things=[(SPOKEN[kind], _of_kind(kind, self._pages)) for kind in FOLDERS],
            summary=_told(summary, len(self._pages.records), len(self._shown)),
            unfinished=_unfinished(attempts),
            problems=problems,
        )
        self._folder.write("index.html", html)
        return self._folder.folder / "index.html"

    def _section(self, section: pd.DataFrame, part: Part) -> tuple[list[CurveView], Section]:
        """A section as the first page shows it, and the curves above it."""
        own = section_id(section)
        picture = self._plot(part.plots[own], _alt(section))
        above = [
            curves.view(curve, self._plot(curve.plot, ""), self._most)
            for curve in part.curves
            if curve.section == own
        ]
        notes, leaks = part.notes.get(own, ()), part.leaks.get(own, ())
        doubts = footnotes(section, part.contested)
        further = [
            Further(each.title, each.reading, self._plot(each.plot, each.alt))
            for each in part.below.get(own, ())
        ]
        whole = sections.view(section, picture, notes, leaks, self._pages, doubts, further)
        path = f"sections/{own}.html"
        shown = whole.cut(self._most, path)
        if shown.page:
            html = page("section.html", whole.title, "../", section=whole.cut(MOST_ROWS))
            self._folder.write(path, html)
        return above, shown

    def _made_of(self, record: Record, place: Place | None, notes: Sequence[Note]) -> object:
        """All that goes into the page of a record and the pictures on it."""
        inside = run_files(self._results, record)
        return self._contents[record.run_id], runs.on_board(place), inside, notes

    def _record(
        self, record: Record, place: Place | None, tables: Tables, notes: Sequence[Note]
    ) -> None:
        run = runs.view(record, self._results, self._folder, self._pages, place, tables, notes)
        html = page("run.html", run.title, "../", run=run)
        self._folder.write(self._pages.records[record.run_id], html)

    def _plot(self, path: str, alt: str) -> Picture:
        picture = copied(self._root / path, self._folder, path, alt)
        if picture is None:
            raise AssertionError(f"{path} was drawn a moment ago")
        return picture


def _places(table: pd.DataFrame) -> list[Place]:
    """The rows that are runs, in the order of the table."""
    found = []
    for section in sections_of(table):
        called = question(section)
        ranked = int(section[COLUMNS.rank].notna().sum())
        scores = metric_columns(section[COLUMNS.headline].iloc[0])
        rows = section[section[COLUMNS.kind] == "run"][[*_OF_PLACE, *scores]]
        found += [Place(row, called, ranked) for row in rows.to_dict("records")]
    return found


def _unfinished(attempts: Sequence[Attempt]) -> dict[str, object]:
    """The runs without a record: their table and what to know of it; empty without any."""
    if not attempts:
        return {}
    columns = [
        Column(name, _cell(tell), names=name == "run") for name, tell in unfinished.COLUMNS.items()
    ]
    rows = [("run", attempts[: unfinished.MOST_ROWS])]
    made, _ = table("unfinished-table", unfinished.TITLE, columns, rows)
    return {"title": unfinished.TITLE, "about": unfinished.about(attempts), "table": made}


def _cell(tell: Callable[[Attempt], str]) -> Callable[[Attempt], Cell]:
    return lambda attempt: Cell(tell(attempt))


def _of_kind(kind: str, pages: Pages) -> list[tuple[str, str]]:
    return [(name, path) for (each, name), path in pages.things.items() if each == kind]


def _alt(section: pd.DataFrame) -> str:
    """What a section's plot shows; the numbers stand in the table below it."""
    metric = section[COLUMNS.headline].iloc[0]
    rows = counted(int(section[metric].notna().sum()), "row")
    return f"Bar plot of {title(metric)}, best on top, of {rows}; the table below has the numbers."


def _told(summary: Summary, pages: int, count: int) -> list[tuple[str, str]]:
    """What the board holds, and how old it is by its records: no clock is asked.

    Args:
        summary: of all parts.
        pages: of records and submissions.
        count: of sections.
    """
    # Every submission is a row; of runs there may be records that are in none.
    sent = [("submissions", f"{summary.submitted:,}")] if summary.submitted else []
    return [
        ("records", f"{pages - summary.submitted:,}"),
        *sent,
        ("rows", f"{summary.rows:,}"),
        ("sections", f"{count:,}"),
        ("newest record", summary.newest[:10]),
        ("made by DermBench", ", ".join(sorted(summary.versions))),
    ]
