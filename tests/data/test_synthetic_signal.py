"""Where the class signal is: in the lesions, and nowhere else."""

from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GroupKFold, cross_val_predict

from benchmark.data.layouts.dermxdb import CHARACTERISTICS
from benchmark.data.synthetic import VERSION
from benchmark.data.synthetic.plan import AGES, DIAGNOSES, Photograph, plan
from benchmark.data.synthetic.render import Rendered, render

SEED, IMAGES, SIZE = 11, 300, 112
CHANCE = 1 / 6
# Three standard errors of an accuracy over the 210 patients or so.
SLACK = 3 * np.sqrt(CHANCE * (1 - CHANCE) / 210)


@dataclass(frozen=True)
class Pictures:
    photographs: list[Photograph]
    ill: list[Rendered]
    healthy: list[Rendered]

    @property
    def labels(self) -> np.ndarray:
        return np.array([DIAGNOSES.index(p.patient.diagnosis) for p in self.photographs])

    @property
    def patients(self) -> np.ndarray:
        return np.array([p.patient.number for p in self.photographs])


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    photographs = plan(IMAGES, SIZE, SEED)
    return Pictures(
        photographs,
        [render(p, SEED) for p in photographs],
        [render(p, SEED, lesions=False) for p in photographs],
    )


def accuracy(pictures: Pictures, features: list[np.ndarray]) -> float:
    """Of a forest, cross-validated over patients."""
    forest = RandomForestClassifier(100, min_samples_leaf=2, random_state=0, n_jobs=1)
    predicted = cross_val_predict(
        forest, np.stack(features), pictures.labels, groups=pictures.patients, cv=GroupKFold(5)
    )
    return float((predicted == pictures.labels).mean())


def look(image: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Colour and texture statistics of the pixels `where`."""
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float32)
    grey = lab[..., 0]
    texture = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 1.5))
    channels = np.dstack([lab, texture])[where]
    if len(channels) == 0:
        return np.zeros(20)
    return np.percentile(channels, (5, 25, 50, 75, 95), axis=0).ravel()


def test_lesions_tell_the_diagnosis(pictures):
    features = [look(r.image, np.logical_or.reduce(list(r.marks.values()))) for r in pictures.ill]
    assert accuracy(pictures, features) > 0.6


def test_same_pictures_without_lesions_tell_nothing(pictures):
    everywhere = [look(r.image, np.ones(r.image.shape[:2], bool)) for r in pictures.healthy]
    in_region = [look(r.image, r.region.inside) for r in pictures.healthy]
    thumbnails = [cv2.resize(r.image, (8, 8)).ravel() for r in pictures.healthy]
    for features in (everywhere, in_region, thumbnails):
        assert accuracy(pictures, features) < CHANCE + SLACK


def away(rendered: Rendered) -> np.ndarray:
    """The pixels that no lesion, halo or shadow of one reaches: well off the region's fringe."""
    outside = (rendered.region.depth < -0.3).astype(np.uint8)
    return cv2.distanceTransform(outside, cv2.DIST_L2, 3) > 0.15 * np.sqrt(outside.size)


def test_pixels_away_from_the_lesions_are_those_of_healthy_skin(pictures):
    for ill, healthy in zip(pictures.ill, pictures.healthy, strict=True):
        np.testing.assert_array_equal(ill.image[away(ill)], healthy.image[away(ill)])
    assert np.mean([away(r).mean() for r in pictures.ill]) > 0.2


def test_surroundings_of_the_lesions_tell_nothing(pictures):
    features = [look(r.image, away(r)) for r in pictures.ill]
    assert accuracy(pictures, features) < CHANCE + SLACK


def test_place_size_and_number_of_the_regions_tell_nothing(pictures):
    features = []
    for r in pictures.ill:
        inside = r.region.inside
        rows, columns = np.nonzero(inside)
        height, width = inside.shape
        features.append(
            np.array(
                [
                    inside.mean(),
                    rows.mean() / height,
                    columns.mean() / width,
                    rows.std() / height,
                    columns.std() / width,
                    r.region.cluster.max(),
                    height,
                    width,
                ]
            )
        )
    assert accuracy(pictures, features) < CHANCE + SLACK


def test_patient_and_format_tell_nothing(pictures):
    counts = np.bincount(pictures.patients)
    features = [
        np.array(
            [
                p.patient.tone,
                AGES.index(p.patient.age),
                p.patient.hairiness,
                counts[p.patient.number],
                p.height,
                p.width,
                p.jpeg_quality,
            ]
        )
        for p in pictures.photographs
    ]
    assert accuracy(pictures, features) < CHANCE + SLACK


def test_regions_cover_a_moderate_part_of_the_frame_all_over_it(pictures):
    shares = np.array([r.region.inside.mean() for r in pictures.ill])
    assert 0.1 < shares.mean() < 0.25
    assert ((shares > 0.03) & (shares < 0.4)).mean() > 0.95
    maps = [
        cv2.resize(r.region.inside.astype(np.float32), (4, 4), interpolation=cv2.INTER_AREA)
        for r in pictures.ill
    ]
    covered = np.mean(maps, axis=0)
    # Even a corner is lesion a fifth as often as the middle.
    assert covered.min() > covered.max() / 5


def test_every_picture_shows_lesions_and_marks_them_with_known_characteristics(pictures):
    for r in pictures.ill:
        assert np.logical_or.reduce(list(r.marks.values())).mean() > 0.02
        assert set(r.marks) <= set(CHARACTERISTICS)


def test_skin_gets_darker_from_type_one_to_six(pictures):
    lightness = {
        tone: np.mean(
            [
                np.median(r.image[r.region.depth > -0.5])
                for p, r in zip(pictures.photographs, pictures.healthy, strict=True)
                if p.patient.tone == tone
            ]
        )
        for tone in range(1, 7)
    }
    values = [lightness[tone] for tone in range(1, 7)]
    assert values == sorted(values, reverse=True)


def test_classes_are_nearly_equally_frequent_among_patients(pictures):
    of_patient = dict(zip(pictures.patients, pictures.labels, strict=True))
    counts = np.bincount(list(of_patient.values()), minlength=6)
    assert counts.max() - counts.min() <= 1


# Mean grey value of the first picture of each diagnosis, and the shares of its marks added up.
GOLDEN = {
    2: {
        "Acne": (84.08, 0.1159),
        "Actinic keratosis": (158.45, 0.3239),
        "Psoriasis": (118.82, 0.4623),
        "Seborrheic dermatitis": (164.24, 0.3137),
        "Viral warts": (67.07, 0.2253),
        "Vitiligo": (163.34, 0.2029),
    }
}


def test_changed_pictures_have_a_new_version():
    """Else old caches pass for new data: raise VERSION and put the new numbers into GOLDEN."""
    firsts: dict[str, Photograph] = {}
    for photograph in plan(54, 112, seed=0):
        firsts.setdefault(photograph.patient.diagnosis, photograph)
    for diagnosis, photograph in firsts.items():
        rendered = render(photograph, seed=0)
        grey, marked = GOLDEN[VERSION][diagnosis]
        # Other processors round a few pixels otherwise.
        assert rendered.image.mean() == pytest.approx(grey, abs=0.05)
        shares = sum(mask.mean() for mask in rendered.marks.values())
        assert shares == pytest.approx(marked, abs=0.001)
