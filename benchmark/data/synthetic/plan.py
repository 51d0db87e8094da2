"""Who is photographed and how often: the patients and photographs of a synthetic data set.

Everything that a diagnosis must not be told by (skin tone, age, hair, number and format of the
photographs) is drawn here without looking at the diagnosis. The distributions are our choice.
"""

from dataclasses import dataclass

import numpy as np

from benchmark.data.layouts import dermxdb

DIAGNOSES = dermxdb.CLASSES
# Fitzpatrick I to VI. DermXDB is 65 % light and 3 % dark; we draw more dark skin than that, so
# that scores by skin tone mean something.
TONE_SHARES = (0.18, 0.22, 0.20, 0.17, 0.13, 0.10)
TONE_NAMES = ("light", "light", "medium", "medium", "dark", "dark")
AGES = ("young", "adult", "elderly")
AGE_SHARES = (0.2, 0.55, 0.25)
PHOTOGRAPHS_PER_PATIENT = (0.7, 0.2, 0.1)  # one, two, three
# Width over height. Clinical photographs are mostly landscape.
FORMATS = (4 / 3, 3 / 2, 5 / 4, 1.0, 3 / 4)
FORMAT_SHARES = (0.4, 0.2, 0.15, 0.1, 0.15)


@dataclass(frozen=True)
class Patient:
    """One simulated person.

    Attributes:
        number: 0, 1, 2, ...
        diagnosis: one of `DIAGNOSES`.
        tone: Fitzpatrick skin type, 1 to 6.
        age: one of `AGES`.
        hairiness: 0 (none) to 1 (a hairy forearm).
    """

    number: int
    diagnosis: str
    tone: int
    age: str
    hairiness: float

    @property
    def skin_tone(self) -> str:
        """The tone in the words of DermXDB's metadata.csv."""
        return TONE_NAMES[self.tone - 1]


@dataclass(frozen=True)
class Photograph:
    """One picture of one patient; `index` counts over the data set, `name` is its image id."""

    index: int
    patient: Patient
    height: int
    width: int
    jpeg_quality: int

    @property
    def name(self) -> str:
        """The image id: no underscore, as in DermXDB."""
        return f"{self.index:06d}SY"


def plan(images: int, size: int, seed: int) -> list[Photograph]:
    """The photographs of a data set of `images` pictures whose longer side is `size` pixels.

    Diagnoses go round among the patients, so the classes are nearly equally frequent.
    """
    rng = np.random.default_rng([seed, 0, 1])
    photographs: list[Photograph] = []
    number = 0
    while len(photographs) < images:
        if number % len(DIAGNOSES) == 0:
            order = rng.permutation(DIAGNOSES)
        patient = Patient(
            number=number,
            diagnosis=str(order[number % len(DIAGNOSES)]),
            tone=1 + int(rng.choice(6, p=TONE_SHARES)),
            age=AGES[rng.choice(3, p=AGE_SHARES)],
            hairiness=float(rng.beta(0.8, 1.6)),
        )
        number += 1
        for _ in range(1 + int(rng.choice(3, p=PHOTOGRAPHS_PER_PATIENT))):
            ratio = FORMATS[rng.choice(len(FORMATS), p=FORMAT_SHARES)]
            quality = int(rng.integers(82, 96))
            if len(photographs) < images:
                photographs.append(
                    Photograph(
                        index=len(photographs),
                        patient=patient,
                        height=round(min(size, size / ratio)),
                        width=round(min(size, size * ratio)),
                        jpeg_quality=quality,
                    )
                )
    return photographs
