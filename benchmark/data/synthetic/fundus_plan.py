"""Whose eyes are photographed: patients, their grades of two diseases, and which grade is told.

Everything that a grade must not be told by (camera, field, pigment, age) is drawn here without
looking at the grades. The distributions are our choice.
"""

from dataclasses import dataclass

import numpy as np

from benchmark.data.dataset import Disease
from benchmark.data.layouts.idrid import DR

# The four grades of PyJulie/SALL's code; large drusen are intermediate AMD, hence referable.
AMD = Disease("AMD", ("none", "small drusen", "large drusen", "neovascular"), referable=2)
DISEASES = (DR, AMD)
PART_SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}  # of the patients
# How many of every twenty patients have each grade.
PER_TWENTY = {"DR": (6, 3, 4, 4, 3), "AMD": (8, 4, 4, 4)}
FELLOW_DIFFERS = 0.3  # probability that the other eye has the next grade up or down


@dataclass(frozen=True)
class Camera:
    """What a patient's photographs have in common besides the patient.

    Attributes:
        gains: factors of red, green and blue.
        field: radius of the round field in picture widths; from 0.5 on its top and bottom, or all
            sides, are cut off by the frame.
        gamma: exponent of the tone curve.
        blur: standard deviation in thousandths of the picture's width.
        noise: standard deviation, of 1.
    """

    gains: tuple[float, float, float]
    field: float
    gamma: float
    blur: float
    noise: float


@dataclass(frozen=True)
class Eye:
    """One photograph of one eye.

    Attributes:
        index: counts over the data set.
        patient: 0, 1, 2, ...
        side: "R" or "L".
        part: "train", "validation" or "test".
        told: names of the diseases whose grade goes into the tables.
        grades: true grade by disease.
        size: height and width in pixels.
        pigment: darkness of the fundus, 0 to 1.
        youth: how strongly the retina gleams, 0 to 1.
        camera: of this patient.
        jpeg_quality: of this photograph.
    """

    index: int
    patient: int
    side: str
    part: str
    told: tuple[str, ...]
    grades: dict[str, int]
    size: int
    pigment: float
    youth: float
    camera: Camera
    jpeg_quality: int

    @property
    def name(self) -> str:
        """The image id."""
        return f"{self.group}-{self.side}"

    @property
    def group(self) -> str:
        """The patient's id."""
        return f"p{self.patient:05d}"


def plan(images: int, size: int, seed: int) -> list[Eye]:
    """The photographs of a data set of `images` pictures, both eyes of a patient in turn.

    In training and validation every patient is graded for one disease only, in the test part for
    both. The grades of the two diseases are independent of each other.
    """
    rng = np.random.default_rng([seed, 0, 1])
    eyes: list[Eye] = []
    patient = 0
    for part, told, patients in _strata((images + 1) // 2):
        decks = {disease.name: _deck(rng, disease.name, patients) for disease in DISEASES}
        for place in range(patients):
            grades = {name: deck[place] for name, deck in decks.items()}
            eyes += _pair(rng, len(eyes), patient, part, told, grades, size)
            patient += 1
    return eyes[:images]


def _strata(patients: int) -> list[tuple[str, tuple[str, ...], int]]:
    """(part, diseases told, patients): the test part last, as its last eye may be left out."""
    both = tuple(disease.name for disease in DISEASES)
    strata: list[tuple[str, tuple[str, ...], int]] = []
    for part in ("train", "validation"):
        count = round(PART_SHARES[part] * patients)
        strata += [(part, both[:1], count - count // 2), (part, both[1:], count // 2)]
    left = patients - sum(count for _, _, count in strata)
    return [*strata, ("test", both, left)]


def _deck(rng: np.random.Generator, disease: str, patients: int) -> list[int]:
    """A grade for each of `patients`, every grade among the first five."""
    shares = PER_TWENTY[disease]
    cards: list[int] = []
    while len(cards) < patients:
        first = [int(grade) for grade in rng.permutation(len(shares))]
        rest = np.repeat(np.arange(len(shares)), np.array(shares) - 1)
        cards += [*first, *(int(grade) for grade in rng.permutation(rest))]
    return [cards[place] for place in range(patients)]


def _pair(
    rng: np.random.Generator,
    index: int,
    patient: int,
    part: str,
    told: tuple[str, ...],
    grades: dict[str, int],
    size: int,
) -> list[Eye]:
    camera = _camera(rng)
    pigment, youth = float(rng.uniform()), float(rng.beta(1.2, 2.0))
    sides = [str(side) for side in rng.permutation(["R", "L"])]
    fellow = {
        disease.name: _fellow(rng, grades[disease.name], len(disease.grades))
        for disease in DISEASES
    }
    return [
        Eye(
            index=index + place,
            patient=patient,
            side=side,
            part=part,
            told=told,
            grades=own,
            size=size,
            pigment=pigment,
            youth=youth,
            camera=camera,
            jpeg_quality=int(rng.integers(86, 97)),
        )
        for place, (side, own) in enumerate(zip(sides, (grades, fellow), strict=True))
    ]


def _fellow(rng: np.random.Generator, grade: int, grades: int) -> int:
    step = int(rng.choice([-1, 1])) if rng.random() < FELLOW_DIFFERS else 0
    return min(max(grade + step, 0), grades - 1)


def _camera(rng: np.random.Generator) -> Camera:
    red, green, blue = (float(gain) for gain in np.exp(rng.normal(0, (0.06, 0.06, 0.2))))
    return Camera(
        gains=(red, green, blue),
        field=float(rng.uniform(0.43, 0.56)),
        gamma=float(rng.uniform(0.85, 1.2)),
        blur=float(rng.uniform(0.5, 3.0)),
        noise=float(rng.uniform(0.004, 0.014)),
    )
