"""Images graded for several diseases, each image perhaps for one of them only.

As one table per disease beside a folder of images, or as folders DISEASE/GRADE.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.common.wording import counted
from benchmark.data.dataset import ALL_DISEASES, SPLITS, UNLABELLED, Dataset, Disease
from benchmark.data.layouts import Layout, tables
from benchmark.errors import DataError, UserError, unknown_name

IMAGES = "images"
GRADE_FOLDER = re.compile(r"([0-9]{1,9})(?:[-_ ]+(.+))?")
WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,9}(?:\.0*)?")


@dataclass
class _Samples:
    """Images and what is known of them, each a mapping from the id."""

    path: dict[str, Path] = field(default_factory=dict)
    group: dict[str, str] = field(default_factory=dict)
    split: dict[str, str] = field(default_factory=dict)
    # By disease, then id. An image without a grade is absent.
    grade: dict[str, dict[str, int]] = field(default_factory=dict)


def read(
    root: Path,
    diseases: str | Sequence[str] | None = None,
    disease: str | None = None,
    referable: str | None = None,
) -> Dataset:
    """Read the tables ROOT/DISEASE.csv, or where there is none, the folders ROOT/DISEASE/GRADE.

    A table has the columns image (with or without suffix, relative to ROOT/images, or to ROOT
    where that folder is missing) and grade (0, 1, ...; empty where unknown), and may have group (a
    patient) and split; others are passed over. An image may be in several tables, which then must
    agree on its group and split; one in no table is left out and noted. The id is the image's path
    without suffix, so equal names in two folders are two images.

    A grade's folder is called by its number, or by number and name: "2", "2-moderate". Every image
    in folders is graded for one disease and is its own group; no split is fixed.

    Args:
        root: the folder.
        diseases: which ones and in what order, separated by commas. Default: all, by name.
        disease: whose grades are `label` and `classes`. Default: the first.
        referable: "NAME=GRADE,...". Default (ours): 2, or 1 for a disease of two grades.

    Raises:
        UserError: an unknown disease, or a referable grade that is none.
        DataError: naming the file (and line) of the first fault: a grade that is no whole number
            from 0, a grade left out below the highest, a disease without graded images or with one
            grade only, a row without image, an image twice in a table or differently in two.
    """
    sheets = _named(root, [path for path in tables.listing(root) if path.suffix.lower() == ".csv"])
    notes: list[str] = []
    if sheets:
        sources = _selected(sheets, diseases)
        samples, grades = _from_tables(root, sources, notes)
    else:
        sources = _selected(_named(root, _folders(root)), diseases)
        samples, grades = _from_folders(root, sources)
    least = _referable(referable, grades)
    known = tuple(Disease(name, grades[name], least[name]) for name in sources)
    labelled = chosen(disease, known) if disease is not None else known[0]
    return Dataset(
        "multi-disease",
        root,
        _table(samples, known, labelled, notes),
        labelled.grades,
        notes=tuple(notes),
        diseases=known,
    )


def chosen(name: str, diseases: Sequence[Disease]) -> Disease:
    """The disease called `name`.

    Raises:
        UserError: there is none.
    """
    for disease in diseases:
        if disease.name == str(name):
            return disease
    raise unknown_name("disease", str(name), [disease.name for disease in diseases])


def read_grades(
    sheet: tables.Sheet, column: str, image: str, highest: int | None = None
) -> list[int]:
    """The grades in `column`, one per row, UNLABELLED where the cell is empty.

    Args:
        sheet: the table.
        column: the column of grades.
        image: the column that names the images.
        highest: the highest grade there is; None where only the rows can tell.

    Raises:
        DataError: a grade that is not a whole number, or not from 0 to `highest`.
    """
    cells = [
        (line, cell, f"grade {cell!r} of image {name} in column {column}")
        for (line, cell), name in zip(sheet.items(column), sheet.rows[image], strict=True)
    ]
    scale = f"from 0 to {highest}" if highest is not None else "from 0"
    sheet.refuse(
        [
            (line, f"{what} is not a whole number")
            for line, cell, what in cells
            if cell and not WHOLE_NUMBER.fullmatch(cell)
        ],
        f"give whole grades {scale}",
    )
    grades = [(line, int(cell.partition(".")[0]), what) for line, cell, what in cells if cell]
    sheet.refuse(
        [
            (line, f"{what} is not {scale}")
            for line, grade, what in grades
            if grade < 0 or (highest is not None and grade > highest)
        ],
        "correct it or remove the row",
    )
    by_line = {line: grade for line, grade, _ in grades}
    return [by_line.get(line, UNLABELLED) for line, _, _ in cells]


def _named(root: Path, paths: Sequence[Path]) -> dict[str, Path]:
    """Tables or folders by the disease they are named after, in the order of the names."""
    found: dict[str, Path] = {}
    for path in sorted(path for path in paths if not path.name.startswith(".")):
        name = path.stem if path.is_file() else path.name
        if set(name) & set(",=") or name == ALL_DISEASES:
            raise DataError(f"{path} names a disease {name!r}: call it otherwise, without , and =")
        if name in found:
            raise DataError(
                f"{root} holds both {found[name].name} and {path.name}: keep one table of {name}"
            )
        found[name] = path
    return found


def _selected(found: dict[str, Path], asked: str | Sequence[str] | None) -> dict[str, Path]:
    """What was `found` for the diseases asked for, in their order."""
    if asked is None:
        return found
    text = asked if isinstance(asked, Sequence) and not isinstance(asked, str) else str(asked)
    names = [name.strip() for name in (text.split(",") if isinstance(text, str) else text)]
    for name in names:
        if name not in found:
            raise unknown_name("disease", name, found)
        if names.count(name) > 1:
            raise UserError(f"option diseases={asked} names {name} twice: name it once")
    return {name: found[name] for name in names}


def _referable(asked: str | None, grades: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
    usual = {name: 1 if len(names) == 2 else 2 for name, names in grades.items()}
    least: dict[str, int] = {}
    for part in asked.split(",") if asked else ():
        name, _, value = (piece.strip() for piece in part.partition("="))
        if name not in grades:
            raise unknown_name("disease", name, grades)
        if name in least:
            raise UserError(f"option referable={asked} names {name} twice: name it once")
        highest = len(grades[name]) - 1
        if not value.isdecimal() or not 1 <= int(value) <= highest:
            raise UserError(
                f"option referable: {part.strip()!r} is not NAME=GRADE with a grade of {name} from"
                f" 1 to {highest}: write for example {name}={min(2, highest)}"
            )
        least[name] = int(value)
    return usual | least


def _require_scale(source: Path, places: Mapping[int, str]) -> None:
    """Refuse grades that leave one out, or that are but one; `places`: where each is first."""
    if not places:
        raise DataError(
            f"{source} grades no image: fill in the grades, or leave this disease out with the"
            " option diseases"
        )
    highest = max(places)
    for expected in range(highest):
        if expected not in places:
            raise DataError(
                f"{source}: {places[highest]} has grade {highest}, and nothing has grade"
                f" {expected}: correct it, or number the grades from 0 without a gap"
            )
    if len(places) == 1:
        raise DataError(
            f"{source} has images of grade 0 only: a disease needs two grades; add images of the"
            " other grades, or leave this disease out with the option diseases"
        )


def _from_tables(
    root: Path, sources: Mapping[str, Path], notes: list[str]
) -> tuple[_Samples, dict[str, tuple[str, ...]]]:
    folder = root / IMAGES if (root / IMAGES).is_dir() else root
    files = tables.files_below(folder)
    samples, grades = _Samples(), {}
    for name, source in sources.items():
        sheet = tables.read_sheet(source, ("image", "grade"))
        sheet.require_filled("image")
        ids = _ids(sheet, files, folder)
        of_rows = read_grades(sheet, "grade", "image")
        known = {i: grade for i, grade in zip(ids, of_rows, strict=True) if grade != UNLABELLED}
        first: dict[int, str] = {}
        for (line, _), grade in zip(sheet.items("grade"), of_rows, strict=True):
            if grade != UNLABELLED:
                first.setdefault(grade, f"line {line}")
        _require_scale(source, first)
        grades[name] = tuple(str(number) for number in sorted(first))
        samples.grade[name] = known
        samples.path.update((i, files[i]) for i in ids)
        _join(sheet, "group", ids, samples.group)
        if "split" in sheet.rows:
            _require_parts(sheet)
        _join(sheet, "split", ids, samples.split)
    strays = [i for i in files if i not in samples.path]
    if strays:
        notes.append(
            f"{counted(len(strays), 'image is', 'images are')} in no table and left out (the first:"
            f" {strays[0]})."
        )
    return samples, grades


def _ids(sheet: tables.Sheet, files: Mapping[str, Path], folder: Path) -> list[str]:
    ids, absent, again, first = [], [], [], dict[str, int]()
    for line, cell in sheet.items("image"):
        sample_id = tables.image_id(cell)
        ids.append(sample_id)
        if sample_id not in files:
            absent.append((line, f"image {cell!r} is not in {folder}"))
        elif first.setdefault(sample_id, line) != line:
            again.append((line, f"{cell!r} is the image of line {first[sample_id]}"))
    sheet.refuse(absent, "add the file or remove the row")
    sheet.refuse(again, "keep one of the rows")
    return ids


def _join(sheet: tables.Sheet, column: str, ids: Sequence[str], known: dict[str, str]) -> None:
    """Add a column, where the table has it, to what other tables said of the same images."""
    if column not in sheet.rows:
        return
    faults = []
    for sample_id, (line, cell) in zip(ids, sheet.items(column), strict=True):
        if cell and known.setdefault(sample_id, cell) != cell:
            other = known[sample_id]
            faults.append((line, f"{column} of image {sample_id} is {cell}, elsewhere {other}"))
    sheet.refuse(faults, f"give an image one {column} in all tables")


def _require_parts(sheet: tables.Sheet) -> None:
    sheet.refuse(
        [
            (line, f"unknown part {cell!r} in column split")
            for line, cell in sheet.items("split")
            if cell and cell not in SPLITS
        ],
        f"use {', '.join(SPLITS)}, or leave it empty",
    )


def _folders(folder: Path) -> list[Path]:
    return sorted(
        path for path in tables.listing(folder) if path.is_dir() and not path.name.startswith(".")
    )


def _from_folders(
    root: Path, sources: Mapping[str, Path]
) -> tuple[_Samples, dict[str, tuple[str, ...]]]:
    if not sources:
        raise DataError(
            f"{root} holds neither tables nor folders: add a table DISEASE.csv with the columns"
            " image and grade for each disease, or folders DISEASE/GRADE with images"
        )
    samples, grades = _Samples(), {}
    for name, source in sources.items():
        loose = tables.image_files(source)
        if loose:
            raise DataError(
                f"{next(iter(loose.values()))} lies in no folder of a grade: move it into the"
                " folder of its grade"
            )
        folders = _grade_folders(source)
        _require_scale(source, {grade: f"folder {one.name}" for grade, one in folders.items()})
        known = samples.grade[name] = {}
        names = []
        for number, folder in sorted(folders.items()):
            match = GRADE_FOLDER.fullmatch(folder.name)
            names.append((match and match[2]) or str(number))
            files = tables.image_files(folder)
            if not files:
                raise DataError(f"{folder} holds no image: add images of this grade or remove it")
            for path in files.values():
                sample_id = path.relative_to(root).with_suffix("").as_posix()
                samples.path[sample_id] = path
                known[sample_id] = number
        for grade in names:
            if names.count(grade) > 1:
                raise DataError(f"{source} has two grades called {grade}: rename one of them")
        grades[name] = tuple(names)
    return samples, grades


def _grade_folders(source: Path) -> dict[int, Path]:
    """The folders of one disease by their grade."""
    found: dict[int, Path] = {}
    for folder in _folders(source):
        match = GRADE_FOLDER.fullmatch(folder.name)
        if not match:
            raise DataError(
                f"{folder} is not named by a grade: call it by its number, or by number and name,"
                " such as 0-normal"
            )
        other = found.setdefault(int(match[1]), folder)
        if other != folder:
            raise DataError(f"{other} and {folder} are one grade: unite them")
    return found


def _table(
    samples: _Samples, diseases: Sequence[Disease], labelled: Disease, notes: list[str]
) -> pd.DataFrame:
    ids = sorted(samples.path)
    grades = {
        disease.column: np.array(
            [samples.grade[disease.name].get(i, UNLABELLED) for i in ids], np.int64
        )
        for disease in diseases
    }
    alone = [i for i in ids if i not in samples.group]
    if alone:
        notes.append(
            f"{counted(len(alone), 'image names', 'images name')} no patient: each is taken as its"
            " own group."
        )
    return pd.DataFrame(
        {
            "path": [str(samples.path[i]) for i in ids],
            "label": grades[labelled.column],
            "group": [samples.group.get(i, i) for i in ids],
            "split": [samples.split.get(i, "") for i in ids],
            **grades,
        },
        index=pd.Index(ids, name="id"),
    )


MULTI_DISEASE = Layout(
    read=read,
    summary="your own images graded for several diseases, each image for one of them or more",
    expects=(
        "either a table DISEASE.csv for each disease (columns image, grade from 0, optional group"
        f" and split: {', '.join(SPLITS)}) and a folder {IMAGES}, or folders"
        " DISEASE/GRADE/*.jpg (GRADE 0, 1, ... or 0-normal, 1-mild, ...)"
    ),
    source="you",
    licence="yours",
    options={
        "diseases": "which ones, in what order, separated by commas (default: all, by name)",
        "disease": "whose grades are the classes (default: the first)",
        "referable": "least referable grades, DR=2,AMD=1 (default: 2, or 1 of two grades)",
    },
)
