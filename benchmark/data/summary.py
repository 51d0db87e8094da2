"""What a data set holds, as tables: `data stats`. Whether it is sound is `check`'s business."""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.data import images
from benchmark.data.dataset import SAMPLE_COLUMNS, SPLITS, UNLABELLED, Dataset
from benchmark.data.layouts import dermxdb
from benchmark.data.pixels import in_threads
from benchmark.errors import DataError

# A metadata column with more different numbers than this is given by its range, one with more
# different texts by their count.
MOST_NUMBERS = 12
MOST_TEXTS = 20
# Image sizes listed before the rest is added up.
MOST_SIZES = 10
# Missing photographs named on the screen.
MOST_MISSING = 10


def photographs(dataset: Dataset) -> pd.DataFrame:
    """Which photographs are on this machine: index `id`, in the table's order.

    Columns `original` and `source` (the metadata's `original_filename` and `dataset`, "" where it
    has none), `path` ("" where missing) and `found by`: "new name" (the id), "original name" or "".
    """
    table = dataset.table
    given = {
        name: table[column].astype(str) if column in table else ""
        for name, column in (("original", "original_filename"), ("source", "dataset"))
    }
    found = pd.DataFrame({**given, "path": table["path"]}, index=table.index)
    by = [
        "" if not path else _found_by(path, str(sample_id), original)
        for sample_id, path, original in found[["path", "original"]].itertuples()
    ]
    return found.assign(**{"found by": by})


def _found_by(path: str, sample_id: str, original: str) -> str:
    stem = Path(path).stem.lower()
    renamed = stem != sample_id.lower() and stem == Path(original).stem.lower()
    return "original name" if renamed else "new name"


def tell_photographs(dataset: Dataset) -> list[str]:
    """What `photographs` finds in a few lines: the counts, the first missing, whom to ask."""
    table = photographs(dataset)
    missing = table[table["path"] == ""]
    by = table["found by"]
    renamed = int((by == "original name").sum())
    lines = [
        f"photographs: {len(table) - len(missing)} of {len(table)} found"
        + (f", {renamed} of them under their original names" if renamed else "")
    ]
    if missing.empty:
        return lines
    first = [
        sample_id
        if Path(original).stem in ("", sample_id)
        else f"{sample_id} (original {original})"
        for sample_id, original in missing["original"].head(MOST_MISSING).items()
    ]
    rest = len(missing) - len(first)
    more = f" and {rest} more" if rest else ""
    lines.append(f"missing: {', '.join(first)}{more}")
    for source, count in missing["source"].value_counts(sort=False).items():
        owner = dermxdb.OWNERS.get(source)
        if owner:
            lines.append(f"ask the owners of {source} for {count}: {owner} (for research only)")
        elif source:
            lines.append(f"from {source}: {count}")
    return lines


def summarise(dataset: Dataset, areas: bool = False) -> dict[str, pd.DataFrame]:
    """The data set in tables, by title.

    "images" (class by part), "grades" (disease and grade by part), "groups" (class, groups, images
    per group), "images per group", "sizes" (height, width), "metadata" (column, value, images; many
    numbers by their range, many texts by their count), "masks" (characteristic by annotator),
    "areas" (share of the image that is marked) and "notes"; those without content are left out.

    Args:
        dataset: any.
        areas: decode every mask for "areas", which takes a while.

    Raises:
        DataError: an image or (with `areas`) a mask cannot be read.
    """
    tables = {
        "images": _images(dataset),
        "grades": _grades(dataset),
        "groups": _groups(dataset),
        "images per group": _group_sizes(dataset),
        "sizes": _sizes(dataset),
        "metadata": _metadata(dataset),
        "masks": _masks(dataset),
        "areas": _areas(dataset) if areas else pd.DataFrame(),
        "notes": pd.DataFrame({"note": dataset.notes}),
    }
    return {title: table for title, table in tables.items() if not table.empty}


def mask_size(path: str) -> tuple[tuple[int, int] | None, float, str]:
    """Size, marked share and fault of one mask."""
    try:
        mask = images.read_mask(path)
    except DataError as error:
        return None, 0.0, str(error)
    height, width = mask.shape
    return (height, width), float(mask.mean()), ""


def _class_names(dataset: Dataset) -> pd.Series:
    names = dict(enumerate(dataset.classes)) | {UNLABELLED: "(unlabelled)"}
    return dataset.table["label"].map(names).rename("class")


def _images(dataset: Dataset) -> pd.DataFrame:
    counts = _by_part(dataset, _class_names(dataset))
    order = [*dataset.classes, "(unlabelled)"]
    counts = counts.reindex([name for name in order if name in counts.index])
    counts.loc["all"] = counts.sum()
    return counts.rename_axis("class").reset_index()


def _by_part(dataset: Dataset, what: pd.Series) -> pd.DataFrame:
    """Images of each value by part, and of all parts."""
    counts = pd.crosstab(what, dataset.table["split"].replace("", "no fixed part"))
    counts = counts[[part for part in (*SPLITS, "no fixed part") if part in counts]]
    counts["all"] = counts.sum(axis=1)
    return counts.rename_axis(None, axis=1)


def _grades(dataset: Dataset) -> pd.DataFrame:
    """Every grade of every disease, those without an image too, then the images without one."""
    tables = []
    for disease in dataset.diseases:
        counts = _by_part(dataset, dataset.table[disease.column])
        counts = counts.reindex([*range(len(disease.grades)), UNLABELLED], fill_value=0)
        counts.insert(0, "disease", disease.name)
        counts.insert(1, "grade", [*map(str, range(len(disease.grades))), ""])
        counts.insert(2, "name", [*disease.grades, "(not graded)"])
        tables.append(counts)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _groups(dataset: Dataset) -> pd.DataFrame:
    names = _class_names(dataset)
    sizes = dataset.table.groupby([names, "group"]).size()
    table = sizes.groupby(level=0).agg(["size", "mean", "max"]).reindex(dataset.classes)
    table.columns = pd.Index(["groups", "images per group, mean", "most"])
    return table.dropna().astype({"groups": int, "most": int}).rename_axis("class").reset_index()


def _group_sizes(dataset: Dataset) -> pd.DataFrame:
    counts = dataset.table.groupby("group").size().value_counts().sort_index()
    return counts.rename_axis("images in the group").rename("groups").reset_index()


def _sizes(dataset: Dataset) -> pd.DataFrame:
    paths = [path for path in dataset.table["path"] if path]
    sizes = pd.Series(list(in_threads(images.image_size, paths)), dtype=object).value_counts()
    rows = [(str(height), str(width), count) for (height, width), count in sizes.items()]
    if len(rows) > MOST_SIZES:
        rest = rows[MOST_SIZES:]
        others = (f"{len(rest)} others", "", sum(count for *_, count in rest))
        rows = [*rows[:MOST_SIZES], others]
    return pd.DataFrame(rows, columns=["height", "width", "images"])


def _metadata(dataset: Dataset) -> pd.DataFrame:
    rows: list[tuple[str, str, int]] = []
    own = [*SAMPLE_COLUMNS, *(disease.column for disease in dataset.diseases)]
    for column in dataset.table.columns.difference(own, sort=False):
        values = dataset.table[column].replace("", np.nan).dropna()
        missing = len(dataset.table) - len(values)
        numbers = pd.to_numeric(values, errors="coerce")
        numeric = len(values) > 0 and numbers.notna().all()
        if numeric and numbers.nunique() > MOST_NUMBERS:
            span = f"{numbers.min():g} to {numbers.max():g}, median {numbers.median():g}"
            rows.append((column, span, len(values)))
        elif numeric:
            counts = numbers.value_counts().sort_index()
            rows += [(column, f"{value:g}", int(count)) for value, count in counts.items()]
        elif values.nunique() <= MOST_TEXTS:
            counts = values.astype(str).value_counts()
            rows += [(column, value, int(count)) for value, count in counts.items()]
        else:
            rows.append((column, f"{values.nunique()} different texts", len(values)))
        if missing:
            rows.append((column, "(missing)", missing))
    return pd.DataFrame(rows, columns=["column", "value", "images"])


def _masks(dataset: Dataset) -> pd.DataFrame:
    if dataset.masks.empty:
        return pd.DataFrame()
    what = _characteristics(dataset)
    counts = pd.crosstab(what, dataset.masks["annotator"])
    counts["masks"] = counts.sum(axis=1)
    counts["images"] = dataset.masks.groupby(what)["id"].nunique()
    total = counts.sum()
    total["images"] = dataset.masks["id"].nunique()
    counts.loc["all"] = total
    return counts.rename_axis("characteristic").rename_axis(None, axis=1).reset_index()


def _areas(dataset: Dataset) -> pd.DataFrame:
    if dataset.masks.empty:
        return pd.DataFrame()
    shares = []
    for _, share, fault in in_threads(mask_size, list(dataset.masks["path"])):
        if fault:
            raise DataError(fault)
        shares.append(share)
    grouped = pd.Series(shares, index=dataset.masks.index).groupby(_characteristics(dataset))
    table = pd.DataFrame(
        {
            "masks": grouped.size(),
            "empty": grouped.agg(lambda share: int((share == 0).sum())),
            "lower quartile": grouped.quantile(0.25),
            "median": grouped.median(),
            "upper quartile": grouped.quantile(0.75),
        }
    )
    return table.rename_axis("characteristic").reset_index()


def _characteristics(dataset: Dataset) -> pd.Series:
    return dataset.masks["characteristic"].replace("", "(whole lesion)")
