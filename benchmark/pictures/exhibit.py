"""One image that is shown: its photograph, the experts' map, the network's map and the scores."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

# What rounding may add when a map is resized or divided by its maximum.
_ROUNDING = 1e-5


@dataclass(frozen=True, eq=False)
class Exhibit:
    """One explained test image.

    Attributes:
        id: the sample's identifier.
        photograph: (H, W, 3) uint8 RGB.
        experts: (h, w) float in [0, 1], the share of the annotators who marked a pixel.
        network: (h, w) float in [0, 1]. Both maps are stretched over the photograph, so their sizes
            may differ from it and from each other.
        truth, said: the true class and the predicted one.
        scores: what stands below the image, most important first; NaN where undefined.
        annotators: how many people read the image, at least 1.
        characteristics: what the annotators saw in it.

    Raises:
        ValueError: an array of another shape or range, or no annotator.
    """

    id: str
    photograph: np.ndarray
    experts: np.ndarray
    network: np.ndarray
    truth: str
    said: str
    scores: Mapping[str, float]
    annotators: int
    characteristics: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape, dtype = self.photograph.shape, self.photograph.dtype
        if len(shape) != 3 or shape[2] != 3 or dtype != np.uint8 or 0 in shape:
            raise ValueError(f"{self.id}: photograph {shape} {dtype} is not (H, W, 3) uint8")
        for name, heatmap in (("experts", self.experts), ("network", self.network)):
            if heatmap.ndim != 2 or heatmap.size == 0:
                raise ValueError(f"{self.id}: map {name} has shape {heatmap.shape}, not (h, w)")
            # Written so that NaN fails, too.
            if not (heatmap.min() >= -_ROUNDING and heatmap.max() <= 1 + _ROUNDING):
                raise ValueError(f"{self.id}: map {name} has values outside [0, 1] or NaN")
        if self.annotators < 1:
            raise ValueError(f"{self.id}: {self.annotators} annotators; at least one is needed")

    @property
    def correct(self) -> bool:
        """Whether the network said the true class."""
        return self.said == self.truth
