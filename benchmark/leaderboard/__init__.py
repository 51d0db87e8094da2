"""Views of the records: a table, a Markdown page, plots and a site, rebuilt each time."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pandas as pd

from benchmark.common.files import atomic_path
from benchmark.data.pixels import Progress, silent
from benchmark.errors import UserError
from benchmark.leaderboard.baselines import baseline_rows
from benchmark.leaderboard.columns import (
    COLUMNS,
    add_rows,
    file_name,
    frame,
    leaks_told,
)
from benchmark.leaderboard.contested import Contested, contested
from benchmark.leaderboard.critical_difference import comparable, comparisons
from benchmark.leaderboard.curves import Curve, curves
from benchmark.leaderboard.files import Parts
from benchmark.leaderboard.folder import rebuilt
from benchmark.leaderboard.fractions import LabelCurve, label_curves
from benchmark.leaderboard.kept import Kept
from benchmark.leaderboard.learning import Learning, learning
from benchmark.leaderboard.marks import add_contested
from benchmark.leaderboard.opening import opening
from benchmark.leaderboard.part import Part, Summary, rows_shown
from benchmark.leaderboard.published import publications, reported_rows
from benchmark.leaderboard.remarks import remarks
from benchmark.leaderboard.report import TITLE, closing, markdown_sections
from benchmark.leaderboard.report_joined import comparison_section
from benchmark.leaderboard.submitted import best_runs
from benchmark.leaderboard.table import build_table, rows_of, section_id, sections
from benchmark.leaderboard.tradeoffs import Tradeoff, tradeoffs
from benchmark.records.attempts import without_record
from benchmark.records.index import Index, head_of, opened
from benchmark.records.record import Record
from benchmark.records.store import Store

if TYPE_CHECKING:
    from benchmark.submissions.board import Submitted

__all__ = ["Built", "build"]


@dataclass(frozen=True)
class Built:
    """What was written, most telling file first, and which records could not be read.

    A floor or ceiling on which the records disagree is left out of the table and named as well.
    """

    paths: tuple[Path, ...]
    problems: tuple[str, ...]


def build(
    results: str | Path, progress: Progress = silent, folder: str | Path | None = None
) -> Built:
    """Write leaderboard.md, table.csv, table.parquet, plots/ and site/ from the records.

    Accepted submissions are scored anew from their predictions, and are rows like the runs. The
    same records, submissions and run folders give the same bytes. What is damaged, or contradicts
    its own predictions, is left out and named in the answer.

    Args:
        results: the folder in which v1/records lies.
        progress: over the slow parts.
        folder: what is written into; `results`/v1 if None.

    Raises:
        UserError: there is no readable record, or a file cannot be written.
    """
    # What scores anew imports what draws: only when a board is built.
    from benchmark.leaderboard.borne_out import contradicted
    from benchmark.leaderboard.drawings import draw, of_comparisons, of_part
    from benchmark.leaderboard.plots import DRAWN_WITH, libraries
    from benchmark.leaderboard.site import Site
    from benchmark.submissions.board import submitted

    root = Path(folder or Path(results) / "v1")
    pictures: list[str] = []
    problems: list[str] = []
    compared: list[pd.DataFrame] = []
    summary = Summary()
    with opened(results, progress) as index, TemporaryDirectory(prefix="dermbench-") as aside:
        index.leave_out(contradicted(index, Path(results), progress))
        if not index.count:
            raise _no_record(results, index.problems)
        most, tables = rows_shown(index.count), Parts(Path(aside))
        sent, begun = submitted(results, index), without_record(results)
        heads = [*index.heads, *(head_of(one, _digest(one)) for one in sent.records)]
        doubts = contested(results, {head.run_id for head in heads})
        with (
            rebuilt(root / "plots") as drawn,
            rebuilt(root / "site") as pages,
            atomic_path(root / "leaderboard.md") as page,
            page.open("w", encoding="utf-8") as text,
        ):
            kept_plots, kept_pages = (Kept(each, index, folder is None) for each in (drawn, pages))
            site = Site(Path(results), root, pages, heads, most, kept_pages)
            text.write(TITLE)
            if told := opening(heads):
                text.write(f"{told}\n\n")
            for part in _parts(index, sent, doubts, Path(results), progress):
                draw(of_part(part), drawn, kept_plots)
                pictures += part.pictures
                compared.append(comparable(part.table))
                tables.add(part.table)
                text.writelines(markdown_sections(part, most))
                site.add(part)
                summary += Summary.of(part.table)
                problems += part.problems
                del part  # before the next is read
            over_datasets = comparisons(pd.concat(compared))
            draw(of_comparisons(over_datasets), drawn, kept_plots)
            pictures += [each.plot for each in over_datasets]
            text.writelines(f"{comparison_section(each)}\n\n" for each in over_datasets)
            text.write(closing(summary, begun.attempts))
            drawn.write(DRAWN_WITH, f"{libraries()}\n".encode())
            files = tables.write(root)
            first = site.finish(summary, over_datasets, begun.attempts, sorted(problems))
        elsewhere = (*index.problems, *sent.problems, *doubts.problems, *begun.problems)
        problems = [*elsewhere, *sorted(problems)]
    paths = [root / "leaderboard.md", *files, *(root / p for p in pictures), first]
    return Built(tuple(paths), tuple(problems))


def _no_record(results: str | Path, problems: Sequence[str]) -> UserError:
    reason = f" ({problems[0]})" if problems else ""
    return UserError(
        f"no readable record in {Store(results).folder}{reason}: make one with `python -m benchmark"
        " run`, or name another folder with --out"
    )


def _digest(record: Record) -> str:
    """Of a record that has no file."""
    return sha256(record.model_dump_json().encode()).hexdigest()


def _parts(
    index: Index, sent: "Submitted", doubts: Contested, results: Path, progress: Progress
) -> Iterator[Part]:
    """The board part by part, in the order of its sections; reported rows of no part come last."""
    submissions = defaultdict(list)
    for record in sent.records:
        submissions[head_of(record, "").part].append(record)
    heads = defaultdict(list)
    for head in index.heads:
        heads[head.part].append(head)
    # Bars do not nest: of a single part the steps are shown.
    outer, inner = (progress, silent) if len(heads) > 1 else (silent, progress)
    unmet = [each for each in publications() if each.alone]
    for key in outer(sorted(heads), "comparing and drawing", len(heads)):
        records = (*index.records(heads[key]), *submissions[key])
        part = _part(index, records, sent, doubts, results, inner)
        unmet = [each for each in unmet if not each.concerns(part.table)]
        yield part
        del part, records  # before the next is read
    for each in unmet:
        table = add_rows(frame([]), each.apart())
        yield Part((), table, _plots(table), below=_below(table, ()))


def _part(
    index: Index,
    records: Sequence[Record],
    sent: "Submitted",
    doubts: Contested,
    results: Path,
    progress: Progress,
) -> Part:
    """What is made of records that agree in task, version and data."""
    # What scores anew imports what draws: only when a board is built.
    from benchmark.leaderboard.remembered import remembered_standing

    counted = [record for seeds in rows_of(records) for record in seeds]
    table = add_contested(build_table(counted), doubts)
    beside, remarked = best_runs(table), remarks(table)
    table, told = remembered_standing(index, table, counted, results, progress)
    notes = {
        section: [
            *([beside[section]] if section in beside else []),
            *remarked.get(section, ()),
            *told.get(section, ()),
        ]
        for section in table[COLUMNS.section].unique()
    }
    joined: list[Curve | LabelCurve] = [
        *curves(table, counted),
        *label_curves(table, counted),
    ]
    baselines, disputes = baseline_rows(counted)
    table = add_rows(table, [*baselines, *reported_rows(table)])
    return Part(
        records=records,
        table=table,
        plots=_plots(table),
        notes=notes,
        leaks=leaks_told(counted),
        curves=joined,
        below=_below(table, counted),
        problems=disputes,
        contested=doubts,
        tables=sent.tables,
    )


def _below(table: pd.DataFrame, records: Sequence[Record]) -> dict[str, list[Tradeoff | Learning]]:
    """By `section_id` the plots below its table."""
    by_id = {record.run_id: record for record in records}
    found: dict[str, list[Tradeoff | Learning]] = {}
    for section in sections(table):
        learned = learning(section, by_id)
        found[section_id(section)] = [*tradeoffs(section), *([learned] if learned else [])]
    return found


def _plots(table: pd.DataFrame) -> dict[str, str]:
    """By `section_id` where its plot lies."""
    return {section_id(part): f"plots/{_plot_name(part)}" for part in sections(table)}


def _plot_name(section: pd.DataFrame) -> str:
    task, dataset = (section[c].iloc[0] for c in (COLUMNS.task, COLUMNS.dataset))
    return f"{file_name(f'{task}-{dataset}')}-{section_id(section)}.png"
