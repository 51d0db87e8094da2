"""One fundus photograph: anatomy, signs and camera put together from the seeds of one eye."""

from dataclasses import dataclass

import numpy as np

from benchmark.data.synthetic.fundus_anatomy import healthy, photograph, vessels
from benchmark.data.synthetic.fundus_lesions import EXUDATES, add_over_vessels, add_under_vessels
from benchmark.data.synthetic.fundus_plan import Eye


@dataclass(frozen=True)
class Rendered:
    """A picture and the truth about it.

    Attributes:
        image: (H, W, 3) uint8, RGB.
        marks: sign -> (H, W) bool.
        macula: (H, W) bool, within one disc diameter of the fovea.
    """

    image: np.ndarray
    marks: dict[str, np.ndarray]
    macula: np.ndarray

    @property
    def dme(self) -> int:
        """Risk of macular oedema as in IDRiD: 0 no hard exudates, 1 away from the macula, 2 near.

        Of the exudates of diabetes; those about a neovascular membrane do not count.
        """
        exudates = self.marks.get(EXUDATES)
        if exudates is None or not exudates.any():
            return 0
        return 2 if (exudates & self.macula).any() else 1


def render(eye: Eye, seed: int, lesions: bool = True) -> Rendered:
    """Draw `eye`; without `lesions`, the same picture of a healthy eye."""
    # Never 0 in the second place, which belongs to the plan; SeedSequence pads with zeros.
    streams = np.random.default_rng([seed, eye.index + 1]).spawn(7)
    ground, tree, camera, *signs = streams
    grades = (eye.grades["DR"], eye.grades["AMD"]) if lesions else (0, 0)
    retina = healthy(eye, ground)
    add_under_vessels(retina, *grades, signs[0], signs[1])
    vessels(retina, tree)
    add_over_vessels(retina, *grades, signs[2], signs[3])
    image = photograph(retina, eye.camera, camera)
    return Rendered(image, retina.marks, retina.distance(retina.fovea) < 1)
