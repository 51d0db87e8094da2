"""Simulated dermatologists: what each of them sees, overlooks and outlines on a picture.

The truth comes from `render`; how the outlines become files is `writer`'s business. The habits
and their ranges are our choice, set so that annotators agree about as well as real ones do.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from benchmark.data.synthetic.fields import noise
from benchmark.data.synthetic.plan import DIAGNOSES, Photograph
from benchmark.data.synthetic.render import Rendered

MOST = 8  # DermXDB has eight; from ten on, its file names would read as second sessions


@dataclass(frozen=True)
class Annotator:
    """One annotator's habits. Lengths are in units of the square root of the picture's area.

    Attributes:
        name: "labeller1", ...
        margin: how far outside the true border the outline runs; negative is inside.
        tremor: how far, as a standard deviation, the outline strays from there.
        grouping: gaps narrower than this are drawn over.
        oversight: probability of leaving out a characteristic of one part of the region.
        small_oversight: probability of leaving out a lesion of the smallest size.
        error: probability of another diagnosis.
    """

    name: str
    margin: float
    tremor: float
    grouping: float
    oversight: float
    small_oversight: float
    error: float


@dataclass(frozen=True)
class Item:
    """One outline: a characteristic and its (H, W) bool mask."""

    characteristic: str
    mask: np.ndarray


@dataclass(frozen=True)
class Reading:
    """All that one annotator said of one picture."""

    annotator: str
    diagnosis: str
    items: tuple[Item, ...]

    def union(self, characteristic: str) -> np.ndarray:
        """Every pixel marked as `characteristic`: (H, W) bool."""
        masks = [item.mask for item in self.items if item.characteristic == characteristic]
        return np.logical_or.reduce(masks)

    @property
    def characteristics(self) -> list[str]:
        """The characteristics marked, in the order of their first item."""
        return list(dict.fromkeys(item.characteristic for item in self.items))


def panel(annotators: int, seed: int) -> list[Annotator]:
    """The annotators of a data set, always the same first ones whatever their number."""
    rng = np.random.default_rng([seed, 0, 2])
    return [
        Annotator(
            name=f"labeller{number}",
            margin=rng.uniform(-0.03, 0.03),
            tremor=rng.uniform(0.01, 0.03),
            grouping=rng.uniform(0.0, 0.05),
            oversight=rng.uniform(0.12, 0.4),
            small_oversight=rng.uniform(0.1, 0.5),
            error=rng.uniform(0.03, 0.12),
        )
        for number in range(1, MOST + 1)
    ][:annotators]


def read_picture(
    photograph: Photograph,
    rendered: Rendered,
    annotators: list[Annotator],
    rng: np.random.Generator,
) -> list[Reading]:
    """What each of the annotators marks on the picture, in their order.

    An item is split where the diseased region has two parts.
    """
    lesions = {name: _components(truth) for name, truth in rendered.marks.items()}
    readings = []
    # One generator each, so that a further annotator does not change the others.
    for annotator, own in zip(annotators, rng.spawn(len(annotators)), strict=True):
        diagnosis = photograph.patient.diagnosis
        if own.random() < annotator.error:
            diagnosis = str(own.choice([d for d in DIAGNOSES if d != diagnosis]))
        items = []
        for characteristic, (labels, areas) in lesions.items():
            outlined = _outline(labels, areas, annotator, own)
            for part in range(rendered.region.cluster.max() + 1):
                mask = outlined & (rendered.region.cluster == part)
                if mask.any() and own.random() >= annotator.oversight:
                    items.append(Item(characteristic, mask))
        readings.append(Reading(annotator.name, diagnosis, tuple(items)))
    return readings


def _components(truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(truth.astype(np.uint8))
    return labels, stats[1:, cv2.CC_STAT_AREA]


def _outline(
    labels: np.ndarray, areas: np.ndarray, annotator: Annotator, rng: np.random.Generator
) -> np.ndarray:
    """One annotator's outline, (H, W) bool, of the lesions numbered 1.. in `labels` (H, W)."""
    unit = float(np.sqrt(labels.size))
    missed = annotator.small_oversight * np.exp(-areas / (0.04 * unit) ** 2)
    kept = np.concatenate([[False], rng.random(len(areas)) >= missed])
    seen = kept[labels].astype(np.uint8)
    reach = round(annotator.grouping * unit)
    if reach > 1:
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
        seen = cv2.morphologyEx(seen, cv2.MORPH_CLOSE, disc)
    if not seen.any():
        return seen > 0
    outside = cv2.distanceTransform(1 - seen, cv2.DIST_L2, 3)
    inside = cv2.distanceTransform(seen, cv2.DIST_L2, 3)
    # Astray as a whole, and along the border.
    astray = rng.normal() + noise(rng, labels.shape, 0.08 * unit)
    strayed = annotator.margin + annotator.tremor * astray
    return inside - outside + strayed * unit > 0
