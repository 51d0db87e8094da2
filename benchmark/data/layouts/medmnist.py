"""MedMNIST: npz archives of small images with a published split, and an index to lesions if any."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.config import PaperRun
from benchmark.data import images
from benchmark.data.dataset import Dataset
from benchmark.data.layouts import Layout, tables
from benchmark.errors import DataError, UserError
from benchmark.recipe import Recipe

PARTS = {"train": "train", "val": "validation", "test": "test"}
# Label order of the published files; other archives get "0", "1", ... (as RetinaMNIST's own
# class names, the grades, are).
CLASSES = {"dermamnist": ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")}
# Of the authors' code (github.com/MedMNIST/experiments at 70b6b3a, train_and_eval_pytorch.py, with
# --resize): 28 px brought to 224, nothing augmented, epoch by validation AUC. PyTorch's BatchNorm
# momentum of 0.1 is 0.9 in Keras' convention. Theirs are also nearest-neighbour resizing, pixels
# from -1 to 1 and, of the networks at 28 px, a first layer for small images; here these are ours.
PUBLISHED = PaperRun(
    image_size=(224, 224),
    recipe=Recipe(
        epochs=100,
        batch_size=128,
        optimiser="adam",
        learning_rate=1e-3,
        schedule="half-then-quarter",
        bn_momentum=0.9,
    ),
)


def read(
    root: Path, file: str | None = None, classes: str | Sequence[str] | None = None
) -> Dataset:
    """Read one npz archive: {train,val,test}_images (N, H, W[, 3]) uint8, *_labels (N, 1) int.

    Sample ids are "train-00012", "val-00003", "test-00000". With an index beside the archive
    (FILE_index.csv: split, index, lesion_id, perhaps image_id) the group is the lesion, else the
    image. The published split is kept even where it cuts lesions.

    Args:
        root: the archive, or a folder with one.
        file: the archive's name where the folder has several.
        classes: class names in label order, separated by commas.

    Raises:
        UserError: several archives and no `file`.
        DataError: naming the array or line of the first fault.
    """
    path = _archive(root, file)
    labels = {part: _labels(path, part) for part in PARTS}
    stem = path.stem
    count = 1 + max(int(values.max()) for values in labels.values())
    names = _class_names(stem, classes, count)
    frames = []
    for part, values in labels.items():
        ids = [f"{part}-{row:05d}" for row in range(len(values))]
        frames.append(
            pd.DataFrame(
                {
                    "path": [f"{path}#{part}_images/{row}" for row in range(len(values))],
                    "label": values,
                    "group": ids,
                    "split": PARTS[part],
                },
                index=pd.Index(ids, name="id"),
            )
        )
    table = pd.concat(frames)
    for part, values in labels.items():
        wrong = np.flatnonzero((values < 0) | (values >= len(names)))
        if wrong.size:
            raise DataError(
                f"{path}: {part}_labels[{wrong[0]}] is {values[wrong[0]]} (and {wrong.size - 1}"
                f" more are unknown), but there are {len(names)} classes: give all names with the"
                " option classes"
            )
    tables.refuse_empty_classes(table["label"], names, path)
    notes = []
    index = path.with_name(f"{stem}_index.csv")
    if index.is_file():
        _join(table, index, names)
    else:
        notes.append(
            f"No {index.name} names the lesions: each image is taken as one of its own, so the"
            " published split may cut lesions or patients unseen."
        )
    return Dataset("medmnist", root, table, names, notes=tuple(notes))


def _archive(root: Path, file: str | None) -> Path:
    if root.is_file():
        return root
    if file is not None:
        if not (root / file).is_file():
            raise DataError(f"{root / file} does not exist: check the option file")
        return root / file
    found = sorted(path for path in tables.listing(root) if path.suffix == ".npz")
    if not found:
        raise DataError(f"{root} holds no npz archive: give the folder of a MedMNIST download")
    if len(found) > 1:
        raise UserError(
            f"{root} holds several archives: choose one with the option file:"
            f" {', '.join(path.name for path in found)}"
        )
    return found[0]


def _labels(path: Path, part: str) -> np.ndarray:
    """The labels of one part: (N,) int64, with its images checked for count, type and shape."""
    pixels = images.read_array(path, f"{part}_images")
    values = images.read_array(path, f"{part}_labels")
    if pixels.dtype != np.uint8 or not (
        pixels.ndim == 3 or (pixels.ndim == 4 and pixels.shape[3] == 3)
    ):
        raise DataError(
            f"{path}: {part}_images is {pixels.dtype} {pixels.shape}; expected uint8 (N, H, W) or"
            " (N, H, W, 3): volumes and other types are not read"
        )
    if values.ndim == 2 and values.shape[1] > 1:
        raise DataError(
            f"{path}: {part}_labels has {values.shape[1]} labels per image: only data with one"
            " class per image is read"
        )
    if (
        values.dtype.kind not in "iuf"
        or not np.isfinite(values).all()
        or (values != np.floor(values)).any()
    ):
        raise DataError(f"{path}: {part}_labels holds values that are not whole numbers")
    if len(values) != len(pixels):
        raise DataError(
            f"{path}: {len(pixels)} {part}_images but {len(values)} {part}_labels: download it"
            " again"
        )
    return np.asarray(values).reshape(-1).astype(np.int64)


def _class_names(stem: str, classes: str | Sequence[str] | None, count: int) -> tuple[str, ...]:
    if isinstance(classes, str):
        return tuple(name.strip() for name in classes.split(","))
    if classes is not None:
        return tuple(classes)
    for name, known in CLASSES.items():
        if stem.startswith(name):
            return known
    return tuple(str(label) for label in range(count))


def _join(table: pd.DataFrame, path: Path, classes: tuple[str, ...]) -> None:
    """Take groups (and image ids) from the index into `table`; every image must be in it once."""
    sheet = tables.read_sheet(path, ("split", "index", "lesion_id"))
    for column in ("split", "index", "lesion_id"):
        sheet.require_filled(column)
    position = sheet.numbers("index")
    ids = {
        line: f"{part}-{int(position[line]):05d}"
        if position[line] >= 0 and position[line] == int(position[line])
        else f"{part}-{position[line]}"
        for line, part in sheet.items("split")
    }
    seen: dict[str, int] = {}
    faults = []
    for line, sample_id in ids.items():
        if sample_id not in table.index:
            faults.append((line, f"{sample_id} is not in the archive"))
        elif seen.setdefault(sample_id, line) != line:
            faults.append((line, f"{sample_id} is listed twice, first on line {seen[sample_id]}"))
    sheet.refuse(faults, "the index belongs to another archive, or remove the row")
    if len(seen) < len(table):
        absent = next(i for i in table.index if i not in seen)
        raise DataError(
            f"{path} lacks {len(table) - len(seen)} images of the archive (the first: {absent}):"
            " complete it or move it away"
        )
    order = list(ids.values())
    if "dx" in sheet.rows:
        named = table.loc[order, "label"].map(lambda label: classes[label].lower())
        sheet.refuse(
            [
                (line, f"{ids[line]} is {cell} here and {name} in the archive")
                for (line, cell), name in zip(sheet.items("dx"), named, strict=True)
                if cell and cell.lower() != name
            ],
            "the index belongs to another archive",
        )
    table.loc[order, "group"] = list(sheet.rows["lesion_id"])
    if "image_id" in sheet.rows:
        table["image_id"] = ""
        table.loc[order, "image_id"] = list(sheet.rows["image_id"])


MEDMNIST = Layout(
    read=read,
    summary="small images in one npz archive with a published split (DermaMNIST, RetinaMNIST, ...)",
    expects=(
        "an npz archive with train_, val_ and test_images and _labels, or a folder with one;"
        " optional FILE_index.csv (split, index, image_id, lesion_id) beside it"
    ),
    source="Yang et al., MedMNIST v2, Sci Data 10:41 (2023); https://medmnist.com",
    licence="differs by archive: DermaMNIST CC BY-NC 4.0, RetinaMNIST CC BY 4.0",
    options={
        "file": "the archive's file name where the folder has several",
        "classes": "class names in label order, separated by commas",
    },
    paper_run=PUBLISHED,
)
