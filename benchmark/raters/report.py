"""The agreement as files: CSV tables, a Markdown page, two pictures. Nothing is computed here."""

from pathlib import Path

import pandas as pd
from tabulate import tabulate

from benchmark.common.files import atomic_path, write_text
from benchmark.leaderboard.markdown import cell, escape
from benchmark.raters.agreement import AGAINST, ALL, COMPARED, PAIRS, REPEATS, SCORES, Agreement
from benchmark.raters.overlap import DREW, IMAGE, READ, SHARE, SUM

_TITLES = {
    "image": "All images",
    "annotator pair": "Annotator pairs",
    "annotator": "One annotator against the others",
    "characteristic": "Characteristics",
    "diagnosis": "Diagnoses",
    "skin tone": "Skin tones",
    "age": "Ages",
    "source": "Sources",
    "repeat": "Repeated readings",
}
_MEASURES = {
    PAIRS: "two annotators",
    AGAINST[SHARE]: "one against the others (share)",
    AGAINST[SUM]: "one against the others (sum)",
    REPEATS: "one annotator, first against second session",
    COMPARED: "two annotators, the images read twice",
}
_COUNTED = {DREW: "who drew", READ: "who read"}
_DEFINITIONS = """\
## How to read this

- Scores are the fuzzy F1 (Dice) and IoU of `benchmark.metrics.maps.fuzzy_scores`, at the masks' own
  size. An annotator's map is the union of their masks. A value is the mean over images of the mean
  over the image's pairs (or annotators); brackets hold its 95 % bootstrap interval over patients or
  lesions.
- **who drew**: pairs in which both marked something (for a characteristic: this characteristic);
  against the others: those who marked something. **who read**: whoever read the image and marked
  nothing (nothing of this characteristic) scores 0 against somebody who did; pairs in which neither
  marked anything have no score.
- **share**: the others' map is the share of them who marked the pixel, the reference of
  `dermbench-1`. **sum**: the number of masks at the pixel over the largest such number, in the
  others' map and in the annotator's own, as the DermXDB authors fuse.
- Rows of fewer than 30 images carry a warning: read their intervals, not their values."""


def headline(agreement: Agreement) -> pd.DataFrame:
    """The first table to look at: all images, and repeated readings where there are some."""
    table = agreement.table
    chosen = table["level"].isin([IMAGE, "repeat"]) & (table["name"] == ALL)
    return _wide(table[chosen]).drop(columns="name")


def write(agreement: Agreement, folder: Path) -> list[Path]:
    """Write all files into `folder`, atomically; the same agreement gives the same bytes.

    Returns:
        agreement.md, agreement.csv, annotator-pairs.png, characteristics.png,
        per_image_pairs.csv, per_image_others.csv.

    Raises:
        UserError: a file cannot be written.
    """
    from benchmark.raters.plots import annotator_pairs, characteristics

    names = ("agreement.md", "agreement.csv", "annotator-pairs.png", "characteristics.png")
    page, numbers, heat, bars = (folder / name for name in names)
    tables = {
        numbers: agreement.table,
        folder / "per_image_pairs.csv": agreement.pairs,
        folder / "per_image_others.csv": agreement.others,
    }
    for path, table in tables.items():
        with atomic_path(path) as temporary:
            table.to_csv(temporary, index=False, float_format="%.6f", lineterminator="\n")
    annotator_pairs(agreement, heat)
    characteristics(agreement, bars)
    write_text(page, markdown(agreement))
    return [page, numbers, heat, bars, *list(tables)[1:]]


def markdown(agreement: Agreement) -> str:
    """The agreement as one Markdown document."""
    people = len(agreement.annotators)
    marked = agreement.pairs["id"].nunique()
    parts = [
        f"# How far annotators agree: {escape(agreement.dataset)}",
        f"{people} annotators; {marked} of {agreement.images} images have a mask and two readers."
        " From the masks alone, by `python -m benchmark raters`.",
        "![agreement of every two annotators](annotator-pairs.png)",
        "![agreement by characteristic](characteristics.png)",
    ]
    for level, title in _TITLES.items():
        rows = agreement.table[agreement.table["level"] == level]
        if not rows.empty:
            parts += [f"## {title}", _github(_wide(rows))]
    parts += ["## Readings", _github(agreement.readings.reset_index())]
    parts += ["## Counted and named", "\n".join(f"- {escape(r)}" for r in agreement.remarks)]
    return "\n\n".join([*parts, _DEFINITIONS]) + "\n"


def _wide(rows: pd.DataFrame) -> pd.DataFrame:
    """Both scores of a number in one row."""
    table = []
    keys = ["name", "measure", "counted"]
    for (name, measure, counted), scores in rows.groupby(keys, sort=False):
        first = scores.iloc[0]
        by_score = scores.set_index("score")
        cells = {
            {"f1": "F1", "iou": "IoU"}[score]: cell(*by_score.loc[score, ["value", "low", "high"]])
            for score in SCORES
        }
        table.append(
            {
                "name": name,
                "compared": _MEASURES[measure],
                "counted": _COUNTED[counted],
                **cells,
                "images": first["n_images"],
                "pairs": first["n_pairs"],
                "note": first["note"],
            }
        )
    return pd.DataFrame(table)


def _github(table: pd.DataFrame) -> str:
    shown = table.map(lambda value: escape(value) if isinstance(value, str) else value)
    return str(
        tabulate(shown, headers="keys", tablefmt="github", showindex=False, disable_numparse=True)
    )
