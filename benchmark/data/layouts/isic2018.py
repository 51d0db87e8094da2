"""ISIC 2018: Task 3 tables and image folders, lesion groupings, Task 1 masks, HAM10000 metadata.

The same files in the flat arrangement that copies of HAM10000 come in (`images`, `masks`) are read
as well.
"""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from benchmark.common.wording import counted
from benchmark.data.dataset import MASK_COLUMNS, Dataset, no_masks
from benchmark.data.layouts import Layout, tables
from benchmark.errors import DataError

CLASSES = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
PARTS = {"Training": "train", "Validation": "validation", "Test": "test"}
METADATA = ("age", "sex", "localization", "dx_type")
# Columns of the challenge's own truth files that are not classes.
WEIGHTS = ("score_weight", "validation_weight")
MASK_SUFFIX = "_segmentation"


@dataclass
class _Lesions:
    """What is known of images beyond their class, by image id."""

    group: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, dict[str, object]] = field(default_factory=dict)
    diagnosis: dict[str, str] = field(default_factory=dict)


def read(root: Path) -> Dataset:
    """Read ISIC 2018 Task 3 data, or HAM10000 with Task 3 tables, below `root`.

    Where only the training table is present the data set fixes no split. The group of an image is
    its lesion: from the challenge's groupings, else from the HAM10000 metadata, else (noted) the
    image itself. Masks become annotator "expert", characteristic "".

    Raises:
        DataError: naming the file and line of the first fault.
    """
    tables.listing(root)
    truths = {part: path for part in PARTS if (path := _truth(root, part))}
    if not truths:
        raise DataError(
            f"{root} holds no ISIC2018_Task3_Training_GroundTruth.csv, neither in a folder of that"
            " name nor directly: give the folder in which the challenge archives were unpacked"
        )
    notes = [
        f"ISIC2018_Task3_{part}_Input has no ground truth and is left out."
        for part in PARTS
        if part not in truths and (root / f"ISIC2018_Task3_{part}_Input").is_dir()
    ]
    lesions = _lesions(root)
    frames = []
    folders: dict[Path, dict[str, Path]] = {}
    labelled: dict[Path, set[str]] = {}
    for part, truth in truths.items():
        sheet, labels = _labels(truth)
        folder = _input_folder(root, part)
        files = folders.setdefault(folder, tables.image_files(folder))
        paths = tables.match_images(sheet, "image", files, folder)
        ids = list(sheet.rows["image"])
        labelled.setdefault(folder, set()).update(ids)
        frame = pd.DataFrame({"path": [str(path) for path in paths], "label": labels}, index=ids)
        frame["group"] = [lesions.group.get(i, i) for i in ids]
        frame["split"] = PARTS[part] if len(truths) > 1 else ""
        frames.append(frame)
    for folder, files in folders.items():
        tables.refuse_unlabelled(files, labelled[folder], _source(truths))
    table = pd.concat(frames).rename_axis("id")
    for sample_id in table.index[table.index.duplicated()]:
        raise DataError(
            f"{root}: image {sample_id} is listed in two parts: remove it from one ground truth"
        )
    tables.refuse_empty_classes(table["label"], CLASSES, _source(truths))
    for column in METADATA:
        empty: object = float("nan") if column == "age" else ""
        table[column] = [lesions.metadata.get(i, {}).get(column, empty) for i in table.index]
    masks = _masks(root, set(table.index), notes)
    notes += _oddities(table, lesions)
    return Dataset("isic2018", root, table, CLASSES, masks, tuple(notes))


def _truth(root: Path, part: str) -> Path | None:
    name = f"ISIC2018_Task3_{part}_GroundTruth"
    candidates = (root / name / f"{name}.csv", root / f"{name}.csv")
    return next((path for path in candidates if path.is_file()), None)


def _source(truths: dict[str, Path]) -> Path:
    """The file to name in an error that concerns all parts."""
    return next(iter(truths.values()))


def _input_folder(root: Path, part: str) -> Path:
    names = [f"ISIC2018_Task3_{part}_Input", f"ISIC2018_Task1-2_{part}_Input", "images"]
    for name in names:
        if (root / name).is_dir():
            return root / name
    raise DataError(
        f"{root} has no image folder for the {part} table: expected {' or '.join(names)}"
    )


def _labels(path: Path) -> tuple[tables.Sheet, list[int]]:
    """The rows of a one-hot ground truth, and the class index of each."""
    sheet = tables.read_sheet(path, ("image", *CLASSES))
    for column in sheet.rows.columns:
        if column not in ("image", *CLASSES, *WEIGHTS):
            raise DataError(
                f"{path}, line 1: unknown class {column}; the classes of Task 3 are"
                f" {', '.join(CLASSES)}: remove the column"
            )
    sheet.require_filled("image")
    sheet.require_unique("image")
    for column in CLASSES:
        sheet.require_filled(column)
    hot = pd.DataFrame({column: sheet.numbers(column) for column in CLASSES})
    names = dict(sheet.items("image"))
    sheet.refuse(
        [
            (line, f"{value:g} in column {column} of image {names[line]} is neither 0 nor 1")
            for column in CLASSES
            for line, value in hot[column].items()
            if value not in (0.0, 1.0)
        ],
        "give the diagnosis as one 1 and six 0",
    )
    faults = []
    for line, count in hot.sum(axis=1).items():
        if count != 1:
            chosen = " and ".join(hot.columns[hot.loc[line] == 1]) or "no class"
            faults.append((line, f"image {names[line]} is marked as {chosen}"))
    sheet.refuse(faults, "mark exactly one class")
    return sheet, list(hot.to_numpy().argmax(axis=1))


def _lesions(root: Path) -> _Lesions:
    """Lesion ids and metadata: the HAM10000 table first, the challenge's groupings over it."""
    known = _Lesions()
    path = root / "HAM10000_metadata.csv"
    if path.is_file():
        sheet = tables.read_sheet(path, ("image_id", "lesion_id"))
        sheet.require_filled("image_id")
        sheet.require_unique("image_id")
        sheet.require_filled("lesion_id")
        present = [column for column in METADATA if column in sheet.rows]
        values = sheet.rows[["image_id", "lesion_id", *present]].copy()
        if "age" in present:
            values["age"] = sheet.numbers("age")
        for row in values.to_dict("records"):
            known.group[row["image_id"]] = row["lesion_id"]
            known.metadata[row["image_id"]] = {column: row[column] for column in present}
        if "dx" in sheet.rows:
            known.diagnosis = dict(zip(sheet.rows["image_id"], sheet.rows["dx"], strict=True))
    for part in PARTS:
        name = f"ISIC2018_Task3_{part}_LesionGroupings.csv"
        for path in (root / name, root / f"ISIC2018_Task3_{part}_GroundTruth" / name):
            if path.is_file():
                _read_groupings(path, known)
    return known


def _read_groupings(path: Path, known: _Lesions) -> None:
    sheet = tables.read_sheet(path, ("image", "lesion_id"))
    sheet.require_filled("image")
    sheet.require_unique("image")
    sheet.require_filled("lesion_id")
    known.group.update(zip(sheet.rows["image"], sheet.rows["lesion_id"], strict=True))
    if "diagnosis_confirm_type" in sheet.rows:
        for sample_id, kind in zip(
            sheet.rows["image"], sheet.rows["diagnosis_confirm_type"], strict=True
        ):
            known.metadata.setdefault(sample_id, {}).setdefault("dx_type", kind)


def _masks(root: Path, ids: set[str], notes: list[str]) -> pd.DataFrame:
    names = [f"ISIC2018_Task1_{part}_GroundTruth" for part in PARTS] + ["masks"]
    rows, strays = [], 0
    for folder in (root / name for name in names):
        for stem, path in tables.image_files(folder).items() if folder.is_dir() else ():
            sample_id = stem.removesuffix(MASK_SUFFIX)
            if stem.endswith(MASK_SUFFIX) and sample_id in ids:
                rows.append((sample_id, "expert", "", str(path)))
            else:
                strays += 1
    if strays:
        notes.append(
            f"{counted(strays, 'mask file is', 'mask files are')} left out, of no image in the"
            " tables."
        )
    if not rows:
        return no_masks()
    notes += tables.maskless(ids, (row[0] for row in rows))
    return pd.DataFrame(rows, columns=list(MASK_COLUMNS))


def _oddities(table: pd.DataFrame, lesions: _Lesions) -> list[str]:
    notes = []
    alone = sum(sample_id not in lesions.group for sample_id in table.index)
    if alone:
        notes.append(
            f"{counted(alone, 'image has', 'images have')} no lesion id: each is taken as a"
            " lesion of its own."
        )
    other = sum(
        lesions.diagnosis.get(sample_id, "").upper() not in ("", CLASSES[label])
        for sample_id, label in table["label"].items()
    )
    if other:
        notes.append(
            f"{counted(other, 'image has', 'images have')} another diagnosis in"
            " HAM10000_metadata.csv than in the ground truth, which counts."
        )
    return notes


ISIC2018 = Layout(
    read=read,
    summary="dermatoscopy, seven diagnoses, lesion ids, lesion masks (ISIC 2018 Task 3, HAM10000)",
    expects=(
        "ISIC2018_Task3_{Training,Validation,Test}_GroundTruth.csv (in a folder of that name or"
        " directly) with ISIC2018_Task3_*_Input or images; optional"
        " ISIC2018_Task3_*_LesionGroupings.csv, HAM10000_metadata.csv, and masks"
        " ISIC_*_segmentation.png in ISIC2018_Task1_*_GroundTruth or masks"
    ),
    source=(
        "Tschandl et al., The HAM10000 dataset, Sci Data 5:180161 (2018); Codella et al.,"
        " arXiv:1902.03368; https://challenge.isic-archive.com/data/#2018"
    ),
    licence="CC BY-NC 4.0 (non-commercial), with attribution",
    shared_groups=True,
)
