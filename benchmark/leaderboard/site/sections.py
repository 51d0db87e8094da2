"""The sections of the board as the site shows them: one per protocol and data set."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from benchmark.common.wording import counted
from benchmark.leaderboard.columns import (
    COLUMNS,
    COMMON,
    P_AGAINST_BEST,
    against_best,
    metric_columns,
    milliseconds,
)
from benchmark.leaderboard.contested import Note
from benchmark.leaderboard.marks import mark, numbers
from benchmark.leaderboard.plot_style import question
from benchmark.leaderboard.published import figure_told, publication_of
from benchmark.leaderboard.report import CAVEATS
from benchmark.leaderboard.shown import shown_metrics
from benchmark.leaderboard.site.grid import Cell, Column, Table, count, metric_head, score, table
from benchmark.leaderboard.site.names import Pages
from benchmark.leaderboard.site.pictures import Picture
from benchmark.leaderboard.table import leading, section_id, varying_settings
from benchmark.metrics.names import title

_LEAKS = "Not to be compared with other sections, because leaks reward memory."
# The key of a row under which its settings are told, as far as rows differ in them.
_SETTINGS = "settings that differ"
# And what must be seen at its name.
_MARK = "mark"
# One row of the table by column; every column of the table is there.
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Reported:
    """Numbers that others printed, which stand apart: their table and what to know of them."""

    title: str
    about: str
    table: Table
    points: tuple[str, ...]


@dataclass(frozen=True)
class Further:
    """A plot below a section's table: what is set against what, and how to read it."""

    title: str
    reading: str
    picture: Picture


@dataclass(frozen=True)
class Section:
    """One section of the board.

    Attributes:
        id: its anchor on the page.
        title: the question and what the runs started from, in words.
        about: what a reader must know, a sentence each.
        warnings: of leaks, above all else.
        notes: what the table can show, what it lacks and why.
        contested: the notes on its rows, each with the number at the row's name.
        picture: its plot.
        table: of runs, ceilings and floors; None where there are reported rows alone.
        reported: None where there are none.
        first: the best run in words with its score; "" without one.
        runs: how many rows are runs.
        page: that shows the rows that are left out here, "" where none are.
        further: more plots.
    """

    id: str
    title: str
    about: tuple[str, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    contested: tuple[tuple[int, Note], ...]
    picture: Picture
    table: Table | None
    reported: Reported | None
    first: str
    runs: int
    page: str = ""
    further: tuple[Further, ...] = ()

    def cut(self, most: int, page: str = "") -> "Section":
        """The section with the first rows of each kind alone; the others are on the page."""
        if self.table is None:
            return self
        table = self.table.cut(most)
        return replace(self, table=table, page=page if table.left_out else "")


def anchor(section: str) -> str:
    """Where on the board's page a section begins."""
    return f"section-{section}"


def view(
    section: pd.DataFrame,
    picture: Picture,
    notes: Sequence[str],
    leaks: Sequence[str],
    pages: Pages,
    contested: Sequence[tuple[int, Note]] = (),
    further: Sequence[Further] = (),
) -> Section:
    """One section of the table, of `table.sections`, as the page shows it."""
    own, called = section_id(section), question(section)
    reported = section[section[COLUMNS.kind] == "reported"]
    ours = section[section[COLUMNS.kind] != "reported"]
    apart = _reported(reported, own) if len(reported) else None
    if ours.empty:
        alone = Section(anchor(own), called, (), (), (), (), picture, None, apart, "", 0)
        return replace(alone, further=tuple(further))
    first = leading(section).iloc[0]
    ranked_by = title(first[COLUMNS.headline])
    grid, shared = _table(ours, f"Ranked by {ranked_by}", pages)
    about = [
        f"Ranked by {ranked_by}.",
        f"Data {first[COLUMNS.data][:8]}, split {first[COLUMNS.split][:8]}.",
        *([_told(shared)] if shared else []),
        *filter(None, [CAVEATS.get(first[COLUMNS.weights], "").strip()]),
    ]
    return Section(
        id=anchor(own),
        title=called,
        about=tuple(about),
        warnings=(_LEAKS, *leaks) if leaks else (),
        notes=tuple(notes),
        contested=tuple(contested),
        picture=picture,
        table=grid,
        reported=apart,
        first=_first(ours),
        runs=int((ours[COLUMNS.kind] == "run").sum()),
        further=tuple(further),
    )


def _told(shared: Mapping[str, str]) -> str:
    return f"The same in every row: {', '.join(f'{k} {v}' for k, v in shared.items())}."


def _first(ours: pd.DataFrame) -> str:
    ranked = ours[ours[COLUMNS.rank] == 1]
    if ranked.empty:
        return ""
    best = ranked.iloc[0]
    also = f" and {len(ranked) - 1} more" if len(ranked) > 1 else ""
    who = ", ".join(best[c] for c in (COLUMNS.arch, COLUMNS.framework, COLUMNS.method))
    return f"{who}{also}: {score(*_numbers(best, best[COLUMNS.headline])).text}"


def _table(ours: pd.DataFrame, caption: str, pages: Pages) -> tuple[Table, dict[str, str]]:
    runs = ours[ours[COLUMNS.kind] == "run"]
    told = dict(zip(runs.index, varying_settings(runs), strict=True)) if len(runs) else {}
    columns = [*_telling(pages), *_costs(runs), *_scores(ours), *_counts(pages)]
    number = numbers(ours)
    rows = [
        row | {_SETTINGS: told.get(at, ""), _MARK: mark(row, number.get(at))}
        for at, row in _rows(ours)
    ]
    kinds = {kind: [r for r in rows if r[COLUMNS.kind] == kind] for kind in ours[COLUMNS.kind]}
    return table(f"table-{section_id(ours)}", caption, columns, kinds.items())


def _rows(rows: pd.DataFrame) -> list[tuple[Any, dict[str, Any]]]:
    return list(zip(rows.index, rows.to_dict("records"), strict=True))


# The columns, in three blocks. One more column is one more line here.


def _telling(pages: Pages) -> list[Column[Row]]:
    """What a row is."""
    return [
        Column("rank", _rank, number=True),
        Column("against the best", _against_best, always=False),
        Column("architecture", _name(pages), names=True),
        Column("framework", _text(COLUMNS.framework)),
        Column("method", _linked(COLUMNS.method, "method", pages)),
        Column("weights", _text(COLUMNS.weights_source), always=False),
        Column("image size", _text(COLUMNS.image_size), always=False),
        Column("budget", _text(COLUMNS.budget), always=False),
        Column("epochs", _text(COLUMNS.epochs), number=True, always=False),
        Column("settings", _text(_SETTINGS), always=False),
    ]


def _costs(runs: pd.DataFrame) -> list[Column[Row]]:
    """What rows differ in that is set against their score below the table."""
    found: list[Column[Row]] = []
    if runs[COLUMNS.parameters].nunique() > 1:
        found.append(Column("parameters", _parameters, number=True))
    if runs[COLUMNS.seconds].notna().any():
        found.append(Column("ms per image", _milliseconds, number=True))
    return found


def _scores(ours: pd.DataFrame) -> list[Column[Row]]:
    """The metrics to show, the headline drawn as well."""
    headline = leading(ours)[COLUMNS.headline].iloc[0]
    ends = ours[[c for c in metric_columns(headline) if c in ours]].to_numpy(float)
    low, high = pd.Series(ends.ravel()).min(), pd.Series(ends.ravel()).max()
    columns: list[Column[Row]] = []
    for metric in shown_metrics(ours):
        head, smaller = metric_head(metric)
        common = ours[COLUMNS.n_common].max()
        if metric == COMMON and pd.notna(common):
            head = f"{head} ({counted(common, 'image')})"
        scale = (float(low), float(high)) if metric == headline else None
        columns.append(Column(head, _metric(metric, scale), number=True, rising=smaller))
    return columns


def _counts(pages: Pages) -> list[Column[Row]]:
    """What the scores are means of."""
    return [
        Column("images", lambda row: _count(row, COLUMNS.n_images), number=True, rising=False),
        Column("groups", lambda row: _count(row, COLUMNS.n_groups), number=True, rising=False),
        Column("seeds", seeds(pages), number=True, rising=False),
    ]


def _is_run(row: Row) -> bool:
    return bool(row[COLUMNS.kind] == "run")


def _parameters(row: Row) -> Cell:
    return _count(row, COLUMNS.parameters) if _is_run(row) else Cell("")


def _milliseconds(row: Row) -> Cell:
    told = milliseconds(row)
    return Cell(told, order=1000 * row[COLUMNS.seconds]) if told else _missing(row)


def _missing(row: Row) -> Cell:
    return Cell("-" if _is_run(row) else "")


def _rank(row: Row) -> Cell:
    if not _is_run(row):
        return Cell(row[COLUMNS.kind])
    rank, first, last = (row[c] for c in (COLUMNS.rank, COLUMNS.rank_first, COLUMNS.rank_last))
    return count(rank) if pd.isna(first) else replace(count(rank), note=f"{first} to {last}")


def _against_best(row: Row) -> Cell:
    p = row.get(P_AGAINST_BEST)
    return Cell(against_best(row), order=None if p is None or pd.isna(p) else float(p))


def _name(pages: Pages) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        if not _is_run(row):
            return Cell(row[COLUMNS.name])
        page = pages.thing("architecture", row[COLUMNS.arch])
        return Cell(row[COLUMNS.arch], row[_MARK], page=page)

    return cell


def _text(column: str) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        # An untrained network's framework is in its name.
        apart = column == COLUMNS.framework and not _is_run(row)
        return Cell("" if apart else row[column])

    return cell


def _linked(column: str, kind: str, pages: Pages) -> Callable[[Row], Cell]:
    return lambda row: Cell(row[column], page=pages.thing(kind, row[column]))


def _metric(metric: str, scale: tuple[float, float] | None) -> Callable[[Row], Cell]:
    return lambda row: score(*_numbers(row, metric), scale)


def _numbers(row: Row | pd.Series, metric: str) -> tuple[float, float, float]:
    value, low, high = (float(row.get(c, float("nan"))) for c in metric_columns(metric))
    return value, low, high


def _count(row: Row, column: str) -> Cell:
    return count(row[column]) if pd.notna(row[column]) else _missing(row)


def _aloud(row: Row, name: str) -> str:
    return f"submission {name}" if row[COLUMNS.submitted] else f"record of seed {name}"


def seeds(pages: Pages) -> Callable[[Row], Cell]:
    """A cell that says how many seeds a row is the mean of and links to the record of each."""

    def cell(row: Row) -> Cell:
        if not _is_run(row):
            return _count(row, COLUMNS.n_seeds)
        links = tuple(
            (pages.seeds[run], _aloud(row, pages.seeds[run]), pages.records[run])
            for run in row[COLUMNS.run_ids].split()
            if run in pages.records
        )
        number = int(row[COLUMNS.n_seeds])
        return Cell(f"{number}", order=float(number), more=links)

    return cell


def _reported(rows: pd.DataFrame, section: str) -> Reported:
    about = publication_of(rows)
    columns: list[Column[Row]] = [
        Column("setting", _text(COLUMNS.name)),
        Column("architecture", lambda row: Cell(row[COLUMNS.arch]), names=True),
        Column("test images", lambda row: count(row[COLUMNS.n_images]), number=True),
        Column("runs", lambda row: _count(row, COLUMNS.n_seeds), number=True),
    ]
    for metric in about.metrics(rows):
        head, smaller = metric_head(metric)
        columns.append(Column(head, _spread(metric), number=True, rising=smaller))
    called = f"Reported elsewhere: {about.title}"
    grid, _ = table(
        f"reported-{section}", called, columns, [("reported", [r for _, r in _rows(rows)])]
    )
    return Reported(
        title=called,
        about=about.opening,
        table=grid,
        points=tuple(about.points),
    )


def _spread(metric: str) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        return Cell(*figure_told(row, metric), float(row[metric]))

    return cell
