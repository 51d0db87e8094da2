"""The board as a static site: one folder of pages that opens from disk, without a network.

Each module makes the view of one kind of page from the table and the records, `pages` turns views
into HTML, and `folder` writes it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmark.leaderboard.columns import COLUMNS
from benchmark.leaderboard.plot_style import question
from benchmark.leaderboard.report import Above
from benchmark.leaderboard.site import curves, runs, sections, things
from benchmark.leaderboard.site.folder import SiteFolder, rebuilt
from benchmark.leaderboard.site.names import FOLDERS, SPOKEN, Pages
from benchmark.leaderboard.site.names import things as things_of
from benchmark.leaderboard.site.pages import STYLE, asset, page
from benchmark.leaderboard.site.pictures import Picture, copied
from benchmark.leaderboard.site.runs import Place
from benchmark.leaderboard.site.sections import Further
from benchmark.leaderboard.table import counted, section_id, title
from benchmark.leaderboard.table import sections as parts
from benchmark.leaderboard.tradeoffs import Tradeoff
from benchmark.records.record import Record

__all__ = ["Board", "write_site"]


@dataclass(frozen=True)
class Board:
    """What the site is made of.

    Attributes:
        table: of `build_table`, with the rows that are not runs.
        records: every one that can be read, those that are in no row among them.
        plots: by `section_id` the plot, relative to `results`/v1.
        notes: by `section_id` what the section's table can show, what it lacks, and why.
        leaks: of `leaks_told`.
        above: each stands above the first of its sections.
        problems: a sentence for each record or row that was left out.
        tradeoffs: by `section_id` what stands below its plot.
    """

    table: pd.DataFrame
    records: Sequence[Record]
    plots: Mapping[str, str]
    notes: Mapping[str, Sequence[str]]
    leaks: Mapping[str, Sequence[str]]
    above: Sequence[Above]
    problems: Sequence[str]
    tradeoffs: Mapping[str, Sequence[Tradeoff]]


def write_site(results: Path, board: Board) -> Path:
    """Write `results`/v1/site from the board, its plots and the run folders; its first page.

    The same board, plots and run folders give the same bytes. Pages of an earlier build that this
    one does not write are removed; files that no build wrote are left alone.

    Raises:
        UserError: the folder cannot be written.
    """
    pages = Pages.of(board.records)
    places = _places(board.table)
    with rebuilt(results / "v1" / "site") as site:
        site.write(STYLE, asset(STYLE).encode())
        site.write("index.html", _index(results / "v1", site, board, pages))
        for record in board.records:
            place = places.get(record.run_id)
            run = runs.view(record, results, site, pages, place)
            site.write(pages.records[record.run_id], page("run.html", run.title, "../", run=run))
        of: dict[tuple[str, str], list[Record]] = defaultdict(list)
        for record in board.records:
            for each in things_of(record).items():
                of[each].append(record)
        rows = things.places_of({id(place): place for place in places.values()}.values())
        for (kind, name), path in pages.things.items():
            thing = things.view(kind, name, of[kind, name], rows[kind, name], pages)
            heading = f"{SPOKEN[kind]} {name}"
            site.write(path, page("thing.html", heading, "../", thing=thing, spoken=SPOKEN[kind]))
        return site.folder / "index.html"


def _places(table: pd.DataFrame) -> dict[str, Place]:
    """By run id the row it is in, in the order of the table; the runs of one row share a place."""
    found: dict[str, Place] = {}
    for section in parts(table):
        called = question(section)
        ranked = int(section[COLUMNS.rank].notna().sum())
        for row in section[section[COLUMNS.kind] == "run"].to_dict("records"):
            place = Place(row, called, ranked)
            found |= dict.fromkeys(row[COLUMNS.run_ids].split(), place)
    return found


def _index(root: Path, site: SiteFolder, board: Board, pages: Pages) -> bytes:
    shown = []
    for section in parts(board.table):
        own = section_id(section)
        picture = _plot(root, site, board.plots[own], _alt(section))
        above = [
            curves.view(each, _plot(root, site, each.plot, ""))
            for each in board.above
            if each.section == own
        ]
        further = [
            Further(each.title, each.reading, _plot(root, site, each.plot, each.alt))
            for each in board.tradeoffs.get(own, ())
        ]
        view = sections.view(
            section, picture, board.notes.get(own, ()), board.leaks.get(own, ()), pages, further
        )
        shown.append((above, view))
    of_runs = board.table[board.table[COLUMNS.kind] == "run"]
    return page(
        "index.html",
        "DermBench leaderboard",
        "",
        sections=shown,
        things=[(SPOKEN[kind], _of_kind(kind, pages)) for kind in FOLDERS],
        summary=_summary(of_runs, len(board.records), len(shown)),
        problems=board.problems,
    )


def _of_kind(kind: str, pages: Pages) -> list[tuple[str, str]]:
    return [(name, path) for (each, name), path in pages.things.items() if each == kind]


def _plot(root: Path, site: SiteFolder, path: str, alt: str) -> Picture:
    picture = copied(root / path, site, path, alt)
    if picture is None:
        raise AssertionError(f"{path} was drawn a moment ago")
    return picture


def _alt(section: pd.DataFrame) -> str:
    """What a section's plot shows; the numbers stand in the table below it."""
    metric = section[COLUMNS.headline].iloc[0]
    rows = counted(int(section[metric].notna().sum()), "row")
    return f"Bar plot of {title(metric)}, best on top, of {rows}; the table below has the numbers."


def _summary(rows: pd.DataFrame, records: int, count: int) -> list[tuple[str, str]]:
    """What the board holds, and how old it is by its records: no clock is asked."""
    dates: Iterable[str] = sorted(rows[COLUMNS.created])
    versions = sorted({v for text in rows[COLUMNS.benchmark_versions] for v in text.split()})
    return [
        ("records", f"{records:,}"),
        ("rows", f"{len(rows):,}"),
        ("sections", f"{count:,}"),
        ("newest record", list(dates)[-1][:10]),
        ("made by DermBench", ", ".join(versions)),
    ]
