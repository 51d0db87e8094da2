"""What the parts of a split share and must not: images, lesions, patients, near-identical pixels.

How near-identical pixels are recognised is the business of `copies`; making splits is `splits`'.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.data import copies, images
from benchmark.data.dataset import SPLITS, Dataset
from benchmark.data.layouts import tables
from benchmark.data.pixels import Progress, open_pixels, silent
from benchmark.errors import DataError
from benchmark.registry import DATASETS

# Raise when the same parts would be told otherwise: the rules here or in `copies`.
VERSION = 1
COLUMNS = ("kind", "part_a", "id_a", "part_b", "id_b", "shared", "similarity")
# Kind of leak to what an image of the later part does, {part} being the earlier one.
KINDS = {
    "image": "are also in {part} under the same name",
    "bytes": "are byte for byte in {part}",
    "group": "show a lesion or patient that is also in {part}",
    "pixels": "are near-identical to an image of {part}",
}
# Named in an error; the others are counted.
MOST_NAMED = 3
PATIENT_COLUMNS = ("patient", "patient_id")
LESION_COLUMNS = ("lesion", "lesion_id")
PRETRAINING = "the pre-training data"
# Digits of a hash that a person reads.
_HASH_SHOWN = 12
# Names that the ISIC archive gives to images, lesions and patients, whatever the layout.
_ARCHIVED = re.compile(r"(ISIC|HAM|IL|IP)_\d{7}")


def find(
    dataset: Dataset,
    parts: Mapping[str, Sequence[str]],
    pixels: np.ndarray | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """What every two parts of a split share.

    Kinds: "image" (the same id, or the same name in a column `image_id`), "bytes" (the same
    content), "group" (the same group, or the same name in a further column of patients or
    lesions) and "pixels" (`copies.find`). An image may leak in several ways, but one that is in
    both parts by name is told as "image" alone, and byte-identical ones not again as "pixels".

    Args:
        dataset: of all the samples.
        parts: name of the part to sample ids, such as "train", "validation", "test", the earlier
            used first.
        pixels: (N, H, W, 3) uint8 in the order of the table, at least 28 x 28; None leaves out
            the kind "pixels".
        progress: called as `progress(items, description, total)`, passes the items on.

    Returns:
        One row per kind, pair of parts and image of the later part, so that rows count its
        images. Columns `kind`, `part_a`, `id_a` (the first such image of the earlier part; for
        "pixels" the most similar), `part_b`, `id_b`, `shared` (the name or hash they share; for
        "pixels" the group or groups) and `similarity` (NaN but for "pixels").
    """
    table = dataset.table
    keys = {
        "image": _image_names(table),
        "bytes": _contents(table.loc[sorted({i for ids in parts.values() for i in ids})]),
        "group": _group_names(table),
    }
    seen = {name: _thumbnails(table, ids, pixels, progress) for name, ids in parts.items()}
    found = []
    for earlier, later in combinations(parts, 2):
        sides = [(table, list(dict.fromkeys(parts[name]))) for name in (earlier, later)]
        shared = [
            _shared(kind, _of(key, sides[0][1]), _of(key, sides[1][1]))
            for kind, key in keys.items()
        ]
        shared.append(_alike(sides, (seen[earlier], seen[later]), progress))
        found.append(_told_once(pd.concat(shared)).assign(part_a=earlier, part_b=later))
    return _table(found)


def between(
    earlier: Dataset,
    dataset: Dataset,
    test: Sequence[str],
    earlier_pixels: np.ndarray | None = None,
    pixels: np.ndarray | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """What a data set used before training shares with the test part of another: as `find`.

    Names of images and groups are compared where both sets are of one layout whose names hold in
    every folder (`Layout.shared_groups`), and wherever they are the ISIC archive's own, such as
    ISIC_0024306 or HAM_0000118. `part_a` is "the pre-training data", `part_b` "test".

    Args:
        earlier: all of it is used.
        dataset: of the test part.
        test: sample ids.
        earlier_pixels: as in `find`, of the earlier data.
        pixels: as in `find`, of the other; not compared where one of the two is None.
        progress: as in `find`.
    """
    one_space = earlier.name == dataset.name and DATASETS.get(dataset.name).shared_groups
    sides = [(earlier.table, list(earlier.table.index)), (dataset.table, list(dict.fromkeys(test)))]
    keys = []
    for table, ids in sides:
        own = table.loc[ids]
        names = {"image": _image_names(table), "group": _group_names(table)}
        if not one_space:
            names = {kind: _archived(key) for kind, key in names.items()}
        keys.append({"bytes": _contents(own)} | {k: _of(v, ids) for k, v in names.items()})
    shared = [_shared(kind, keys[0][kind], keys[1][kind]) for kind in ("image", "bytes", "group")]
    seen = [
        _thumbnails(table, ids, values, progress)
        for (table, ids), values in zip(sides, (earlier_pixels, pixels), strict=True)
    ]
    shared.append(_alike(sides, (seen[0], seen[1]), progress))
    found = _told_once(pd.concat(shared))
    return _table([found.assign(part_a=PRETRAINING, part_b="test")])


def summary(found: pd.DataFrame, parts: Mapping[str, Sequence[str]], allowed: bool = False) -> str:
    """One sentence: per pair of parts and kind, how many images of the later part leak.

    Args:
        found: of `find` or `between`.
        parts: the same that were searched; for `between` {"test": ids} will do.
        allowed: add that the run allows it.

    Returns:
        Such as "693 of 2,005 test images show a lesion or patient that is also in train.", or ""
        when nothing was found.
    """
    clauses = list(_clauses(found, parts))
    if not clauses:
        return ""
    return f"{'; '.join(clauses)}{': allowed by --allow-leaks' if allowed else ''}."


def refuse(
    found: pd.DataFrame,
    dataset: Dataset,
    parts: Mapping[str, Sequence[str]],
    earlier: Dataset | None = None,
) -> None:
    """Nothing, when nothing was found.

    Args:
        found: of `find`, or of `between` with `earlier`.
        dataset: as given to it.
        parts: as given to it.
        earlier: the data of the pre-training.

    Raises:
        DataError: what leaks, counted by kind, the first pairs, what to do.
    """
    if found.empty:
        return
    where = dataset.root if earlier is None else f"--pretrain-on {earlier.root}"
    # The first of each kind before more of the same.
    order = found.groupby(["kind", "part_a", "part_b"], sort=False).cumcount()
    first = found.iloc[np.argsort(order, kind="stable")[:MOST_NAMED]]
    named = ", ".join(
        f"{row.id_b} ({row.part_b}) and {row.id_a} ({row.part_a})"
        + (f" of {row.shared}" if row.kind in ("group", "pixels") else "")
        for row in first.itertuples()
    )
    more = f" and {len(found) - len(first):,} more" if len(found) > len(first) else ""
    remedy = (
        "move all images of a lesion or patient, and all copies of an image, into one part"
        if earlier is None
        else f"pre-train on data without the test images of {dataset.root}"
    )
    raise DataError(
        f"{where}: {'; '.join(_clauses(found, parts))}; such as {named}{more}: {remedy}, or allow"
        " it with --allow-leaks, which the record will say"
    )


def read_parts(path: Path, dataset: Dataset) -> dict[str, list[str]]:
    """A split from a CSV file with the columns `id` and `part` (train, validation or test).

    Further columns are passed over, and rows of the part "unscored", so that a file of a run will
    do: there "unlabelled" images are of train, and trials repeat what they share. Samples that the
    file does not list are in no part.

    Returns:
        "train", "validation" and "test", each to its ids in the order of the file.

    Raises:
        DataError: naming the line of an unknown or repeated id, an empty cell, an unknown part; or
            fewer than two parts have images.
    """
    sheet = tables.read_sheet(path, ("id", "part"))
    for column in ("id", "part"):
        sheet.require_filled(column)
    rows = sheet.rows.replace({"part": {"unlabelled": "train"}})
    if "trial" in rows:
        rows = rows.drop_duplicates(["id", "part"])
    sheet = replace(sheet, rows=rows)
    sheet.require_unique("id")
    sheet.refuse(
        [
            (line, f"{cell!r} is no part")
            for line, cell in sheet.items("part")
            if cell not in (*SPLITS, "unscored")
        ],
        f"write {', '.join(SPLITS[:-1])} or {SPLITS[-1]}",
    )
    sheet.refuse(
        [
            (line, f"image {cell!r} is not in {dataset.root}")
            for line, cell in sheet.items("id")
            if cell not in dataset.table.index
        ],
        "correct the id or remove the row",
    )
    parts = {name: list(sheet.rows.loc[sheet.rows["part"] == name, "id"]) for name in SPLITS}
    filled = [name for name, ids in parts.items() if ids]
    if len(filled) < 2:
        raise DataError(f"{path} lists only the part {filled[0]}: add the images of another part")
    return parts


def fixed_parts(dataset: Dataset) -> dict[str, list[str]] | None:
    """The split that the data set itself fixes; None where it leaves it to the run."""
    split = dataset.table["split"]
    parts = {name: list(dataset.table.index[split == name]) for name in SPLITS}
    return parts if sum(map(bool, parts.values())) > 1 else None


def leaks_command(
    dataset: Dataset, parts: Mapping[str, Sequence[str]], progress: Progress | None = None
) -> tuple[pd.DataFrame, str]:
    """What `data leaks` prints: the table of `find`, hashes shortened, and one sentence.

    Pixels are compared where all photographs are on this machine.

    Raises:
        UserError, DataError: as `open_pixels`.
    """
    complete = bool((dataset.table["path"] != "").all())
    pixels = open_pixels(dataset, copies.SMALLEST, progress) if complete else None
    found = find(dataset, parts, pixels, progress)
    sizes = ", ".join(f"{len(ids):,} {name}" for name, ids in parts.items())
    told = summary(found, parts) or "No image, lesion, patient or copy lies in two parts."
    unseen = "" if complete else " Pixels were not compared: photographs are missing."
    by_hash = found["kind"] == "bytes"
    shown = found["shared"].mask(by_hash, found["shared"].str[:_HASH_SHOWN])
    return found.assign(shared=shown), f"{sizes} images. {told}{unseen}"


Side = tuple[pd.DataFrame, list[str]]
"""A table and some of its ids."""


def _keys(index: Iterable[str], names: Iterable[str]) -> pd.Series:
    return pd.Series(list(names), index=pd.Index(list(index), name="id"), dtype=object)


def _image_names(table: pd.DataFrame) -> pd.Series:
    """Every name of every image, by id."""
    own = _keys(table.index, table.index)
    if "image_id" not in table:
        return own
    other = table["image_id"].astype(str)
    return pd.concat([own, _keys(table.index, other)[(other != "").to_numpy()]])


def _contents(table: pd.DataFrame) -> pd.Series:
    here = table[table["path"] != ""]
    return _keys(here.index, map(images.content_hash, here["path"]))


def _group_names(table: pd.DataFrame) -> pd.Series:
    """Every group, patient and lesion of every image, by id.

    A lesion's name that several groups use is a number within a patient and says nothing.
    """
    found = [_keys(table.index, table["group"].astype(str))]
    for column in table.columns[table.columns.str.lower().isin(PATIENT_COLUMNS + LESION_COLUMNS)]:
        names = table[column].fillna("").astype(str)
        told = names != ""
        if column.lower() in LESION_COLUMNS:
            grouped = told & (table["group"] != table.index)
            owners = table["group"][grouped].groupby(names[grouped]).nunique()
            told &= ~names.isin(owners.index[owners > 1])
        # The column belongs to the name: patient 7 is not lesion 7.
        found.append(_keys(table.index[told], f"{column} " + names[told]))
    return pd.concat(found)


def _archived(keys: pd.Series) -> pd.Series:
    """The names that are the ISIC archive's, without the column they stood in."""
    bare = keys.astype(str).str.rpartition(" ")[2]
    return bare[bare.map(lambda name: bool(_ARCHIVED.fullmatch(name)))]


def _of(keys: pd.Series, ids: list[str]) -> pd.Series:
    """The keys of some ids, in the order of the ids."""
    own = keys[keys.index.isin(set(ids))]
    rank = {sample: position for position, sample in enumerate(ids)}
    return own.iloc[np.argsort([rank[sample] for sample in own.index], kind="stable")]


def _shared(kind: str, earlier: pd.Series, later: pd.Series) -> pd.DataFrame:
    """Each later image with a key of an earlier one, and the first earlier one that has it."""
    first = dict(zip(reversed(earlier.to_list()), reversed(earlier.index.to_list()), strict=True))
    rows = [(first[key], sample, key) for sample, key in later.items() if key in first]
    table = pd.DataFrame(rows, columns=["id_a", "id_b", "shared"], dtype=object)
    return table.drop_duplicates("id_b").assign(kind=kind, similarity=np.nan)


def _thumbnails(
    table: pd.DataFrame, ids: Sequence[str], pixels: np.ndarray | None, progress: Progress | None
) -> copies.Thumbnails | None:
    if pixels is None:
        return None
    rows = table.index.get_indexer(list(dict.fromkeys(ids)))
    return copies.thumbnails(pixels, rows, progress)


def _alike(
    sides: Sequence[Side],
    seen: tuple[copies.Thumbnails | None, copies.Thumbnails | None],
    progress: Progress | None,
) -> pd.DataFrame:
    """Each later image with the earlier one that it copies."""
    if seen[0] is None or seen[1] is None:
        return _shared("pixels", _keys([], []), _keys([], []))
    (table, ids), (other_table, other_ids) = sides
    pairs = copies.find(seen[0], seen[1], progress or silent).drop_duplicates("second")
    pairs = pairs.sort_values("second")
    id_a = np.array(ids, dtype=object)[pairs["first"]]
    id_b = np.array(other_ids, dtype=object)[pairs["second"]]
    groups = zip(table.loc[id_a, "group"], other_table.loc[id_b, "group"], strict=True)
    shared = [str(a) if a == b else f"{a} / {b}" for a, b in groups]
    columns = {"id_a": id_a, "id_b": id_b, "shared": shared, "kind": "pixels"}
    return pd.DataFrame({**columns, "similarity": pairs["similarity"].to_numpy()})


def _told_once(found: pd.DataFrame) -> pd.DataFrame:
    """Without what another kind says already."""
    named = set(found.loc[found["kind"] == "image", "id_b"])
    byte_wise = set(found.loc[found["kind"] == "bytes", "id_b"])
    told = (found["kind"] != "image") & found["id_b"].isin(named)
    told |= (found["kind"] == "pixels") & found["id_b"].isin(byte_wise)
    return found[~told]


def _table(found: list[pd.DataFrame]) -> pd.DataFrame:
    rows = [part for part in found if not part.empty]
    if not rows:
        empty = pd.DataFrame({column: pd.Series(dtype=object) for column in COLUMNS})
        return empty.astype({"similarity": float})
    return pd.concat(rows, ignore_index=True)[list(COLUMNS)].astype({"similarity": float})


def _clauses(found: pd.DataFrame, parts: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for (part_a, part_b, kind), rows in found.groupby(["part_a", "part_b", "kind"], sort=False):
        size = len(set(parts[part_b]))
        told = KINDS[str(kind)].format(part=part_a)
        yield f"{len(rows):,} of {size:,} {part_b} images {told}"
