"""Views of the records: a table, a Markdown page, plots and a site, rebuilt each time."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from benchmark.data.pixels import Progress, silent
from benchmark.errors import UserError
from benchmark.files import write_text
from benchmark.leaderboard.baselines import baseline_rows
from benchmark.leaderboard.columns import COLUMNS, add_rows, file_name, leaks_told
from benchmark.leaderboard.common import add_common
from benchmark.leaderboard.curves import Curve, curves
from benchmark.leaderboard.files import Parts
from benchmark.leaderboard.folder import rebuilt
from benchmark.leaderboard.fractions import LabelCurve, label_curves
from benchmark.leaderboard.published import reported_rows
from benchmark.leaderboard.report import markdown
from benchmark.leaderboard.table import build_table, rows_of, section_id, sections
from benchmark.records.store import Store

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

    The same records and run folders give the same bytes. Damaged records are left out and named in
    the answer.

    Args:
        results: the folder in which v1/records lies.
        progress: over the slow parts.
        folder: what is written into; `results`/v1 if None.

    Raises:
        UserError: there is no readable record, or a file cannot be written.
    """
    from benchmark.leaderboard.curve_plot import draw_curve
    from benchmark.leaderboard.fraction_plot import draw_label_curve
    from benchmark.leaderboard.plots import DRAWN_WITH, bars, libraries
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
    joined: list[Curve | LabelCurve] = [*by_ratio, *by_labels]
    baselines, disputes = baseline_rows(counted)
    table = add_rows(table, [*baselines, *reported_rows(table)])
    root = Path(folder or Path(results) / "v1")
    plots = {}
    with rebuilt(root / "plots") as drawn:
        for section in sections(table):
            plots[section_id(section)] = f"plots/{_plot_name(section)}"
            bars(section, drawn.own(_plot_name(section)))
        for curve in by_ratio:
            draw_curve(curve, drawn.own(Path(curve.plot).name))
        for labels in by_labels:
            draw_label_curve(labels, drawn.own(Path(labels.plot).name))
        drawn.write(DRAWN_WITH, f"{libraries()}\n".encode())
    with TemporaryDirectory(prefix="dermbench-") as aside:
        parts = Parts(Path(aside))
        parts.add(table)
        tables = parts.write(root)
    leaks = leaks_told(counted)
    write_text(root / "leaderboard.md", markdown(table, plots, notes, leaks, joined))
    board = Board(table, stored.records, plots, notes, leaks, joined, disputes)
    site = write_site(Path(results), root, board)
    pictures = (*plots.values(), *(curve.plot for curve in joined))
    paths = [root / "leaderboard.md", *tables, *(root / p for p in pictures), site]
    return Built(tuple(paths), (*stored.problems, *disputes))


def _plot_name(section: pd.DataFrame) -> str:
    task, dataset = (section[c].iloc[0] for c in (COLUMNS.task, COLUMNS.dataset))
    return f"{file_name(f'{task}-{dataset}')}-{section_id(section)}.png"
