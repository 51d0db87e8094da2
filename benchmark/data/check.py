"""Whether a data set is fit for use: every file decoded, every contradiction named: `data check`.

Faults of tables and folders are found earlier, by the layouts' readers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from benchmark.common.wording import counted
from benchmark.data import copies, images, leaks
from benchmark.data.dataset import SPLITS, UNLABELLED, Dataset, Disease
from benchmark.data.pixels import Progress, in_threads, open_pixels, silent
from benchmark.data.splits import partition
from benchmark.data.summary import mask_size
from benchmark.errors import DataError

# A class of fewer lesions or patients is named: a tenth of it, a usual test part, is less than one
# (ours). And so is a set whose largest class has more than so many times the images of the rarest.
FEW_GROUPS = 10
MUCH_IMBALANCE = 10
# Pairs of copies, groups and masks of one kind that are named before the rest is counted.
MOST_NAMED = 5
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

    Problems are: what the layout's reader had to leave out, files that cannot be read, masks of
    another size than their image, byte- or near-identical images of different classes,
    byte-identical ones of different groups, lesions, patients, images or copies in two parts,
    classes without images or of one name in two spellings, and why a run could not draw its parts,
    such as a class of too few lesions. Remarks: other copies, groups of several
    classes, classes of few groups, imbalance, no groups at all, empty masks, photographs that are
    not here.

    Args:
        dataset: any; photographs that are not on this machine are passed over.
        progress: called as `progress(items, description, total)`, passes the items on.
    """
    watch = progress or silent
    held = dataset.table[dataset.table["path"] != ""]
    sizes, problems = _image_sizes(held, watch)
    readable = list(sizes)
    problems += [*dataset.faults, *_class_faults(dataset), *_division_faults(dataset)]
    contradicting, repeated = _byte_identical(held.loc[readable], dataset.diseases)
    problems += contradicting
    pixels = _pixels(dataset, readable, progress)
    alike = _near_identical(dataset, pixels, progress)
    fixed = leaks.fixed_parts(dataset)
    if fixed and (found := leaks.summary(leaks.find(dataset, fixed, pixels, progress), fixed)):
        problems.append(
            f"{found} Keep these in one part, or give --allow-leaks, which the record tells;"
            " `data leaks` names them"
        )
    problems += _contradictions(dataset, alike)
    faults, empty = _mask_faults(dataset, sizes, watch)
    problems += faults
    remarks = [
        *_class_remarks(dataset),
        *_group_remarks(dataset),
        *_copy_remarks(dataset, alike, repeated),
        *_mask_remarks(empty),
        *_unseen_remarks(len(dataset.table), len(readable)),
    ]
    return Checked(_facts(dataset, sizes), tuple(problems), tuple(remarks))


def _no_groups(dataset: Dataset) -> bool:
    """Whether no lesion or patient is named: each image is then a group with its own id."""
    return bool((dataset.table["group"] == dataset.table.index).all())


def _draws_parts(dataset: Dataset) -> bool:
    """Whether `splits.partition` has a part to draw."""
    return not set(SPLITS[1:]) <= set(dataset.table["split"])


def _class_faults(dataset: Dataset) -> Iterator[str]:
    present = set(dataset.table["label"])
    for label, name in enumerate(dataset.classes):
        if label not in present:
            yield f"class {name} has no image: add some, or take it out of the table"
    spelled: dict[str, list[str]] = {}
    for name in dataset.classes:
        spelled.setdefault(" ".join(name.split()).casefold(), []).append(repr(name))
    for names in spelled.values():
        if len(names) > 1:
            yield (
                f"classes {' and '.join(names)} differ in case or spaces only: give their images"
                " one spelling"
            )


def _division_faults(dataset: Dataset) -> Iterator[str]:
    # Of a graded set each disease is divided on its own.
    if dataset.diseases:
        return
    try:
        partition(dataset, seed=0)
    except DataError as error:
        yield str(error)


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
        "groups": "none given: each image is taken as a group of its own"
        if _no_groups(dataset)
        else f"{len(per_group):,} lesions or patients,"
        f" {counted(least if least == most else f'{least} to {most}', 'image')} each",
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
        readers = counted(dataset.masks["annotator"].nunique(), "annotator")
        facts["masks"] = (
            f"{len(dataset.masks):,}, of {marked:,} of {len(table):,} images, by {readers}"
        )
    return facts


def _class_counts(dataset: Dataset) -> pd.Series:
    """Images of each class that has any, the most frequent first."""
    labels = dataset.table["label"]
    names = labels[labels != UNLABELLED].map(dict(enumerate(dataset.classes)))
    return names.value_counts()


def _class_remarks(dataset: Dataset) -> Iterator[str]:
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
        what = "images" if _no_groups(dataset) else "lesions or patients"
        yield (
            f"fewer than {FEW_GROUPS} {what}: {', '.join(few)}. Scores of such a class rest on one"
            " or two test images"
        )


def _group_remarks(dataset: Dataset) -> Iterator[str]:
    if _no_groups(dataset):
        if _draws_parts(dataset):
            what = "each image is a group of its own, and a split may part images of one lesion"
        else:
            what = "whether one lies in two parts cannot be told"
        yield (
            f"no lesions or patients are given: {what}; where one has several images, name it in"
            " the column group of a table (class folders have none)"
        )
    # Of a graded image, `label` is of one disease: another image may be graded for another.
    labelled = dataset.table[dataset.table["label"] != UNLABELLED]
    labels = labelled.groupby("group")["label"].unique()
    mixed = labels[labels.map(len) > 1]
    if dataset.diseases or mixed.empty:
        return
    # No problem: a patient may have two diagnoses, a lesion may not, and which of them a group is
    # the folder does not say.
    named = [
        f"{group} ({', '.join(dataset.classes[label] for label in sorted(held))})"
        for group, held in mixed.head(MOST_NAMED).items()
    ]
    yield (
        f"of several classes are the images of {counted(len(mixed), 'group')}:"
        f" {_and_more(named, len(mixed))}: patients may have several diagnoses, but where a group"
        " is a lesion, correct its labels"
    )


def _copy_remarks(dataset: Dataset, alike: pd.DataFrame, repeated: Sequence[str]) -> Iterator[str]:
    if repeated:
        told = _and_more(repeated[:MOST_NAMED], len(repeated), "pair")
        yield f"{told} are byte-identical: the picture counts twice, remove one"
    apart = alike[alike["group"] & ~alike["label"]]
    if apart.empty:
        return
    if _no_groups(dataset):
        what, remedy = "near-identical", "if one is a copy of the other, remove it"
    else:
        what = "near-identical and of different groups"
        remedy = "if they show one lesion, give them one group"
    if _draws_parts(dataset):
        yield f"{_pairs(apart)} {what}: parts drawn here keep them together; {remedy}"
    else:
        yield f"{_pairs(apart)} {what}: no part is drawn here, so keep them in one; {remedy}"


def _mask_remarks(empty: Sequence[str]) -> Iterator[str]:
    if empty:
        named = _and_more(empty[:MOST_NAMED], len(empty))
        told = "is empty: it counts" if len(empty) == 1 else "are empty: they count"
        yield f"{named} {told} as 'nothing marked'; where there is something to mark, draw it"


def _unseen_remarks(count: int, seen: int) -> Iterator[str]:
    unseen = count - seen
    if unseen:
        told = f"{counted(f'{unseen:,}', 'photograph is', 'photographs are')}"
        where = f"looked for among the other {seen:,} only" if seen > 1 else "not looked for"
        yield f"{told} not here or cannot be read: near-identical images were {where}"


def _pixels(dataset: Dataset, readable: list[str], progress: Progress | None) -> np.ndarray | None:
    """Small pixels of every image, (N, 28, 28, 3) uint8; None where there are no two to compare."""
    if len(readable) < 2:
        return None
    table = dataset.table
    pixels = open_pixels(replace(dataset, table=table.loc[readable]), copies.SMALLEST, progress)
    if len(readable) == len(table):
        return pixels
    # An image that cannot be read is black: to `copies` a flat image is like nothing.
    spread = np.zeros((len(table), *pixels.shape[1:]), np.uint8)
    spread[table.index.get_indexer(readable)] = pixels
    return spread


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
    named = [f"{a} and {b}" for a, b in alike[["first", "second"]].head(MOST_NAMED).to_numpy()]
    return f"{_and_more(named, len(alike), 'pair')} are"


def _and_more(named: Sequence[str], count: int, noun: str = "") -> str:
    """The first of `count` things, and how many there are besides."""
    more = count - len(named)
    if not more:
        return ", ".join(named)
    return f"{', '.join(named)} and {counted(f'{more:,} more', noun) if noun else f'{more:,} more'}"


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
) -> tuple[list[str], list[str]]:
    """A sentence for each faulty mask, and the files in which nothing is marked."""
    faults, empty = [], []
    first: dict[str, str] = {}
    masks = list(zip(dataset.masks["id"], dataset.masks["path"], strict=True))
    results = in_threads(mask_size, [path for _, path in masks])
    expected = dict(sizes)
    for (sample_id, path), (size, area, fault) in zip(
        masks, watch(results, "checking masks", len(masks)), strict=True
    ):
        if size is None:
            faults.append(fault)
            continue
        if not area:
            empty.append(path)
        # Without the photograph, the masks of an image are compared with each other.
        reference = dataset.table.at[sample_id, "path"] or first.setdefault(sample_id, path)
        try:
            known = expected.setdefault(sample_id, size)
            images.require_same_size(path, size, reference, known)
        except DataError as error:
            faults.append(str(error))
    return faults, empty


def _byte_identical(
    samples: pd.DataFrame, diseases: Sequence[Disease]
) -> tuple[list[str], list[str]]:
    """Of images with the same bytes: what they contradict each other in, and the other pairs."""
    # Of a graded image, `label` is of one disease: another image may be graded for another.
    compared = [one.column for one in diseases] or ["label"]
    first: dict[str, str] = {}
    problems, repeated = [], []
    for sample_id, path in samples["path"].items():
        other = first.setdefault(images.content_hash(path), str(sample_id))
        if other == sample_id:
            continue
        rows = samples.loc[[other, sample_id]]
        # Two images without a group given do not contradict each other in it.
        grouped = bool((rows["group"] != rows.index).any())
        for column in [*compared, *(["group"] if grouped else [])]:
            told = rows[column]
            if told[told != UNLABELLED].nunique() > 1:
                problems.append(
                    f"images {other} and {sample_id} are byte-identical, but differ in {column}:"
                    " correct one, or remove one"
                )
                break
        else:
            if not diseases:
                repeated.append(f"{other} and {sample_id}")
    return problems, repeated
