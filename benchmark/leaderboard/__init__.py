"""Views of the records: a table, a Markdown page, plots and a site, rebuilt each time."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmark.contested import contested
from benchmark.data.pixels import Progress, silent
from benchmark.errors import UserError
from benchmark.files import atomic_path, write_text
from benchmark.leaderboard.baselines import baseline_rows
from benchmark.leaderboard.columns import COLUMNS, add_rows, file_name, leaks_told
from benchmark.leaderboard.common import add_common
from benchmark.leaderboard.curves import Curve, curves
from benchmark.leaderboard.fractions import LabelCurve, label_curves
from benchmark.leaderboard.marks import add_contested
from benchmark.leaderboard.published import reported_rows
from benchmark.leaderboard.report import markdown
from benchmark.leaderboard.submitted import best_runs
from benchmark.leaderboard.table import build_table, rows_of, section_id, sections
from benchmark.records.attempts import without_record
from benchmark.records.store import Store
from benchmark.spreadsheet import no_formulas

__all__ = ["Built", "build"]


@dataclass(frozen=True)
class Built:
    """What was written, most telling file first, and which records could not be read.

    A floor or ceiling on which the records disagree is left out of the table and named as well.
    """

    paths: tuple[Path, ...]
    problems: tuple[str, ...]


def build(results: str | Path, progress: Progress = silent) -> Built:
    """Write leaderboard.md, table.csv, plots/*.png and site/ below `results`/v1 from its records.

    Accepted submissions are scored anew from their predictions, and are rows like the runs. The
    same records, submissions and run folders give the same bytes. What is damaged is left out and
    named in the answer.

    Raises:
        UserError: there is no readable record, or a file cannot be written.
    """
    from benchmark.leaderboard.curve_plot import draw_curve
    from benchmark.leaderboard.fraction_plot import draw_label_curve
    from benchmark.leaderboard.plots import bars
    from benchmark.leaderboard.site import Board, write_site
    from benchmark.leaderboard.standing import add_standing
    from benchmark.submissions.board import submitted

    stored = Store(results).all()
    if not stored.records:
        reason = f" ({stored.problems[0]})" if stored.problems else ""
        raise UserError(
            f"no readable record in {Store(results).folder}{reason}: make one with `python -m"
            " benchmark run`, or name another folder with --out"
        )
    sent = submitted(results, stored.records)
    records = (*stored.records, *sent.records)
    counted = [record for seeds in rows_of(records) for record in seeds]
    doubts = contested(results, {record.run_id for record in records})
    table = add_contested(build_table(counted), doubts)
    table, common = add_common(table, counted, results)
    beside = best_runs(table)
    table, standing = add_standing(table, counted, Path(results), progress)
    notes = {
        section: [told[section] for told in (beside, standing, common) if section in told]
        for section in table[COLUMNS.section].unique()
    }
    by_ratio, by_labels = curves(table, counted), label_curves(table, counted)
    joined: list[Curve | LabelCurve] = [*by_ratio, *by_labels]
    baselines, disputes = baseline_rows(counted)
    table = add_rows(table, [*baselines, *reported_rows(table)])
    root = Path(results) / "v1"
    plots = {}
    for section in sections(table):
        plots[section_id(section)] = f"plots/{_plot_name(section)}"
        bars(section, root / plots[section_id(section)])
    for curve in by_ratio:
        draw_curve(curve, root / curve.plot)
    for labels in by_labels:
        draw_label_curve(labels, root / labels.plot)
    with atomic_path(root / "table.csv") as temporary:
        no_formulas(table).to_csv(temporary, index=False, float_format="%.6f", lineterminator="\n")
    leaks = leaks_told(counted)
    begun = without_record(results)
    page = markdown(table, plots, notes, leaks, joined, begun.attempts, doubts)
    write_text(root / "leaderboard.md", page)
    board = Board(
        table,
        records,
        plots,
        notes,
        leaks,
        joined,
        begun.attempts,
        disputes,
        sent.tables,
        doubts,
    )
    site = write_site(Path(results), board)
    drawn = (*plots.values(), *(curve.plot for curve in joined))
    paths = [root / "leaderboard.md", root / "table.csv", *(root / p for p in drawn), site]
    problems = (*stored.problems, *sent.problems, *doubts.problems, *disputes, *begun.problems)
    return Built(tuple(paths), problems)


def _plot_name(section: pd.DataFrame) -> str:
    task, dataset = (section[c].iloc[0] for c in (COLUMNS.task, COLUMNS.dataset))
    return f"{file_name(f'{task}-{dataset}')}-{section_id(section)}.png"
