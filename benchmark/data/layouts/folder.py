"""Your own images: one folder per class, or one CSV file with a folder of images."""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pandas as pd

from benchmark.common.wording import counted
from benchmark.data import images as pictures
from benchmark.data.dataset import MASK_COLUMNS, Dataset, no_masks
from benchmark.data.layouts import Layout, tables
from benchmark.errors import DataError, UserError

# Accepted names, compared in lower case; the first that is there counts.
IMAGE_COLUMNS = ("id", "image", "file")
LABEL_COLUMNS = ("label", "diagnosis", "class")
GROUP_COLUMNS = ("patient", "patient_id", "lesion", "lesion_id", "group")
PARTS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
MASKS = "masks"
# IDRiD counts its folders, "1. Microaneurysms"; "1.5 mm" is a name of its own.
# Photographs as phones, cameras and clinics leave them; they are not read.
OTHER_KINDS = frozenset(
    {
        *(".heic", ".heif", ".avif", ".jxl", ".dcm", ".dicom"),
        *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"),
    }
)
NUMBERED = re.compile(r"\d+\.\s*(\D.*)")


def read(root: Path, table: str | None = None, images: str = "images") -> Dataset:
    """Read the images below `root`; classes are in alphabetical (numbers: numerical) order.

    With a CSV file the samples are its rows: one column names the image (with or without its
    suffix, relative to the folder of images), one the class; patients (before lesions) become the
    groups, and further columns metadata. Without one they are the images in the class folders,
    which may lie in folders train, validation or val, and test; the id is then "CLASS/NAME"
    (preceded by the part) and each image is a group of its own.

    Masks are optional, with any image suffix, all by one annotator "expert". masks/ID.png or
    masks/ID_segmentation.png marks the whole lesion (characteristic ""); a folder in masks/ is a
    characteristic and holds ID.png or ID_ANYTHING.png, the names of IDRiD's part A (Porwal et al.
    2018, Data 3(3):25): "masks/1. Microaneurysms/IDRiD_01_MA.tif". An image may have masks of both
    kinds. Our choices: a number and dot before the characteristic's name are dropped; of several
    ids that fit a mask the longest counts; the id is the whole one, "CLASS/NAME" for class folders;
    there is no level for annotators (DermXDB's layout has them), as their folders could not be
    told from folders of parts, such as IDRiD's own "a. Training Set".

    Args:
        root: the folder.
        table: the CSV file's name. Default: the only one in `root`, if there is one.
        images: the folder of images that the CSV file speaks of.

    Raises:
        UserError: several CSV files and no `table`.
        DataError: naming the file and the lines of what is wrong in its rows or with the images,
            or the folders and files that are; for masks, one that can be read as of two images, or
            two of one image and characteristic.
    """
    csv_path = _csv(root, table)
    if csv_path is None:
        samples, classes = _from_folders(root)
        notes = ["The folders name no patients or lesions: each image is taken as its own group."]
        faults = _left_out(root, set(samples["path"]))
    else:
        samples, classes, notes = _from_table(csv_path, root / images)
        # Beside a table other images may lie for a purpose; within, each has its row.
        faults = []
        notes += _left_out(root, set(samples["path"]))
    masks, strays = _masks(root, list(samples.index), notes)
    faults += [strays] if strays else []
    return Dataset("folder", root, samples, classes, masks, (*faults, *notes), faults=tuple(faults))


def _csv(root: Path, table: str | None) -> Path | None:
    found = sorted(path for path in tables.listing(root) if path.suffix.lower() == ".csv")
    if table is not None:
        return root / table
    if len(found) > 1:
        raise UserError(
            f"{root} holds several CSV files: choose one with the option table:"
            f" {', '.join(path.name for path in found)}"
        )
    return found[0] if found else None


def _from_folders(root: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    def folders(where: Path) -> list[Path]:
        return sorted(p for p in tables.listing(where) if p.is_dir() and not p.name.startswith("."))

    top = [path for path in folders(root) if path.name.lower() != MASKS]
    parts = {path: PARTS[path.name.lower()] for path in top if path.name.lower() in PARTS}
    if parts and len(parts) < len(top):
        other = next(path for path in top if path not in parts)
        raise DataError(
            f"{root} holds both parts ({next(iter(parts)).name}) and the folder {other.name}: put"
            " every class folder into a part, or none"
        )
    loose = [
        (None, f"{path.name} lies in no class folder") for path in tables.image_files(root).values()
    ]
    empty = []
    rows = []
    for part_folder, part in parts.items() or [(root, "")]:
        class_folders = top if part_folder == root else folders(part_folder)
        for folder in class_folders:
            files = tables.image_files(folder)
            if not files:
                empty.append((None, f"class folder {folder.relative_to(root)} holds no image"))
            for path in files.values():
                sample_id = path.relative_to(root).with_suffix("").as_posix()
                rows.append((sample_id, str(path), folder.name, sample_id, part))
    tables.refuse_all(
        root,
        [
            (empty, "add images of the class or remove it"),
            (loose, "move it into the folder of its class, or add a CSV file"),
        ],
    )
    if not rows:
        raise DataError(
            f"{root} holds neither class folders with images nor a CSV file: make one folder per"
            " class, or add a CSV file with the columns image and label"
        )
    samples = pd.DataFrame(rows, columns=["id", "path", "label", "group", "split"]).set_index("id")
    return _with_classes(samples)


def _left_out(root: Path, read: Collection[str]) -> list[str]:
    """Sentences on the photographs below `root`, masks aside, that are not among those read."""
    others, elsewhere = [], []
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root)
        if inside.parts[0].lower() == MASKS or any(part.startswith(".") for part in inside.parts):
            continue
        if path.suffix.lower() in OTHER_KINDS:
            others.append(inside.as_posix())
        elif path.suffix.lower() in pictures.SUFFIXES and str(path) not in read:
            elsewhere.append(inside.as_posix())
    told = []
    if others:
        kinds = " or ".join(sorted({Path(name).suffix for name in others}))
        told.append(
            f"{counted(f'{len(others):,}', 'file')} of a kind that is not read ({kinds}), such as"
            f" {others[0]}: save as PNG or JPEG what is to be used"
        )
    if elsewhere:
        verb = "lies where none is read" if len(elsewhere) == 1 else "lie where none is read"
        told.append(
            f"{counted(f'{len(elsewhere):,}', 'image')} {verb}, such as {elsewhere[0]}: move what"
            " is to be used to the others"
        )
    return told


def _from_table(path: Path, folder: Path) -> tuple[pd.DataFrame, tuple[str, ...], list[str]]:
    sheet = tables.read_sheet(path)
    image = _column(sheet, IMAGE_COLUMNS)
    label = _column(sheet, LABEL_COLUMNS)
    if image is None or label is None:
        wanted = IMAGE_COLUMNS if image is None else LABEL_COLUMNS
        raise DataError(
            f"{path}, line 1: no column is called {', '.join(wanted[:-1])} or {wanted[-1]}; the"
            f" columns are {', '.join(sheet.rows.columns)}: rename one"
        )
    split = _column(sheet, ("split",))
    files = tables.files_below(folder)
    ids = [tables.image_id(cell) for cell in sheet.rows[image]]
    tables.refuse_all(
        path,
        [
            (sorted(sheet.empty(image) + sheet.empty(label)), tables.FILL),
            (_repeated(sheet, image), tables.KEEP_ONE),
            (_missing(sheet, image, files, folder), "add the file or remove the row"),
            (_unknown_parts(sheet, split), f"use {', '.join(PARTS)}, or leave it empty"),
            (_without_row(files, ids), tables.ADD_ROW),
        ],
    )
    paths = [str(files[sample_id]) for sample_id in ids]
    samples = pd.DataFrame(
        {"path": paths, "label": list(sheet.rows[label])}, index=pd.Index(ids, name="id")
    )
    notes: list[str] = []
    group = _column(sheet, GROUP_COLUMNS)
    named = list(sheet.rows[group]) if group else [""] * len(ids)
    samples["group"] = [name or own for name, own in zip(named, ids, strict=True)]
    if "" in named:
        told = counted(named.count(""), "image")
        notes.append(f"{told} without the name of a group: each is taken as one of its own.")
    samples["split"] = [PARTS.get(cell.lower(), "") for cell in sheet.rows[split]] if split else ""
    for column in sheet.rows.columns:
        if column not in (image, label, group, split):
            # A name of ours is not to be overwritten by a user's column.
            name = f"{column}_column" if column in samples else column
            samples[name] = list(sheet.rows[column])
    samples, classes = _with_classes(samples)
    return samples, classes, notes


def _column(sheet: tables.Sheet, names: tuple[str, ...]) -> str | None:
    lowered = {column.lower(): column for column in sheet.rows.columns}
    return next((lowered[name] for name in names if name in lowered), None)


def _repeated(sheet: tables.Sheet, column: str) -> list[tables.Fault]:
    """A fault for each row of an image that an earlier row names, with or without its suffix."""
    faults: list[tables.Fault] = []
    first: dict[str, tuple[int, str]] = {}
    for line, cell in sheet.items(column):
        earlier, as_written = first.setdefault(tables.image_id(cell), (line, cell))
        if cell and earlier != line:
            same = f"{cell!r} is listed twice, first on line {earlier}"
            other = f"{cell!r} is the image of line {earlier}"
            faults.append((line, same if cell == as_written else other))
    return faults


def _missing(
    sheet: tables.Sheet, column: str, files: Mapping[str, Path], folder: Path
) -> list[tables.Fault]:
    return [
        (line, f"image {cell!r} is not in {folder}")
        for line, cell in sheet.items(column)
        if cell and tables.image_id(cell) not in files
    ]


def _unknown_parts(sheet: tables.Sheet, column: str | None) -> list[tables.Fault]:
    if column is None:
        return []
    return [
        (line, f"unknown part {cell!r} in column {column}")
        for line, cell in sheet.items(column)
        if cell and cell.lower() not in PARTS
    ]


def _without_row(files: Mapping[str, Path], ids: Sequence[str]) -> list[tables.Fault]:
    known = set(ids)
    return [(None, f"{path} has no row") for name, path in files.items() if name not in known]


def _with_classes(samples: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Replace class names by their index; grades ("0", "2", "10") are ordered as numbers."""
    names = set(samples["label"])
    if all(name.isdecimal() for name in names):
        classes = tuple(sorted(names, key=lambda name: (int(name), name)))
    else:
        classes = tuple(sorted(names))
    return samples.assign(label=samples["label"].map(classes.index).astype(int)), classes


def _masks(root: Path, ids: list[str], notes: list[str]) -> tuple[pd.DataFrame, str]:
    """The mask table, and a sentence on the files that belong to no image, "" if there are none."""
    top = next((p for p in tables.listing(root) if p.is_dir() and p.name.lower() == MASKS), None)
    if top is None:
        return no_masks(), ""
    known = set(ids)
    found: dict[tuple[str, str], Path] = {}
    strays = []
    for path in _mask_files(top, notes):
        name = path.relative_to(top).with_suffix("").as_posix()
        fits = _fits(name, known)
        if len(fits) > 1:
            raise DataError(
                f"{path} can be the mask of {fits[0][0]} or, for the characteristic {fits[1][1]},"
                f" of {fits[1][0]}: rename the folder of the characteristic"
            )
        if not fits:
            strays.append(path)
        elif (first := found.setdefault(fits[0], path)) != path:
            sample_id, characteristic = fits[0]
            raise DataError(
                f"{first} and {path} are two masks of {sample_id} for"
                f" {characteristic or 'the whole lesion'}: keep one of them or unite them"
            )
    if found:
        notes += tables.maskless(known, (sample_id for sample_id, _ in found))
    rows = [(sample_id, "expert", what, str(path)) for (sample_id, what), path in found.items()]
    table = pd.DataFrame(rows, columns=list(MASK_COLUMNS)) if rows else no_masks()
    return table, _strays_told(strays, top, ids[0])


def _strays_told(strays: list[Path], top: Path, an_id: str) -> str:
    if not strays:
        return ""
    told = f"{counted(f'{len(strays):,}', 'file')} below {top.name}/"
    verbs = "belongs to no image and is" if len(strays) == 1 else "belong to no image and are"
    return (
        f"{told} {verbs} left out, such as {strays[0].relative_to(top).as_posix()}: name masks of"
        f" the whole lesion {top.name}/ID.png or {top.name}/ID_segmentation.png, others"
        f" {top.name}/CHARACTERISTIC/ID.png or {top.name}/CHARACTERISTIC/ID_ANYTHING.png (with any"
        f" image suffix; an ID is here such as {an_id}), and remove what is none"
    )


def _mask_files(top: Path, notes: list[str]) -> list[Path]:
    """The image files below `top`, hidden ones left out; its folders without any are noted."""
    files: list[Path] = []
    for entry in sorted(p for p in tables.listing(top) if not p.name.startswith(".")):
        inside = sorted(entry.rglob("*")) if entry.is_dir() else [entry]
        held = [
            path
            for path in inside
            if path.suffix.lower() in pictures.SUFFIXES
            and not any(part.startswith(".") for part in path.relative_to(top).parts)
        ]
        if entry.is_dir() and not held:
            notes.append(f"The folder {MASKS}/{entry.name} holds no mask.")
        files += held
    return files


def _fits(name: str, known: set[str]) -> list[tuple[str, str]]:
    """Each (id, characteristic) that a mask's name below masks/, without its suffix, can mean."""
    fits = []
    whole = name if name in known else name.removesuffix("_segmentation")
    if whole in known:
        fits.append((whole, ""))
    folder, _, inner = name.partition("/")
    numbered = NUMBERED.fullmatch(folder)
    # Shortened underscore by underscore, so that the longest id is met first.
    parent, slash, stem = inner.rpartition("/")
    while stem:
        if parent + slash + stem in known:
            fits.append((parent + slash + stem, numbered[1] if numbered else folder))
            break
        stem = stem.rpartition("_")[0]
    return fits


FOLDER = Layout(
    read=read,
    summary="your own images: a folder per class, or a CSV file with a folder of images",
    expects=(
        "either CLASS/*.jpg (or train|validation|test/CLASS/*.jpg), or one CSV file with the"
        f" columns {'|'.join(IMAGE_COLUMNS)}, {'|'.join(LABEL_COLUMNS)}, optional"
        f" {'|'.join(GROUP_COLUMNS)}, split (train, validation, test) and an images folder;"
        " optional masks of the whole lesion, masks/ID.png or masks/ID_segmentation.png, and of"
        " characteristics, masks/CHARACTERISTIC/ID.png or ID_ANYTHING.png (any image suffix; ID is"
        " CLASS/NAME for class folders, so masks/CHARACTERISTIC/CLASS/NAME.png)"
    ),
    source="you",
    licence="yours",
    options={
        "table": "the CSV file's name where the folder has several",
        "images": "the folder of images beside the CSV file (default: images)",
    },
)
