"""Rendered retinas: what the tables tell, where the signal is, the two layouts, the cache."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold, cross_val_predict

from benchmark.data import load
from benchmark.data.dataset import Disease
from benchmark.data.layouts import idrid
from benchmark.data.synthetic import fundus
from benchmark.data.synthetic.fundus_plan import AMD, DISEASES, DR, Eye, plan
from benchmark.data.synthetic.fundus_render import Rendered, render
from benchmark.data.synthetic.fundus_writer import write_idrid, write_tables
from benchmark.errors import UserError

SEED, IMAGES, SIZE = 11, 160, 96
SMALL = {"images": 100, "size": 64}


@dataclass(frozen=True)
class Pictures:
    eyes: list[Eye]
    ill: list[Rendered]
    healthy: list[Rendered]


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    eyes = plan(IMAGES, SIZE, SEED)
    return Pictures(
        eyes,
        [render(eye, SEED) for eye in eyes],
        [render(eye, SEED, lesions=False) for eye in eyes],
    )


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_grade_of_one_disease_is_told_in_training_and_of_both_in_the_test_part():
    table = load("synthetic-fundus", **SMALL).table
    told = (table[["grade:DR", "grade:AMD"]] >= 0).sum(axis=1)
    assert (told[table["split"] != "test"] == 1).all()
    assert (told[table["split"] == "test"] == 2).all()
    assert dict(table["split"].value_counts()) == {"train": 60, "validation": 20, "test": 20}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_part_has_every_grade_of_both_diseases_in_the_smallest_set(seed):
    eyes = plan(100, 64, seed)
    for part in ("train", "validation", "test"):
        for disease in DISEASES:
            graded = [e for e in eyes if e.part == part and disease.name in e.told]
            grades = {e.grades[disease.name] for e in graded}
            assert grades == set(range(len(disease.grades)))


def test_two_eyes_of_a_patient_share_group_part_and_told_diseases():
    eyes = plan(IMAGES, SIZE, SEED)
    for right, left in zip(eyes[::2], eyes[1::2], strict=True):
        assert {right.side, left.side} == {"R", "L"}
        assert (right.group, right.part, right.told) == (left.group, left.part, left.told)
    assert len({eye.group for eye in eyes}) == IMAGES // 2
    assert len({eye.name for eye in eyes}) == IMAGES


def test_an_odd_number_of_images_leaves_out_one_eye():
    assert [e.name for e in plan(101, 64, 0)] == [e.name for e in plan(102, 64, 0)][:101]


def test_data_set_names_its_grades_and_labels_those_of_the_chosen_disease():
    dr, amd = (load("synthetic-fundus", **SMALL, disease=name) for name in ("DR", "AMD"))
    assert dr.diseases == amd.diseases == (DR, AMD)
    assert dr.classes == DR.grades
    assert amd.classes == AMD.grades
    for dataset, disease in ((dr, DR), (amd, AMD)):
        np.testing.assert_array_equal(dataset.table["label"], dataset.table[disease.column])
    assert dr.root == amd.root
    assert dr.notes == ()
    assert dr.image(dr.table.index[0]).shape == (64, 64, 3)


def test_tables_hold_the_planned_grades():
    table = load("synthetic-fundus", **SMALL).table
    for eye in plan(**SMALL, seed=0):
        row = table.loc[eye.name]
        assert (row["group"], row["split"]) == (eye.group, eye.part)
        for name, grade in eye.grades.items():
            assert row[f"grade:{name}"] == (grade if name in eye.told else -1)


def test_bytes_do_not_depend_on_the_number_of_workers(tmp_path):
    for workers in (1, 2):
        (tmp_path / str(workers)).mkdir()
        done = list(write_tables(tmp_path / str(workers), 20, 64, 3, workers))
        assert done == list(range(1, 21))
    assert contents(tmp_path / "1") == contents(tmp_path / "2")
    assert len(contents(tmp_path / "1")) == 22


def test_another_seed_is_another_data_set():
    first, second = (render(plan(100, 64, seed)[0], seed).image for seed in (0, 1))
    assert (first != second).mean() > 0.3


def test_idrid_reader_gives_the_grades_that_were_rendered(tmp_path):
    assert list(write_idrid(tmp_path, 30, 64, 5, 2)) == list(range(1, 31))
    dataset = load("idrid", tmp_path)
    assert dataset.diseases == idrid.DISEASES
    eyes = plan(30, 64, 5)
    parts = {"train": "train", "validation": "train", "test": "test"}
    assert list(dataset.table["split"]) == [parts[eye.part] for eye in eyes]
    assert list(dataset.table["grade:DR"]) == [eye.grades["DR"] for eye in eyes]
    free = [dataclasses.replace(eye, grades={**eye.grades, "AMD": 0}) for eye in eyes]
    assert list(dataset.table["grade:DME"]) == [render(eye, 5).dme for eye in free]
    assert set(dataset.table["grade:DME"]) == {0, 1, 2}
    assert "train-IDRiD_001" in dataset.table.index
    assert "test-IDRiD_001" in dataset.table.index


def test_risk_of_macular_oedema_is_told_by_exudates_and_their_distance():
    macula = np.zeros((4, 4), bool)
    macula[:2] = True
    near, away, none = (np.zeros((4, 4), bool) for _ in range(3))
    near[1, 1] = near[3, 3] = away[3, 3] = True
    image = np.zeros((4, 4, 3), np.uint8)
    assert Rendered(image, {"hard exudates": near}, macula).dme == 2
    assert Rendered(image, {"hard exudates": away}, macula).dme == 1
    assert Rendered(image, {"hard exudates": none}, macula).dme == 0
    assert Rendered(image, {"drusen": near}, macula).dme == 0


def signs(rendered: Rendered) -> set[str]:
    return {sign for sign, mask in rendered.marks.items() if mask.any()}


def test_grades_show_their_signs(pictures):
    for eye, rendered in zip(pictures.eyes, pictures.ill, strict=True):
        shown, dr, amd = signs(rendered), eye.grades["DR"], eye.grades["AMD"]
        assert ("microaneurysms" in shown) == (dr >= 1)
        assert ("haemorrhages" in shown) == (dr >= 2 or amd == 3)
        assert ("new vessels" in shown) == (dr == 4)
        assert ("drusen" in shown) == (amd >= 1)
        assert bool(shown & {"membrane", "scar"}) == (amd == 3)
        assert not (dr < 2 and "hard exudates" in shown)


def test_an_eye_without_disease_is_the_picture_without_lesions(pictures):
    free = [k for k, eye in enumerate(pictures.eyes) if not any(eye.grades.values())]
    assert free
    for k in free:
        np.testing.assert_array_equal(pictures.ill[k].image, pictures.healthy[k].image)


def test_picture_without_lesions_knows_no_grade(pictures):
    for eye, healthy in list(zip(pictures.eyes, pictures.healthy, strict=True))[:6]:
        other = dataclasses.replace(eye, grades={name: 3 - g % 3 for name, g in eye.grades.items()})
        np.testing.assert_array_equal(render(other, SEED, lesions=False).image, healthy.image)


def test_pixels_away_from_the_signs_are_those_of_the_healthy_eye(pictures):
    untouched = []
    for ill, healthy in zip(pictures.ill, pictures.healthy, strict=True):
        marked = np.logical_or.reduce([np.zeros((SIZE, SIZE), bool), *ill.marks.values()])
        away = cv2.distanceTransform((~marked).astype(np.uint8), cv2.DIST_L2, 3) > 0.12 * SIZE
        difference = ill.image[away].astype(int) - healthy.image[away]
        assert np.abs(difference).max(initial=0) <= 1  # a soft sign's fringe, rounded
        untouched.append(away.mean())
    assert np.mean(untouched) > 0.2


def score(pictures: Pictures, disease: Disease, features: list[np.ndarray]) -> float:
    """Balanced accuracy of a forest, cross-validated over patients."""
    grades = [eye.grades[disease.name] for eye in pictures.eyes]
    forest = RandomForestClassifier(
        60, min_samples_leaf=2, class_weight="balanced", random_state=0, n_jobs=1
    )
    patients = [eye.patient for eye in pictures.eyes]
    predicted = cross_val_predict(
        forest, np.stack(features), grades, groups=patients, cv=GroupKFold(5)
    )
    return float(balanced_accuracy_score(grades, predicted))


def above_chance(pictures: Pictures, disease: Disease) -> float:
    """Chance plus three standard errors, with patients taken as the independent units."""
    chance = 1 / len(disease.grades)
    counts = np.bincount([eye.grades[disease.name] for eye in pictures.eyes]) / 2
    return chance + 3 * chance * float(np.sqrt((chance * (1 - chance) / counts).sum()))


def look(rendered: Rendered) -> np.ndarray:
    """Colour and texture statistics of the field."""
    lab = cv2.cvtColor(rendered.image, cv2.COLOR_RGB2LAB).astype(np.float32)
    texture = lab[..., 0] - cv2.GaussianBlur(lab[..., 0], (0, 0), 2)
    channels = np.dstack([lab, texture])[rendered.image.max(2) > 25]
    return np.percentile(channels, (1, 5, 25, 50, 75, 95, 99), axis=0).ravel()


@pytest.mark.parametrize("disease", DISEASES, ids=lambda disease: disease.name)
def test_pixels_tell_the_grade_only_where_there_are_lesions(pictures, disease):
    bar = above_chance(pictures, disease)
    assert score(pictures, disease, [look(r) for r in pictures.ill]) > bar
    views: list[Callable[[Rendered], np.ndarray]] = [
        look,
        lambda r: cv2.resize(r.image, (8, 8)).ravel(),
    ]
    for view in views:
        assert score(pictures, disease, [view(r) for r in pictures.healthy]) < bar


@pytest.mark.parametrize("disease", DISEASES, ids=lambda disease: disease.name)
def test_number_and_area_of_the_lesions_tell_the_grade(pictures, disease):
    names = sorted(set().union(*(r.marks for r in pictures.ill)))
    features = []
    for rendered in pictures.ill:
        masks = [rendered.marks.get(name, np.zeros((SIZE, SIZE), bool)) for name in names]
        counts = [cv2.connectedComponents(mask.astype(np.uint8))[0] for mask in masks]
        features.append(np.array([*counts, *(mask.mean() for mask in masks)]))
    assert score(pictures, disease, features) > 0.85


@pytest.mark.parametrize("disease", DISEASES, ids=lambda disease: disease.name)
def test_camera_and_patient_tell_nothing(pictures, disease):
    features = [
        np.array(
            [
                *e.camera.gains,
                e.camera.field,
                e.camera.gamma,
                e.camera.blur,
                e.camera.noise,
                e.pigment,
                e.youth,
                e.jpeg_quality,
                e.side == "R",
            ]
        )
        for e in pictures.eyes
    ]
    assert score(pictures, disease, features) < above_chance(pictures, disease)


def test_grades_of_the_two_diseases_are_independent():
    eyes = plan(4000, 64, 0)
    counts = pd.crosstab([e.grades["DR"] for e in eyes], [e.grades["AMD"] for e in eyes])
    expected = np.outer(counts.sum(axis=1), counts.sum()) / len(eyes)
    assert np.abs(counts.to_numpy() / expected - 1).max() < 0.25


def test_second_load_renders_nothing(monkeypatch):
    first = load("synthetic-fundus", **SMALL)
    monkeypatch.setattr(fundus, "write_tables", lambda *_: pytest.fail("rendered again"))
    assert load("synthetic-fundus", **SMALL).fingerprint == first.fingerprint


def test_an_interrupted_rendering_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("DERMBENCH_CACHE", str(tmp_path))

    def interrupted(folder, *_):
        (folder / "DR.csv").write_text("half")
        yield 1
        raise KeyboardInterrupt

    monkeypatch.setattr(fundus, "write_tables", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load("synthetic-fundus", **SMALL)
    assert list(tmp_path.iterdir()) == []


def test_cache_that_cannot_be_written_is_a_user_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DERMBENCH_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(UserError, match="DERMBENCH_CACHE"):
        load("synthetic-fundus", **SMALL)


@pytest.mark.parametrize(
    ("option", "value"),
    [("images", 99), ("size", 63), ("seed", -1), ("images", "many")],
)
def test_an_option_out_of_range_is_named(option, value):
    with pytest.raises(UserError, match=f"{option}="):
        load("synthetic-fundus", **{**SMALL, option: value})


def test_an_unknown_disease_is_named_with_the_known_ones():
    with pytest.raises(UserError, match=r"'DME'.*AMD"):
        load("synthetic-fundus", **SMALL, disease="DME")


# Mean grey value of the first picture with each grade of DR, and the shares of its marks added up.
GOLDEN = {
    1: [(60.32, 0.0029), (61.83, 0.005), (65.45, 0.0288), (51.96, 0.1096), (72.75, 0.1419)],
}


def test_changed_pictures_have_a_new_version():
    """Else old caches pass for new data: raise VERSION and put the new numbers into GOLDEN."""
    eyes = plan(100, 96, seed=0)
    found = []
    for grade in range(5):
        rendered = render(next(e for e in eyes if e.grades["DR"] == grade), seed=0)
        shares = sum(float(mask.mean()) for mask in rendered.marks.values())
        found.append((float(rendered.image.mean()), shares))
    # Other processors round a few pixels otherwise.
    (greys, shares), expected = zip(*found, strict=True), GOLDEN[fundus.VERSION]
    np.testing.assert_allclose(greys, [grey for grey, _ in expected], rtol=0, atol=0.05)
    np.testing.assert_allclose(shares, [share for _, share in expected], rtol=0, atol=0.001)
