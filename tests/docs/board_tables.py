"""The tables of the front page, made from the board's own table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pandas as pd
from documents import ROOT
from tabulate import tabulate


@dataclass(frozen=True)
class Column:
    """A metric of some rows of the board, those whose cells are `where`."""

    title: str
    metric: str
    where: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BoardTable:
    """A table of the front page: a row for each value of `by`, by its score in the first column."""

    section: str
    by: str
    columns: Sequence[Column]
    where: dict[str, str]


_FRAMEWORKS = {"PyTorch": "torch", "Keras": "keras"}
TABLES = {
    "networks": BoardTable(
        section="The first board",
        by="arch",
        where={"dataset": "isic2018"},
        columns=[
            Column(f"{title}, {name}", metric, {"task": task, "framework": framework})
            for title, task, metric in (
                ("macro AUC", "diagnosis", "macro_auc"),
                ("explainability F1", "explainability", "explainability_f1"),
            )
            for name, framework in _FRAMEWORKS.items()
        ],
    ),
    "published": BoardTable(
        section="The first board",
        by="arch",
        where={"task": "diagnosis", "dataset": "medmnist"},
        columns=[Column("macro AUC", "macro_auc"), Column("accuracy", "accuracy")],
    ),
    "imbalance": BoardTable(
        section="Rare classes",
        by="method",
        where={"task": "imbalance", "dataset": "isic2018"},
        columns=[
            Column(f"{title}, {arch}", metric, {"arch": arch})
            for arch in ("MobileNetV2", "EfficientNetB0")
            for title, metric in (
                ("macro F1", "macro_f1"),
                ("few-shot sensitivity", "few_shot_sensitivity"),
            )
        ],
    ),
    "few labels": BoardTable(
        section="Few labels",
        by="method",
        where={"task": "semi-supervised", "dataset": "isic2018"},
        columns=[
            Column("area under the curve of macro F1", "macro_f1_area"),
            *(Column(f"macro AUC, {share} %", f"macro_auc_at_{share}") for share in (5, 20, 100)),
        ],
    ),
    "grading": BoardTable(
        section="Grading",
        by="method",
        where={"task": "grading", "dataset": "idrid"},
        columns=[
            Column("mean kappa", "quadratic_kappa"),
            *(Column(f"macro AUC, {name}", f"macro_auc_of_{name}") for name in ("DR", "DME")),
        ],
    ),
}
_NAMES = {"arch": "architecture", "method": "method"}


def markdown(table: BoardTable) -> str:
    """As it has to stand on the front page; "-" where the board has no row."""
    head = [_NAMES[table.by], *(column.title for column in table.columns)]
    return tabulate(_rows(table), head, tablefmt="github", disable_numparse=True)


def _rows(table: BoardTable) -> Iterator[list[str]]:
    board = pd.read_csv(ROOT / "results" / "v1" / "table.csv")
    rows = _where(board[board["submitted"] != "yes"], {"kind": "run", **table.where})
    columns = [
        (_where(rows, column.where).set_index(table.by), column.metric) for column in table.columns
    ]
    # A name without a score in the first column stands by its score in the next.
    ranks = pd.concat([one[metric] for one, metric in columns], axis=1).bfill(axis=1).iloc[:, 0]
    for name in ranks.sort_values(ascending=False, kind="stable").index:
        shown = f"`{name}`" if table.by == "method" else name
        yield [shown, *(_cell(one, name, metric) for one, metric in columns)]


def _where(rows: pd.DataFrame, cells: dict[str, str]) -> pd.DataFrame:
    for column, cell in cells.items():
        rows = rows[rows[column] == cell]
    return rows


def _cell(rows: pd.DataFrame, name: str, metric: str) -> str:
    if name not in rows.index:
        return "-"
    value, low, high = (rows.at[name, f"{metric}{end}"] for end in ("", "_low", "_high"))
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"
