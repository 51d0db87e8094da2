"""IDRiD part B: fundus photographs with a grade of retinopathy and a risk of macular oedema."""

from pathlib import Path

import pandas as pd

from benchmark.data.dataset import Dataset, Disease
from benchmark.data.layouts import Layout, tables
from benchmark.data.layouts.multi_disease import chosen, read_grades
from benchmark.errors import DataError

# The data set's own scales (Porwal et al. 2018, Data 3(3):25, tables 2 and 3); names shortened.
DR = Disease("DR", ("none", "mild", "moderate", "severe", "proliferative"), referable=2)
DME = Disease("DME", ("no exudates", "away from the macula", "near the macula"), referable=2)
DISEASES = (DR, DME)
COLUMNS = {"DR": "Retinopathy grade", "DME": "Risk of macular edema"}
IMAGE = "Image name"
TOP = "B. Disease Grading"
IMAGES = "1. Original Images"
TABLES = "2. Groundtruths"
FOLDERS = {"train": "a. Training Set", "test": "b. Testing Set"}
TRUTHS = {
    "train": "a. IDRiD_Disease Grading_Training Labels.csv",
    "test": "b. IDRiD_Disease Grading_Testing Labels.csv",
}


def read(root: Path, disease: str = "DR") -> Dataset:
    """Read the grading part of IDRiD: grades of "DR" (0 to 4) and "DME" (0 to 2) for every image.

    The numbers of the images start again in the testing set, so ids are "train-IDRiD_001" and
    "test-IDRiD_001". The official parts are kept; where only the training set is present the data
    set fixes no split.

    Args:
        root: the folder "B. Disease Grading" or the one above it.
        disease: whose grades are `label` and `classes`, "DR" or "DME".

    Raises:
        UserError: another disease.
        DataError: naming the file and line of the first fault.
    """
    labelled = chosen(disease, DISEASES)
    top = _top(root)
    present = [part for part in FOLDERS if _is_present(top, part)]
    table = pd.concat([_part(top, part) for part in present]).rename_axis("id")
    if len(present) == 1:
        table["split"] = ""
    table["label"] = table[labelled.column]
    note = "IDRiD names no patients: each image is taken as its own, so a split may cut a patient."
    return Dataset(
        "idrid",
        root,
        table[["path", "label", "group", "split", *(one.column for one in DISEASES)]],
        labelled.grades,
        notes=(note,),
        diseases=DISEASES,
    )


def _top(root: Path) -> Path:
    for folder in (root, root / TOP):
        if (folder / TABLES).is_dir():
            return folder
    tables.listing(root)
    raise DataError(
        f"{root} holds no folder {TOP}/{TABLES}: give the folder in which IDRiD's part B was"
        " unpacked"
    )


def _is_present(top: Path, part: str) -> bool:
    """Half a part, and a data set without training images, are errors of the reader of the part."""
    images, truth = top / IMAGES / FOLDERS[part], top / TABLES / TRUTHS[part]
    return part == "train" or images.is_dir() or truth.is_file()


def _part(top: Path, part: str) -> pd.DataFrame:
    sheet = tables.read_sheet(top / TABLES / TRUTHS[part], (IMAGE, *COLUMNS.values()))
    sheet.require_filled(IMAGE)
    sheet.require_unique(IMAGE)
    folder = top / IMAGES / FOLDERS[part]
    files = tables.image_files(folder)
    paths = tables.match_images(sheet, IMAGE, files, folder)
    tables.refuse_unlabelled(files, sheet.rows[IMAGE], sheet.path)
    ids = [f"{part}-{name}" for name in sheet.rows[IMAGE]]
    table = pd.DataFrame({"path": [str(path) for path in paths], "group": ids, "split": part}, ids)
    for disease in DISEASES:
        column = COLUMNS[disease.name]
        sheet.require_filled(column)
        table[disease.column] = read_grades(sheet, column, IMAGE, len(disease.grades) - 1)
    return table


IDRID = Layout(
    read=read,
    summary="fundus photographs graded for diabetic retinopathy (0-4) and macular oedema (0-2)",
    expects=(
        f"{TOP}/{IMAGES}/{FOLDERS['train']}/*.jpg, {TOP}/{TABLES}/{TRUTHS['train']} (columns"
        f" {IMAGE}, {', '.join(COLUMNS.values())}), and the same for {FOLDERS['test']}"
    ),
    source="Porwal et al., Data 3(3):25 (2018); doi:10.21227/H25W98",
    licence="CC BY 4.0",
    options={"disease": "whose grades are the classes, DR or DME (default DR)"},
)
