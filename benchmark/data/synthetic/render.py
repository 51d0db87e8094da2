"""One photograph: skin, lesions, light and camera put together from the seeds of one picture."""

from dataclasses import dataclass

import numpy as np

from benchmark.data.synthetic.lesions import add_lesions
from benchmark.data.synthetic.plan import Photograph
from benchmark.data.synthetic.region import Region, draw_region
from benchmark.data.synthetic.skin import bare_skin
from benchmark.data.synthetic.skin import photograph as expose


@dataclass(frozen=True)
class Rendered:
    """A picture and the truth about it.

    Attributes:
        image: (H, W, 3) uint8, RGB.
        marks: characteristic -> (H, W) bool.
        region: where the disease lies.
    """

    image: np.ndarray
    marks: dict[str, np.ndarray]
    region: Region


def generators(seed: int, photograph: Photograph) -> list[np.random.Generator]:
    """The picture's own generators: skin, region, lesions, hair, camera, annotators.

    They are separate so that the same picture can be had without its lesions.
    """
    # Never 0 in the second place, which belongs to the plan; SeedSequence pads with zeros.
    return np.random.default_rng([seed, photograph.index + 1]).spawn(6)


def render(photograph: Photograph, seed: int, lesions: bool = True) -> Rendered:
    """Draw `photograph`; without `lesions`, the same picture of healthy skin."""
    patient = photograph.patient
    skin, place, own, hair, camera, _ = generators(seed, photograph)
    canvas = bare_skin(patient, (photograph.height, photograph.width), skin)
    region = draw_region(canvas.body, place)
    if lesions:
        habit = np.random.default_rng([seed, patient.number + 1, 1])
        add_lesions(canvas, region, patient.diagnosis, habit, own)
    return Rendered(expose(canvas, patient, hair, camera), canvas.marks, region)
