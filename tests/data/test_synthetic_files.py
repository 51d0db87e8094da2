"""The rendered folder: DermXDB's layout, the same bytes on any number of workers, the cache."""

import csv
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from benchmark.data import load, synthetic
from benchmark.data.layouts.dermxdb import CHARACTERISTICS
from benchmark.data.synthetic.plan import DIAGNOSES
from benchmark.data.synthetic.writer import write_dataset
from benchmark.errors import UserError

SMALL = {"images": 60, "size": 96, "annotators": 3, "seed": 5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic")
    assert list(write_dataset(root, **SMALL, workers=2)) == list(range(1, 61))
    return root


def rows_of(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def masks_of(folder: Path) -> dict[str, np.ndarray]:
    return {p.stem: np.asarray(Image.open(p)) for p in (folder / "masks" / "masks").iterdir()}


def digests(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.rglob("*")
        if p.is_file()
    }


def test_bytes_do_not_depend_on_the_number_of_workers(folder, tmp_path):
    list(write_dataset(tmp_path, **SMALL, workers=1))
    assert digests(tmp_path) == digests(folder)


def test_another_seed_is_another_data_set(folder, tmp_path):
    list(write_dataset(tmp_path, **{**SMALL, "seed": 6}, workers=2))
    photographs = [name for name in digests(folder) if name.startswith("images")]
    assert len(photographs) == 60
    assert all(digests(tmp_path)[name] != digests(folder)[name] for name in photographs)


def test_more_annotators_leave_pictures_and_earlier_annotators_alone(folder, tmp_path):
    list(write_dataset(tmp_path, **{**SMALL, "annotators": 4}, workers=2))
    before, after = digests(folder), digests(tmp_path)
    del before["masks/instance_mask_annotations.csv"]
    assert before.items() <= after.items()
    assert any("labeller4" in name for name in after)


def test_metadata_has_the_six_columns_of_dermxdb(folder):
    rows = rows_of(folder / "metadata.csv", ";")
    assert list(rows[0]) == [
        "original_filename",
        "dataset",
        "diagnosis",
        "current_filename",
        "skin_tone",
        "age",
    ]
    assert len(rows) == 60
    assert {row["diagnosis"] for row in rows} == set(DIAGNOSES)
    assert {row["skin_tone"] for row in rows} <= {"light", "medium", "dark"}
    assert {row["age"] for row in rows} <= {"young", "adult", "elderly"}
    assert all((folder / "images" / row["current_filename"]).is_file() for row in rows)


def test_folds_hold_every_picture_once_and_cut_no_patient(folder):
    tested: dict[str, int] = {}
    folds_of_patient: dict[str, set[int]] = {}
    for fold in range(10):
        test = rows_of(folder / "folds" / f"metadata_fold_{fold}_test.csv")
        train = rows_of(folder / "folds" / f"metadata_fold_{fold}_train.csv")
        assert len(test) + len(train) == 60
        assert {r["patient_id"] for r in test}.isdisjoint({r["patient_id"] for r in train})
        for row in test:
            assert row["current_filename"] not in tested
            tested[row["current_filename"]] = fold
            folds_of_patient.setdefault(row["patient_id"], set()).add(fold)
    assert len(tested) == 60
    assert len(folds_of_patient) < 60, "some patient has several photographs"
    assert all(len(folds) == 1 for folds in folds_of_patient.values())


def test_masks_are_two_valued_of_the_size_of_their_picture_and_never_empty(folder):
    for path in (folder / "masks" / "masks").iterdir():
        with Image.open(path) as mask:
            assert mask.mode == "L"
            pixels = np.asarray(mask)
        _, image, what = path.stem.split("_")
        with Image.open(folder / "images" / f"{image}.jpeg") as photograph:
            assert photograph.size == pixels.shape[::-1]
        assert set(np.unique(pixels)) <= {0, 255}
        assert pixels.any()
        assert what in CHARACTERISTICS or what.isdecimal()


def test_characteristic_mask_is_the_union_of_its_items(folder):
    masks, checked = masks_of(folder), 0
    for path in (folder / "annotations").iterdir():
        items = [a for a in json.loads(path.read_text())["annotations"] if "tag" not in a]
        for name in {item["name"] for item in items}:
            whole = masks.pop(f"{path.stem}_{name}") > 0
            drawn = np.zeros(whole.shape, bool)
            places = [place for place, item in enumerate(items) if item["name"] == name]
            for place in places:
                single = np.zeros(whole.shape, np.uint8)
                rings = items[place]["complex_polygon"]["path"]
                points = [np.array([[p["x"], p["y"]] for p in ring], np.int32) for ring in rings]
                cv2.fillPoly(single, points, 1)  # even-odd, as DermXDB's own masks
                drawn |= single > 0
                if place != places[0]:
                    part = masks.pop(f"{path.stem}_{place:05d}") > 0
                    assert not (part & ~whole).any()
                    checked += 1
            # A polygon through pixel centres covers the rims of holes that the mask leaves free.
            assert (drawn & whole).sum() / (drawn | whole).sum() > 0.8
            assert not (whole & ~drawn).any()
    assert checked > 10
    assert not masks, "a mask that no annotation names"


def test_mask_table_lists_the_items_in_the_order_of_the_annotations(folder):
    rows = rows_of(folder / "masks" / "instance_mask_annotations.csv")
    listed: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        listed.setdefault(row["image_id"], []).append((row["mask_id"], row["class_name"]))
    for path in (folder / "annotations").iterdir():
        items = [a for a in json.loads(path.read_text())["annotations"] if "tag" not in a]
        expected = [(f"{path.stem}_{k:05d}", item["name"]) for k, item in enumerate(items)]
        assert listed.pop(path.stem, []) == expected
    assert not listed


def test_annotation_names_one_diagnosis_and_annotators_sometimes_disagree(folder):
    truth = {
        Path(row["current_filename"]).stem: row["diagnosis"]
        for row in rows_of(folder / "metadata.csv", ";")
    }
    agreed = []
    for path in (folder / "annotations").iterdir():
        tags = [a["name"] for a in json.loads(path.read_text())["annotations"] if "tag" in a]
        assert len(tags) == 1
        agreed.append(tags[0] == truth[path.stem.split("_")[1]])
    assert 0.8 < np.mean(agreed) < 1


def test_annotators_agree_in_part():
    dataset = load("synthetic", **SMALL)
    dice = []
    for sample_id in dataset.table.index:
        rows, stack = dataset.mask_rows(sample_id), dataset.mask_stack(sample_id)
        drawn = [
            stack[(rows["annotator"] == name).to_numpy()].any(0)
            for name in dataset.annotators(sample_id)
        ]
        dice += [
            2 * (a & b).sum() / (a.sum() + b.sum()) for k, a in enumerate(drawn) for b in drawn[:k]
        ]
    # DermXDB's own annotators: about 0.63 (pairs of first four readings with masks).
    assert 0.5 < np.mean(dice) < 0.85


def test_reader_finds_photographs_masks_and_patients():
    dataset = load("synthetic", **SMALL)
    assert dataset.name == "synthetic"
    assert dataset.classes == DIAGNOSES
    assert len(dataset.table) == 60
    assert dataset.table["group"].nunique() < 60
    assert set(dataset.masks["annotator"]) == {"labeller1", "labeller2", "labeller3"}
    sample_id = dataset.masks["id"].iloc[0]
    assert dataset.image(sample_id).shape[:2] == dataset.mask_stack(sample_id).shape[1:]


def test_second_load_renders_nothing(monkeypatch):
    first = load("synthetic", **SMALL)
    monkeypatch.setattr(synthetic, "write_dataset", lambda *_: pytest.fail("rendered again"))
    assert load("synthetic", **SMALL).root == first.root


def test_given_folder_is_rendered_into_and_keeps_its_own_files(tmp_path):
    (tmp_path / "mine.txt").write_text("kept")
    dataset = load("synthetic", tmp_path, images=54, size=64, annotators=1)
    assert dataset.root.parent == tmp_path
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.txt", dataset.root.name]


@pytest.mark.parametrize("own", ["labels.csv", "1.jpg", "nevus/1.PNG", "train/nevus/1.jpg"])
def test_nothing_is_rendered_among_somebodys_data(tmp_path, own):
    (tmp_path / own).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / own).touch()
    with pytest.raises(UserError, match=f"holds {own}, .* such as --dataset folder"):
        load("synthetic", tmp_path, **SMALL)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [tmp_path / own]


def test_two_processes_at_once_both_get_the_data_set(tmp_path, monkeypatch):
    monkeypatch.setenv("DERMBENCH_CACHE", str(tmp_path))
    code = (
        "from benchmark.data import load;"
        "print(load('synthetic', images=54, size=64, annotators=1).fingerprint)"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    printed = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert printed[0] == printed[1] != ""
    rendered = [p.name for p in tmp_path.iterdir() if "synthetic" in p.name]
    assert len(rendered) == 1
    assert not rendered[0].startswith(".")


def test_an_interrupted_rendering_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("DERMBENCH_CACHE", str(tmp_path))

    def interrupted(folder, *_):
        (folder / "metadata.csv").write_text("half")
        yield 1
        raise KeyboardInterrupt

    monkeypatch.setattr(synthetic, "write_dataset", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load("synthetic", **SMALL)
    assert list(tmp_path.iterdir()) == []


def test_cache_that_cannot_be_written_is_a_user_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DERMBENCH_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(UserError, match="DERMBENCH_CACHE"):
        load("synthetic", **SMALL)


@pytest.mark.parametrize(
    ("option", "value"),
    [("images", 53), ("size", 0), ("annotators", 9), ("seed", -1), ("images", "many")],
)
def test_an_option_out_of_range_is_named(option, value):
    with pytest.raises(UserError, match=f"{option}="):
        load("synthetic", **{**SMALL, option: value})
