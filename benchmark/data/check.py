"""Whether a data set is fit for use: every file decoded, every contradiction named: `data check`.

Faults of tables and folders are found earlier, by the layouts' readers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmark.data import copies, images, leaks
from benchmark.data.dataset import SPLITS, UNLABELLED, Dataset, Disease
from benchmark.data.pixels import Progress, in_threads, open_pixels, silent
from benchmark.data.summary import mask_size
from benchmark.errors import DataError
from benchmark.wording import counted

# A class of fewer lesions or patients is named: a tenth of it, a usual test part, is less than one
# (ours). And so is a set whose largest class has more than so many times the images of the rarest.
FEW_GROUPS = 10
MUCH_IMBALANCE = 10
# Pairs of copies named before the rest is counted.
MOST_COPIES = 5
# Classes counted before the rest is added up.
MOST_CLASSES = 12


@dataclass(frozen=True)
class Checked:
    """What `check` found.

    Attributes:
        facts: what there is, name to words, in the order in which it is read.
        problems: what must be mended, one sentence each with its remedy; none if the set is sound.
        remarks: what can be lived with and should be known.
    """

    facts: dict[str, str]
    problems: tuple[str, ...]
    remarks: tuple[str, ...]


def check(dataset: Dataset, progress: Progress | None = None) -> Checked:
    """Decode every image and mask; count, compare and judge.

    Problems are: files that cannot be read, masks of another size than their image, empty masks
    (they are used all the same and say "nothing marked"), byte- or near-identical images of
    different classes, byte-identical ones of different groups, lesions, patients, images or copies
    in two parts, classes without images. Remarks: near-identical images of different groups,
    classes of few groups, imbalance, no groups at all, photographs that are not here.

    Args:
        dataset: any; photographs that are not on this machine are passed over.
        progress: called as `progress(items, description, total)`, passes the items on.
    """
    watch = progress or silent
    held = dataset.table[dataset.table["path"] != ""]
    sizes, problems = _image_sizes(held, watch)
    facts = _facts(dataset, sizes)
    present = set(dataset.table["label"])
    for label, name in enumerate(dataset.classes):
        if label not in present:
            problems.append(f"class {name} has no image: add some, or take it out of the table")
    problems += _duplicates(held.loc[list(sizes)], dataset.diseases)
    unseen = len(dataset.table) - len(sizes)
    pixels = None if unseen else open_pixels(dataset, copies.SMALLEST, progress)
    alike = _near_identical(dataset, pixels, progress)
    fixed = leaks.fixed_parts(dataset)
    if fixed and (found := leaks.summary(leaks.find(dataset, fixed, pixels, progress), fixed)):
        problems.append(
            f"{found} Keep these in one part, or give --allow-leaks, which the record tells;"
            " `data leaks` names them"
        )
    problems += _contradictions(dataset, alike)
    problems += _mask_faults(dataset, sizes, watch)
    return Checked(facts, tuple(problems), tuple(_remarks(dataset, alike, unseen)))


def _facts(dataset: Dataset, sizes: dict[str, tuple[int, int]]) -> dict[str, str]:
    table = dataset.table
    counts = _class_counts(dataset)
    named = [f"{name} {count:,}" for name, count in counts.head(MOST_CLASSES).items()]
    if len(counts) > MOST_CLASSES:
        named.append(f"{len(counts) - MOST_CLASSES} more {counts.iloc[MOST_CLASSES:].sum():,}")
    per_group = table.groupby("group").size()
    parts = table["split"].replace("", "without a part").value_counts()
    here = int((table["path"] != "").sum())
    least, most = per_group.min(), per_group.max()
    given = [f"{part} {parts[part]:,}" for part in (*SPLITS, "without a part") if part in parts]
    facts = {
        "images": f"{len(table):,}" + (f", {here:,} of them here" if here < len(table) else ""),
        "classes": f"{len(dataset.classes)}: {', '.join(named)}",
        "groups": f"{len(per_group):,} lesions or patients,"
        f" {least if least == most else f'{least} to {most}'} images each",
        "parts": "none given: a run draws them, whole groups at a time"
        if set(parts.index) == {"without a part"}
        else ", ".join(given),
    }
    unlabelled = int((table["label"] == UNLABELLED).sum())
    if unlabelled:
        facts["unlabelled"] = f"{unlabelled:,}"
    if sizes:
        heights, widths = zip(*sizes.values(), strict=True)
        small, large = f"{min(heights)} x {min(widths)}", f"{max(heights)} x {max(widths)}"
        facts["height x width"] = small if small == large else f"{small} to {large}"
    if len(dataset.masks):
        marked = dataset.masks["id"].nunique()
        readers = dataset.masks["annotator"].nunique()
        images, by = counted(f"{marked:,}", "image"), counted(readers, "annotator")
        facts["masks"] = f"{len(dataset.masks):,} of {images} by {by}"
    return facts


def _class_counts(dataset: Dataset) -> pd.Series:
    """Images of each class that has any, the most frequent first."""
    labels = dataset.table["label"]
    names = labels[labels != UNLABELLED].map(dict(enumerate(dataset.classes)))
    return names.value_counts()


def _remarks(dataset: Dataset, alike: pd.DataFrame, unseen: int) -> Iterator[str]:
    counts = _class_counts(dataset)
    if len(counts) > 1 and counts.iloc[0] > MUCH_IMBALANCE * counts.iloc[-1]:
        yield (
            f"{counts.index[0]} has {counts.iloc[0] / counts.iloc[-1]:.1f} times the images of"
            f" {counts.index[-1]} ({counts.iloc[-1]}): accuracy says little here, look at macro F1,"
            " and see the methods of task imbalance"
        )
    labelled = dataset.table[dataset.table["label"] != UNLABELLED]
    groups = labelled.groupby("label")["group"].nunique()
    few = [f"{dataset.classes[label]} ({n})" for label, n in groups.items() if n < FEW_GROUPS]
    if few:
        yield (
            f"fewer than {FEW_GROUPS} lesions or patients: {', '.join(few)}. Scores of such a class"
            " rest on one or two test images"
        )
    if len(dataset.table) and dataset.table["group"].is_unique:
        yield (
            "each image is a group of its own: where lesions or patients have several images, name"
            " them in the column group, or their images end up in training and test"
        )
    apart = alike[alike["group"] & ~alike["label"]]
    if len(apart):
        yield (
            f"{_pairs(apart)} near-identical and of different groups: parts drawn here keep them"
            " together; if they show one lesion, give them one group"
        )
    if unseen:
        yield (
            f"{unseen:,} photographs are not here or cannot be read: near-identical images were not"
            " looked for"
        )


def _near_identical(
    dataset: Dataset, pixels: np.ndarray | None, progress: Progress | None
) -> pd.DataFrame:
    """Pairs that `copies` finds: columns `first`, `second` (ids), and whether they differ in
    `label` and in `group`. Byte-identical ones are not told again.
    """
    columns = ["first", "second", "label", "group"]
    if pixels is None:
        return pd.DataFrame(columns=columns).astype({"label": bool, "group": bool})
    table = dataset.table
    seen = copies.thumbnails(pixels, range(len(table)), progress)
    pairs = copies.find(seen, seen, progress)
    # A picture is like itself, and each pair is found from both ends.
    pairs = pairs[pairs["first"] < pairs["second"]]
    pairs = pairs.drop_duplicates(["first", "second"])
    one, other = (table.iloc[pairs[side]] for side in ("first", "second"))
    labels = (one["label"].to_numpy(), other["label"].to_numpy())
    known = (labels[0] != UNLABELLED) & (labels[1] != UNLABELLED)
    same_bytes = [
        images.content_hash(a) == images.content_hash(b)
        for a, b in zip(one["path"], other["path"], strict=True)
    ]
    found = pd.DataFrame(
        {
            "first": one.index,
            "second": other.index,
            "label": known & (labels[0] != labels[1]),
            "group": one["group"].to_numpy() != other["group"].to_numpy(),
        }
    )
    return found[~np.array(same_bytes, bool)]


def _contradictions(dataset: Dataset, alike: pd.DataFrame) -> list[str]:
    # Of a graded image, `label` is of one disease: another image may be graded for another.
    two = alike[alike["label"]] if not dataset.diseases else alike.iloc[:0]
    if two.empty:
        return []
    return [f"{_pairs(two)} near-identical and of different classes: correct one, or remove both"]


def _pairs(alike: pd.DataFrame) -> str:
    named = [f"{a} and {b}" for a, b in alike[["first", "second"]].head(MOST_COPIES).to_numpy()]
    more = len(alike) - len(named)
    return f"{', '.join(named)}{f' and {more:,} more pairs' if more else ''} are"


def _image_sizes(
    held: pd.DataFrame, watch: Progress
) -> tuple[dict[str, tuple[int, int]], list[str]]:
    """(height, width) of each image that can be read, and a sentence for each other one."""
    sizes: dict[str, tuple[int, int]] = {}
    problems = []
    found = in_threads(_image_size, list(held["path"]))
    for sample_id, (size, fault) in zip(
        held.index, watch(found, "checking images", len(held)), strict=True
    ):
        if size:
            sizes[sample_id] = size
        else:
            problems.append(fault)
    return sizes, problems


def _image_size(path: str) -> tuple[tuple[int, int] | None, str]:
    try:
        height, width, _ = images.read_image(path).shape
    except DataError as error:
        return None, str(error)
    return (height, width), ""


def _mask_faults(
    dataset: Dataset, sizes: dict[str, tuple[int, int]], watch: Progress
) -> Iterator[str]:
    first: dict[str, str] = {}
    masks = list(zip(dataset.masks["id"], dataset.masks["path"], strict=True))
    results = in_threads(mask_size, [path for _, path in masks])
    expected = dict(sizes)
    for (sample_id, path), (size, area, fault) in zip(
        masks, watch(results, "checking masks", len(masks)), strict=True
    ):
        if size is None:
            yield fault
            continue
        if not area:
            yield f"{path} is empty: it counts as 'nothing marked'"
        # Without the photograph, the masks of an image are compared with each other.
        reference = dataset.table.at[sample_id, "path"] or first.setdefault(sample_id, path)
        try:
            known = expected.setdefault(sample_id, size)
            images.require_same_size(path, size, reference, known)
        except DataError as error:
            yield str(error)


def _duplicates(samples: pd.DataFrame, diseases: Sequence[Disease]) -> list[str]:
    """Images with the same bytes that a split could put on both sides, or that say two things."""
    # Of a graded image, `label` is of one disease: another image may be graded for another.
    compared = [*([one.column for one in diseases] or ["label"]), "group"]
    first: dict[str, str] = {}
    problems = []
    for sample_id, path in samples["path"].items():
        other = first.setdefault(images.content_hash(path), str(sample_id))
        rows = samples.loc[[other, sample_id]]
        for column in compared:
            told = rows[column]
            if told[told != UNLABELLED].nunique() > 1:
                problems.append(
                    f"images {other} and {sample_id} are byte-identical, but differ in {column}:"
                    " correct one, or remove one"
                )
                break
    return problems
