"""How far annotators agree: the overlaps of all images, their means and intervals, as tables.

Files and pictures of them are `report`'s and `plots`'; a single image is `overlap`'s.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from benchmark.data.dataset import UNLABELLED, Dataset
from benchmark.data.pixels import Progress, in_threads, silent
from benchmark.errors import UserError
from benchmark.metrics.statistics import FEW_IMAGES, Estimate, bootstrap
from benchmark.raters import overlap
from benchmark.raters.overlap import DREW, READ, SHARE, SUM, Mask, Other, Overlaps, Pair, Reading

COLUMNS = (
    "level",
    "name",
    "measure",
    "counted",
    "score",
    "value",
    "low",
    "high",
    "n_images",
    "n_groups",
    "n_pairs",
    "note",
)
PAIRS = "pairs"
AGAINST = {SHARE: "against the others (share)", SUM: "against the others (sum)"}
REPEATS = "first against second session"
COMPARED = "pairs on the images read twice"
ALL = "all"
SCORES = ("f1", "iou")
FEW_NOTE = f"fewer than {FEW_IMAGES} images"
# Columns of the metadata that images are grouped by, as they are called here.
SUBGROUPS = {"skin_tone": "skin tone", "age": "age", "dataset": "source"}
# A column with more different values, such as an age in years, makes no groups.
MOST_VALUES = 20


@dataclass(frozen=True, eq=False)
class Agreement:
    """Agreement between the annotators of one data set.

    Attributes:
        dataset: its name.
        images: of the metadata, with or without masks.
        table: one row per number, in the columns `COLUMNS`. `level` is image, annotator, annotator
            pair, characteristic, diagnosis, skin tone, age, source or repeat; `measure` says what
            was compared; `counted` is "drew" (those who marked something) or "read" (whoever marks
            nothing scores 0 against somebody who does). value, low and high in [0, 1], NaN where
            undefined; low and high are the 95 % bootstrap interval over patients or lesions.
        pairs: one row per image and pair of annotators, as `overlap.Pair`.
        others: one row per image, annotator, rule and way of counting, as `overlap.Other`.
        readings: index annotator; columns read, drew, "nothing drawn": images, first session.
        remarks: the odd cases, counted and named, one sentence each.
    """

    dataset: str
    images: int
    table: pd.DataFrame
    pairs: pd.DataFrame
    others: pd.DataFrame
    readings: pd.DataFrame
    remarks: tuple[str, ...]

    @property
    def annotators(self) -> list[str]:
        """Everybody who read an image, sorted."""
        return list(self.readings.index)


def raters(dataset: Dataset, progress: Progress | None = None) -> Agreement:
    """How far the annotators of `dataset` agree, at the masks' own size.

    An annotator's map is the union of their masks. Compared are the first readings of every two
    annotators of an image; each annotator with the others, fused by the rules of
    `metrics.maps.fuse`; and the first reading with the second where the masks have sessions. A
    value is the mean over images of the mean over the image's pairs (or annotators), so that every
    image weighs the same (ours).

    Masks cannot tell "read, nothing drawn" from "not read". Who read an image is taken from the
    column `readers` of the table (names joined by ";"); without it, whoever has a mask. Where
    anybody read an image again, its known readers are all taken to have done so.

    Args:
        dataset: with masks of two annotators or more. A mask without a marked pixel counts as
            "read, nothing drawn". Photographs are not needed.
        progress: called as `progress(items, description, total)`, passes the items on.

    Raises:
        UserError: no masks, or no image that two annotators read.
        DataError: a mask is unreadable, or of another size than its image.
    """
    readings = list(_readings(dataset))
    people = {name for reading in readings for name in reading.readers[0]}
    if len(people) < 2 or all(len(reading.readers[0]) < 2 for reading in readings):
        held = {0: "no masks", 1: f"masks of one annotator ({', '.join(people)})"}.get(
            len(people), "no image that two annotators read"
        )
        raise UserError(
            f"{dataset.root} holds {held}: agreement needs masks of at least two annotators of an"
            " image"
        )
    measured = in_threads(overlap.overlaps, readings)
    watch = progress or silent
    every = list(watch(measured, "comparing masks", len(readings)))
    pairs = _frame((pair for one in every for pair in one.pairs), Pair._fields)
    others = _frame((other for one in every for other in one.others), Other._fields)
    table = _Tables(dataset, pairs, others).all()
    return Agreement(
        dataset.name,
        len(dataset.table),
        table,
        pairs,
        others,
        _counts(dataset, every),
        tuple(_remarks(dataset, readings, every, pairs)),
    )


def _frame(rows: Iterable[tuple[Any, ...]], columns: Iterable[str]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(columns))


def _readings(dataset: Dataset) -> Iterator[Reading]:
    for sample_id in dataset.table.index:
        rows = dataset.mask_rows(sample_id)
        if rows.empty:
            continue
        session = rows["session"] if "session" in rows else [1] * len(rows)
        masks = tuple(
            Mask(*row)
            for row in zip(
                rows["annotator"], session, rows["characteristic"], rows["path"], strict=True
            )
        )
        known = set(dataset.readers(sample_id))
        drew = [{mask.annotator for mask in masks if mask.session == s} for s in (1, 2)]
        first = tuple(sorted(drew[0] | known))
        second = tuple(sorted(drew[1] | known)) if drew[1] else ()
        yield Reading(sample_id, dataset.table.at[sample_id, "path"], masks, (first, second))


class _Tables:
    """The rows of `Agreement.table`."""

    def __init__(self, dataset: Dataset, pairs: pd.DataFrame, others: pd.DataFrame) -> None:
        self._samples = dataset.table
        self._classes = dict(enumerate(dataset.classes)) | {UNLABELLED: "(unlabelled)"}
        self._pairs = pairs[pairs["level"] == overlap.IMAGE]
        self._characteristics = pairs[pairs["level"] == overlap.CHARACTERISTIC]
        self._repeats = pairs[pairs["level"] == overlap.REPEAT]
        self._others = others
        self._rows: list[tuple[Any, ...]] = []

    def all(self) -> pd.DataFrame:
        self._everything(overlap.IMAGE, ALL, self._pairs, self._others)
        for (a, b), of_two in self._pairs.groupby(["annotator_1", "annotator_2"]):
            self._both_ways("annotator pair", f"{a} - {b}", PAIRS, of_two)
        for name, of_one in self._others.groupby("annotator"):
            self._against("annotator", name, of_one)
        for name, of_one in self._characteristics.groupby("characteristic"):
            self._both_ways("characteristic", name or "(whole lesion)", PAIRS, of_one)
        for level, values in self._subgroups():
            for value in dict.fromkeys(values):
                ids = values.index[values == value]
                self._everything(level, str(value), *self._of(ids))
        self._repeated()
        return pd.DataFrame(self._rows, columns=list(COLUMNS))

    def _repeated(self) -> None:
        if self._repeats.empty:
            return
        self._both_ways("repeat", ALL, REPEATS, self._repeats)
        # What two people reach on the very same images is the yardstick for one person's repeat.
        same, _ = self._of(self._repeats["id"].unique())
        self._both_ways("repeat", ALL, COMPARED, same)
        for name, of_one in self._repeats.groupby("annotator_1"):
            self._both_ways("repeat", name, REPEATS, of_one)

    def _subgroups(self) -> Iterator[tuple[str, pd.Series]]:
        masked = self._samples.loc[self._pairs["id"].unique()]
        names = masked["label"].map(self._classes)
        order = [name for name in self._classes.values() if name in set(names)]
        yield "diagnosis", names.astype(pd.CategoricalDtype(order)).sort_values().astype(str)
        for column, level in SUBGROUPS.items():
            if column in masked:
                values = masked[column].astype(str).replace({"": "(missing)", "nan": "(missing)"})
                if values.nunique() <= MOST_VALUES:
                    yield level, values.sort_values()

    def _of(self, ids: Iterable[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
        pairs, others = self._pairs, self._others
        return pairs[pairs["id"].isin(ids)], others[others["id"].isin(ids)]

    def _everything(self, level: str, name: str, pairs: pd.DataFrame, others: pd.DataFrame) -> None:
        self._both_ways(level, name, PAIRS, pairs)
        self._against(level, name, others)

    def _both_ways(self, level: str, name: str, measure: str, pairs: pd.DataFrame) -> None:
        self._add(level, name, measure, DREW, pairs[pairs["drew"] == 2])
        self._add(level, name, measure, READ, pairs)

    def _against(self, level: str, name: str, others: pd.DataFrame) -> None:
        for rule, measure in AGAINST.items():
            for counted in (DREW, READ):
                chosen = (others["rule"] == rule) & (others["counted"] == counted)
                self._add(level, name, measure, counted, others[chosen])

    def _add(self, level: str, name: str, measure: str, counted: str, found: pd.DataFrame) -> None:
        found = found[found["f1"].notna()]
        means = found.groupby("id")[list(SCORES)].mean()
        groups = self._samples["group"].reindex(means.index).to_numpy()
        for score in SCORES:
            one = bootstrap(means[score].to_numpy(), groups)
            told = (one.value, one.low, one.high, one.n, one.groups)
            self._rows.append((level, name, measure, counted, score, *told, len(found), _note(one)))


def _note(estimate: Estimate) -> str:
    if not estimate.n:
        return "nothing to compare"
    if estimate.n >= FEW_IMAGES:
        return ""
    return FEW_NOTE if estimate.groups > 1 else f"{FEW_NOTE}, of one patient: no interval"


def _counts(dataset: Dataset, every: list[Overlaps]) -> pd.DataFrame:
    drew = Counter(name for one in every for name in one.drew)
    read = Counter(name for one in every for name in one.read)
    for sample_id in _without_masks(dataset):
        read.update(dataset.readers(sample_id))
    counts = pd.DataFrame({"read": pd.Series(read, dtype=int), "drew": pd.Series(drew, dtype=int)})
    counts = counts.fillna(0).astype(int).sort_index()
    counts["nothing drawn"] = counts["read"] - counts["drew"]
    return counts.rename_axis("annotator")


def _without_masks(dataset: Dataset) -> list[str]:
    return list(dataset.table.index.difference(dataset.masks["id"], sort=False))


def _remarks(
    dataset: Dataset, readings: list[Reading], every: list[Overlaps], pairs: pd.DataFrame
) -> Iterator[str]:
    bare = _without_masks(dataset)
    alone = [r.sample_id for r, one in zip(readings, every, strict=True) if len(one.drew) == 1]
    empty = [path for one in every for path in one.empty]
    again = pairs[pairs["level"] == overlap.REPEAT]
    cases = {
        "{} without any mask enter no number": ("image", bare),
        "{} with marks of one annotator only enter no row of those who drew": ("image", alone),
        "{} without a marked pixel: read, nothing drawn": ("mask", empty),
        "{} where nothing was drawn in either session enter no number": (
            "repeat reading",
            [f"{row.annotator_1} {row.id}" for row in again[again["drew"] == 0].itertuples()],
        ),
    }
    for sentence, (noun, names) in cases.items():
        if names:
            plural = "" if len(names) == 1 else "s"
            yield f"{sentence.format(f'{len(names)} {noun}{plural}')}: {', '.join(names)}."
    if "readers" not in dataset.table:
        yield (
            "Who read an image and drew nothing is not known here: only annotators with a mask of"
            " it count as its readers."
        )
    first = pairs[pairs["level"] == overlap.IMAGE]
    neither = int((first["drew"] == 0).sum())
    if neither:
        yield f"{neither} pairs in which neither annotator drew anything have no score."
    yield from dataset.notes
