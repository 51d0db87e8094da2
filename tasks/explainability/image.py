"""One image: every map that is compared against every reference it is compared with.

Scores of the protocol dermbench-1 have plain names, those of dermxdb-2023 begin with
"dermxdb_2023_". What is done with many images is `summary`'s business.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from benchmark.data.dataset import Dataset, first_readings
from benchmark.metrics import maps
from benchmark.records.record import UNTRAINED

FUZZY = ("f1", "sensitivity", "specificity", "precision", "iou", "npv")
PUBLISHED = "dermxdb_2023_"
# Of each image's table in one level; the authors' own tables have these three.
LEVEL_SCORES = ("f1", "sensitivity", "specificity")
# In place of no characteristic: the mask of a whole lesion.
WHOLE_LESION = "whole lesion"

# What is compared with the network, by the prefix of its columns.
FLOORS = {
    "gaussian": "centred Gaussian",
    "constant": "constant",
    "mean_mask": "mean training mask",
    "edges": "edge map",
    "untrained": UNTRAINED,
}
CEILINGS = {
    "annotator": "annotator against the others",
    "pairs": "annotator pairs",
    "repeats": "repeat readings",
}


@dataclass(frozen=True)
class Readings:
    """The masks of one image by reader.

    Attributes:
        first: annotator -> (M, H, W) bool, their masks of the first reading, by name.
        silent: annotators who read the image and marked nothing, where the data set knows.
        second: likewise for those who read the image again, empty masks where they marked nothing.
        characteristics: characteristic -> annotator -> (M, H, W) bool, first reading only.
    """

    first: dict[str, np.ndarray]
    silent: tuple[str, ...]
    second: dict[str, np.ndarray]
    characteristics: dict[str, dict[str, np.ndarray]]

    @property
    def readers(self) -> int:
        """How many annotators read the image the first time."""
        return len(self.first) + len(self.silent)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of every mask."""
        height, width = next(iter(self.first.values())).shape[1:]
        return height, width


@dataclass(frozen=True)
class NetworkMaps:
    """What explains one image, each (h, w) float32; see `tasks.given.Explanations`."""

    label: int
    true: np.ndarray
    predicted: np.ndarray
    untrained: np.ndarray
    published: np.ndarray
    untrained_published: np.ndarray
    every: np.ndarray | None = None


@dataclass(frozen=True)
class ImageScore:
    """Scores by "WHOSE_SCORE" and the rows of the levels below the image."""

    scores: dict[str, float]
    levels: list[dict[str, Any]] = field(default_factory=list)


def readings(dataset: Dataset, sample: str) -> Readings:
    """Read the masks of one image.

    Raises:
        DataError: a mask is unreadable or of another size than its image.
    """
    rows = dataset.mask_rows(sample).reset_index(drop=True)
    stack = dataset.mask_stack(sample)
    once = first_readings(rows)
    characteristics: dict[str, dict[str, np.ndarray]] = {}
    for name, part in once.groupby("characteristic"):
        characteristics[str(name) or WHOLE_LESION] = _by_annotator(part, stack)
    first = _by_annotator(once, stack)
    silent = silent_readers(dataset, sample)
    second = _by_annotator(rows.drop(once.index), stack)
    if second:
        # All who are known to have read the image read it again.
        nothing = np.zeros_like(stack[:1])
        second = dict.fromkeys(dataset.readers(sample), nothing) | second
    return Readings(first, silent, second, characteristics)


def silent_readers(dataset: Dataset, sample: str) -> tuple[str, ...]:
    """Annotators who read an image the first time and marked nothing, where that is known."""
    drew = set(first_readings(dataset.mask_rows(sample))["annotator"])
    return tuple(name for name in dataset.readers(sample) if name not in drew)


def _by_annotator(rows: pd.DataFrame, stack: np.ndarray) -> dict[str, np.ndarray]:
    return {str(name): stack[part.index.to_numpy()] for name, part in rows.groupby("annotator")}


def share(marked: Mapping[str, np.ndarray], readers: int) -> np.ndarray:
    """The reference of dermbench-1: the share of the annotators who marked each pixel.

    Args:
        marked: annotator -> (M, H, W) bool.
        readers: how many looked, whether they marked something or not.

    Returns:
        (H, W) float32 in [0, 1].
    """
    names = [name for name, masks in marked.items() for _ in masks]
    fused = maps.fuse(np.concatenate(list(marked.values())), "share", names)
    return fused * np.float32(len(marked) / readers)


def heatmap(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A map (h, w) as dermbench-1 scores it: (H, W) in [0, 1], half-pixel bilinear, min-max."""
    return maps.normalise(maps.upscale(values, size, "bilinear"))


def score_image(
    read: Readings, network: NetworkMaps, photograph: np.ndarray, mean_mask: np.ndarray | None
) -> ImageScore:
    """Everything that is scored on one image.

    Args:
        read: its masks.
        network: its maps.
        photograph: (H, W, 3) uint8, for the map of its edges.
        mean_mask: (g, g) float, the mean reference of the training images; None without any.

    Returns:
        No score at all where no mask has a marked pixel: there is nothing to find.
    """
    size = read.size
    reference = share(read.first, read.readers)
    if not reference.any():
        return ImageScore({})
    published = maps.published_reference(np.concatenate(list(read.first.values())))
    own = heatmap(network.true, size)
    scores = _of_true_class(reference, own)
    cubic = maps.published_map(network.published, size, "bicubic")
    scores |= _named("network", _published(published, cubic))
    said = heatmap(network.predicted, size)
    scores["predicted_f1"] = float(maps.fuzzy_scores(reference, said)["f1"])
    scores["discrimination_f1"] = _discrimination(reference, network, scores["network_f1"])
    floors = {
        "gaussian": maps.centred_gaussian(size),
        "constant": maps.constant(size),
        "edges": maps.edge_map(photograph, size),
    }
    if mean_mask is not None:
        floors["mean_mask"] = heatmap(mean_mask, size)
    for name, floor in floors.items():
        scores |= _named(name, _dermbench(reference, floor) | _published(published, floor))
    scores |= _named("untrained", _dermbench(reference, heatmap(network.untrained, size)))
    untrained = maps.published_map(network.untrained_published, size, "bicubic")
    scores |= _named("untrained", _published(published, untrained))
    scores |= _ceilings(read)
    nearest = maps.published_map(network.published, size, "nearest")
    return ImageScore(scores, _levels(read, own, nearest))


def score_true_class(read: Readings, values: np.ndarray) -> dict[str, float]:
    """What needs the map (h, w) of the true class alone: the scores that `score_image` gives it.

    No score at all where no mask has a marked pixel.
    """
    reference = share(read.first, read.readers)
    return _of_true_class(reference, heatmap(values, read.size)) if reference.any() else {}


def score_characteristic(read: Readings, name: str, values: np.ndarray) -> dict[str, float]:
    """As `score_image`, of the map (h, w) and the centred Gaussian, against one characteristic."""
    reference = share(read.characteristics[name], read.readers)
    gaussian = _dermbench(reference, maps.centred_gaussian(read.size))
    return _of_true_class(reference, heatmap(values, read.size)) | _named("gaussian", gaussian)


def _of_true_class(reference: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    return _named("network", _dermbench(reference, predicted))


def _dermbench(reference: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    found = maps.fuzzy_scores(reference, predicted)
    return {name: float(found[name]) for name in FUZZY} | maps.localisation_scores(
        reference, predicted
    )


def _published(reference: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    found = maps.fuzzy_scores(reference, predicted)
    return {f"{PUBLISHED}{name}": float(found[name]) for name in FUZZY}


def _named(prefix: str, scores: dict[str, float]) -> dict[str, float]:
    return {f"{prefix}_{name}": value for name, value in scores.items()}


def _discrimination(reference: np.ndarray, network: NetworkMaps, true_f1: float) -> float:
    """F1 of the true class's map less the mean F1 of the other classes' maps (ours)."""
    if network.every is None:
        return float("nan")
    others = [
        maps.fuzzy_scores(reference, heatmap(each, reference.shape))["f1"]
        for label, each in enumerate(network.every)
        if label != network.label
    ]
    return true_f1 - float(np.mean(others))


def _ceilings(read: Readings) -> dict[str, float]:
    """How well all agree who read the image; nothing where there is nobody else.

    Whoever marked nothing has an empty map, as in the reference: it scores 0 against any other, and
    two of them are left out (in the words of `raters`: "who read").
    """
    nothing = np.zeros((1, *read.size), bool)
    everyone = read.first | dict.fromkeys(read.silent, nothing)
    scores: dict[str, float] = {}
    rules: dict[str, maps.FuseRule] = {"": "share", PUBLISHED: "sum"}
    for prefix, rule in rules.items():
        agreement: dict[str, Any] = {
            "annotator": maps.leave_one_out_agreement(everyone, rule),
            "pairs": maps.pairwise_agreement(everyone, rule),
        }
        for whose, found in agreement.items():
            scores |= _means(f"{whose}_{prefix}", list(found.values()))
        if read.second:
            scores |= _means(f"repeats_{prefix}", list(_repeats(everyone, read, rule)))
    return scores


def _repeats(
    everyone: dict[str, np.ndarray], read: Readings, rule: maps.FuseRule
) -> Iterator[dict[str, float]]:
    """Each annotator's first reading against the second."""
    nothing = np.zeros((1, *read.size), bool)
    for name, second in read.second.items():
        both = (everyone.get(name, nothing), second)
        once, twice = (maps.fuse(masks, rule, [name] * len(masks)) for masks in both)
        yield {score: float(value) for score, value in maps.fuzzy_scores(once, twice).items()}


def _means(prefix: str, found: list[dict[str, float]]) -> dict[str, float]:
    if not found:
        return {}
    return {
        f"{prefix}{name}": float(np.nanmean(values))
        for name in FUZZY
        if np.isfinite(values := np.array([each[name] for each in found])).any()
    }


def _levels(read: Readings, own: np.ndarray, nearest: np.ndarray) -> list[dict[str, Any]]:
    """The map against each characteristic and against each annotator, by both protocols."""
    rows = []
    for name, by_annotator in read.characteristics.items():
        masks = np.concatenate(list(by_annotator.values()))
        if not masks.any():
            continue
        ours = share(by_annotator, read.readers)
        rows += _level("characteristic", name, ours, masks, own, nearest)
    for name, masks in read.first.items():
        if not masks.any():
            continue
        rows += _level("annotator", name, share({name: masks}, 1), masks, own, nearest)
    return rows


def _level(
    level: str,
    name: str,
    reference: np.ndarray,
    masks: np.ndarray,
    own: np.ndarray,
    nearest: np.ndarray,
) -> list[dict[str, Any]]:
    rows = []
    for protocol, expert, network in (
        ("dermbench-1", reference, own),
        ("dermxdb-2023", maps.published_reference(masks), nearest),
    ):
        found = maps.fuzzy_scores(expert, network)
        scores = {score: float(found[score]) for score in LEVEL_SCORES}
        rows.append({"protocol": protocol, "level": level, "name": name, **scores})
    return rows
