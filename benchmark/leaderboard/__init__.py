"""Views of the records: a table, a Markdown page, plots and a site, rebuilt each time."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmark.data.pixels import Progress, silent
from benchmark.errors import UserError
from benchmark.files import atomic_path, write_text
from benchmark.leaderboard.baselines import baseline_rows
from benchmark.leaderboard.columns import COLUMNS, add_rows, file_name, leaks_told
from benchmark.leaderboard.common import add_common
from benchmark.leaderboard.critical_difference import draw_comparisons
from benchmark.leaderboard.curves import curves
from benchmark.leaderboard.fractions import label_curves
from benchmark.leaderboard.published import reported_rows
from benchmark.leaderboard.report import Above, markdown
from benchmark.leaderboard.table import build_table, rows_of, section_id, sections
from benchmark.leaderboard.tradeoffs import draw_tradeoffs
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

    The same records and run folders give the same bytes. Damaged records are left out and named in
    the answer.

    Raises:
        UserError: there is no readable record, or a file cannot be written.
    """
    from benchmark.leaderboard.curve_plot import draw_curve
    from benchmark.leaderboard.fraction_plot import draw_label_curve
    from benchmark.leaderboard.plots import bars
    from benchmark.leaderboard.site import Board, write_site
    from benchmark.leaderboard.standing import add_standing

    stored = Store(results).all()
    if not stored.records:
        reason = f" ({stored.problems[0]})" if stored.problems else ""
        raise UserError(
            f"no readable record in {Store(results).folder}{reason}: make one with `python -m"
            " benchmark run`, or name another folder with --out"
        )
    counted = [record for seeds in rows_of(stored.records) for record in seeds]
    table, common = add_common(build_table(counted), counted, results)
    table, standing = add_standing(table, counted, Path(results), progress)
    notes = {
        section: [told[section] for told in (standing, common) if section in told]
        for section in table[COLUMNS.section].unique()
    }
    by_ratio, by_labels = curves(table, counted), label_curves(table, counted)
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
    above: list[Above] = [*draw_comparisons(table, root), *by_ratio, *by_labels]
    tradeoffs = draw_tradeoffs(table, root)
    with atomic_path(root / "table.csv") as temporary:
        no_formulas(table).to_csv(temporary, index=False, float_format="%.6f", lineterminator="\n")
    leaks = leaks_told(counted)
    write_text(root / "leaderboard.md", markdown(table, plots, notes, leaks, above, tradeoffs))
    board = Board(table, stored.records, plots, notes, leaks, above, disputes, tradeoffs)
    site = write_site(Path(results), board)
    beside = (each for every in tradeoffs.values() for each in every)
    drawn = (*plots.values(), *(each.plot for each in (*above, *beside)))
    paths = [root / "leaderboard.md", root / "table.csv", *(root / p for p in drawn), site]
    return Built(tuple(paths), (*stored.problems, *disputes))


def _plot_name(section: pd.DataFrame) -> str:
    task, dataset = (section[c].iloc[0] for c in (COLUMNS.task, COLUMNS.dataset))
    return f"{file_name(f'{task}-{dataset}')}-{section_id(section)}.png"
