"""DermXDB: dermatologists' masks of skin characteristics on clinical photographs, both releases.

The photographs are not part of the release; the reader works without them and finds those that the
user supplies. Of the annotation JSON files only the names are read, which say who saw an image: the
masks say the rest.
"""

import os
import re
from collections import Counter
from pathlib import Path

import pandas as pd

from benchmark.common.wording import counted
from benchmark.data.dataset import MASK_COLUMNS, Dataset
from benchmark.data.layouts import Layout, tables
from benchmark.errors import DataError, UserError

# Folder order of the authors' benchmark, which is alphabetical.
CLASSES = (
    "Acne",
    "Actinic keratosis",
    "Psoriasis",
    "Seborrheic dermatitis",
    "Viral warts",
    "Vitiligo",
)
CHARACTERISTICS = (
    "Closed comedo",
    "Cyst",
    "Dermatoglyph disruption",
    "Leukotrichia",
    "Macule",
    "Nodule",
    "Open comedo",
    "Papule",
    "Patch",
    "Plaque",
    "Pustule",
    "Scale",
    "Scar",
    "Sun damage",
    "Telangiectasia",
    "Thrombosed capillaries",
)
METADATA = ("original_filename", "dataset", "skin_tone", "age")
SESSIONS = ("first", "both")
PHOTOGRAPHS = (".jpg", ".jpeg", ".png")  # compared in lower case
# Whom to ask for photographs, by the column `dataset` (README of the release).
OWNERS = {
    "DermNetNZ": "https://dermnetnz.org/contact-us/",
    "SD-260": "http://xiaopingwu.cn/assets/projects/sd-198/",
}

# <rater>_<image>_<characteristic or number>.png; neither of the three holds an underscore.
_MASK = re.compile(r"(?P<rater>[^_]+)_(?P<image>[^_]+)_(?P<what>[^_]+)")
_NUMBER = re.compile(r"\d{5}")
# labeller12 is labeller1 who reads an image for the second time.
_SECOND = re.compile(r"(labeller\d)2")


def read(root: Path, images: str | Path | None = None, sessions: str = "first") -> Dataset:
    """Read a checkout of DermXDB: metadata.csv, masks, and patients from folds where present.

    The samples are the images of metadata.csv; an image without a photograph has the path "". The
    table has the columns `original_filename`, `dataset`, `skin_tone`, `age` where the metadata has
    them, and `fold` (0..9, the published test folds, -1 where unknown). The group is the patient
    that the folds name, else the image. No split is fixed.

    The column `readers` names who read the image in the first session, joined by ";", whether they
    drew something or not: in the release of 2023 all of its annotators (each read every image: 8
    annotations of each of 630 images); in that of 2021, where each image was read by three, those
    with a mask or an annotation file of it. Without a folder of annotations the older release has
    no such column, for masks cannot tell who saw an image and drew nothing.

    `masks` has the further column `session` (1 or 2); `annotator` is the same person in both. In
    the release of 2023 there is one mask per reading and characteristic, in that of 2021 one per
    drawn item, so that a reading may have several masks of one characteristic (as the authors'
    own reference maps count them).

    Args:
        root: the checkout.
        images: the folder of photographs, or several joined by the system's path separator (":",
            on Windows ";"); searched with sub-folders for the original or the renamed file name,
            whatever the case and .jpg, .jpeg or .png. Default: `root`/images.
        sessions: "first", or "both" to read the second readings of some images as well.

    Raises:
        UserError: an unknown value of `sessions`.
        DataError: naming the file and line of the first fault.
    """
    if sessions not in SESSIONS:
        raise UserError(f"sessions is 'first' or 'both', not {sessions!r}")
    tables.listing(root)
    sheet = _metadata(root / "metadata.csv")
    rows = sheet.rows
    ids = [Path(name).stem for name in rows["current_filename"]]
    notes: list[str] = []
    patients = _patients(root, set(ids), notes)
    table = pd.DataFrame(
        {
            "path": _photographs(root, images, sheet, notes),
            "label": [CLASSES.index(name) for name in rows["diagnosis"]],
            "group": [patients.get(i, (i, -1))[0] for i in ids],
            "split": "",
            **{name: list(rows[name]) for name in METADATA if name in rows},
            "fold": [patients.get(i, (i, -1))[1] for i in ids],
        },
        index=pd.Index(ids, name="id"),
    )
    masks, readers = _masks(root, set(ids), sessions, notes)
    if readers is not None:
        table["readers"] = [";".join(sorted(readers[i])) for i in ids]
    notes += tables.maskless(ids, masks["id"])
    return Dataset("dermxdb", root, table, CLASSES, masks, tuple(notes))


def _metadata(path: Path) -> tables.Sheet:
    sheet = tables.read_sheet(path, ("current_filename", "diagnosis"))
    for column in ("current_filename", "diagnosis"):
        sheet.require_filled(column)
    sheet.require_unique("current_filename")
    sheet.refuse(
        [
            (line, f"unknown diagnosis {cell!r}")
            for line, cell in sheet.items("diagnosis")
            if cell not in CLASSES
        ],
        f"the diagnoses are {', '.join(CLASSES)}",
    )
    stems: dict[str, int] = {}
    sheet.refuse(
        [
            (line, f"image {cell!r} differs from line {stems[Path(cell).stem]} in its suffix only")
            for line, cell in sheet.items("current_filename")
            if stems.setdefault(Path(cell).stem, line) != line
        ],
        "keep one row for each image",
    )
    tables.refuse_empty_classes([CLASSES.index(d) for d in sheet.rows["diagnosis"]], CLASSES, path)
    return sheet


def _patients(root: Path, ids: set[str], notes: list[str]) -> dict[str, tuple[str, int]]:
    """Patient and test fold of each image, from folds/metadata_fold_<0-9>_test.csv."""
    known: dict[str, tuple[str, int]] = {}
    for path in sorted(root.glob("folds/metadata_fold_[0-9]_test.csv")):
        fold = int(path.stem.split("_")[2])
        sheet = tables.read_sheet(path, ("current_filename", "patient_id"))
        sheet.require_filled("patient_id")
        faults = []
        for line, row in sheet.rows.iterrows():
            sample_id = Path(row["current_filename"]).stem
            if sample_id in known:
                faults.append((line, f"{sample_id!r} is in test fold {known[sample_id][1]} too"))
            known[sample_id] = (f"patient-{row['patient_id']}", fold)
        sheet.refuse(faults, "keep an image in one test fold")
    unknown = len(ids - set(known))
    if unknown:
        notes.append(
            f"{counted(unknown, 'image is', 'images are')} in no fold: each is taken as a"
            " patient of its own."
        )
    return known


def _photographs(
    root: Path, images: str | Path | None, sheet: tables.Sheet, notes: list[str]
) -> list[str]:
    """The photograph of every row, "" where there is none."""
    folders = [root / "images"]
    if images is not None:
        # A folder's own name may hold the separator.
        whole = Path(images).expanduser()
        parts = [whole] if whole.exists() else str(images).split(os.pathsep)
        folders = [Path(part).expanduser() for part in parts]
        for folder in folders:
            tables.listing(folder)  # a folder that was asked for must be there
    found: dict[str, set[Path]] = {}
    for path in (path for folder in folders for path in folder.rglob("*")):
        if path.suffix.lower() in PHOTOGRAPHS:
            found.setdefault(path.stem.lower(), set()).add(path)
    paths = []
    for _, row in sheet.rows.iterrows():
        # The renamed file goes first: it is the one that the masks are named after.
        names = [row[c] for c in ("current_filename", "original_filename") if c in sheet.rows]
        stems = (Path(name).stem.lower() for name in names)
        hits = sorted(next((found[stem] for stem in stems if stem in found), set()))
        if len(hits) > 1:
            raise DataError(f"{hits[0]} and {hits[1]} are both called {names[0]!r}: keep one")
        paths.append(str(hits[0]) if hits else "")
    absent = paths.count("")
    if absent:
        where = " or ".join(f"{folder.name}/" for folder in folders)
        notes.append(
            f"{absent} of {len(paths)} photographs are not in {where} (the release has"
            " masks only): without them the masks can be studied, but no network trained."
        )
    return paths


def _masks(
    root: Path, ids: set[str], sessions: str, notes: list[str]
) -> tuple[pd.DataFrame, dict[str, set[str]] | None]:
    """The table of masks, and who read each image (None where that is not known)."""
    folder = root / "masks" / "masks"
    if not folder.is_dir():
        folder = root / "masks"
    files = {stem: p for stem, p in tables.image_files(folder).items() if p.suffix == ".png"}
    parsed = {stem: _MASK.fullmatch(stem) for stem in files}
    for stem, match in parsed.items():
        if match is None:
            raise DataError(
                f"{files[stem]} is not named <rater>_<image>_<characteristic>.png: rename it or"
                " move it away"
            )
    matches = {stem: match for stem, match in parsed.items() if match}
    csv_path = root / "masks" / "instance_mask_annotations.csv"
    named = {stem for stem, match in matches.items() if not _NUMBER.fullmatch(match["what"])}
    # Where the unions per characteristic are there, the numbered files are parts of them.
    by_item = not named
    names = _item_names(csv_path, set(matches), notes) if by_item or csv_path.is_file() else {}
    count: Counter[str] = Counter()
    strangers: set[str] = set()
    others: set[str] = set()
    rows = []
    for stem, match in matches.items():
        if not by_item and stem not in named:
            count["parts"] += 1
            continue
        again = _SECOND.fullmatch(match["rater"])
        if match["image"] not in ids:
            count["strangers"] += 1
            strangers.add(match["image"])
        elif again and sessions == "first":
            count["second"] += 1
        else:
            what = names.get(stem) if by_item else match["what"]
            if what is None:
                raise DataError(
                    f"{files[stem]} has no row in {csv_path}, which names its characteristic: add"
                    " the row or move the file away"
                )
            if what not in CHARACTERISTICS:
                count["other"] += 1
                others.add(what)
            rater = again[1] if again else match["rater"]
            rows.append((match["image"], rater, what, str(files[stem]), 2 if again else 1))
    said = {
        "strangers": f"left out, of {counted(len(strangers), 'image')} that metadata.csv does not"
        f" list: {', '.join(sorted(strangers))}.",
        "parts": "left out, with a number: parts of a characteristic's own mask.",
        "second": "left out, of second readings (the option sessions=both reads them).",
        "other": "of a characteristic outside the 16 of the paper"
        f" ({', '.join(sorted(others))}): rename the files if it is another spelling of one.",
    }
    notes += [f"{counted(count[key], 'mask')} {text}" for key, text in said.items() if count[key]]
    if not rows:
        raise DataError(f"{folder} holds no mask of an image in metadata.csv: check the checkout")
    seen = [(match["rater"], match["image"]) for match in matches.values()]
    readers = _readers(root / "annotations", ids, seen, every=not by_item)
    return pd.DataFrame(rows, columns=[*MASK_COLUMNS, "session"]), readers


def _readers(
    folder: Path, ids: set[str], seen: list[tuple[str, str]], every: bool
) -> dict[str, set[str]] | None:
    """Who read each image in the first session; `seen` are the readings that have masks."""
    annotated = [tuple(path.stem.split("_", 1)) for path in folder.glob("*_*.json")]
    if not every and not annotated:
        return None
    first = [(rater, i) for rater, i in [*seen, *annotated] if not _SECOND.fullmatch(rater)]
    readers: dict[str, set[str]] = {i: set() for i in ids}
    if every:
        first = [(rater, i) for rater in {rater for rater, _ in first} for i in ids]
    for rater, i in first:
        if i in readers:
            readers[i].add(rater)
    return readers


def _item_names(path: Path, stems: set[str], notes: list[str]) -> dict[str, str]:
    """The characteristic of every mask id in the table of items; rows without a file are noted."""
    sheet = tables.read_sheet(path, ("image_id", "mask_id", "class_name"))
    for column in ("mask_id", "class_name"):
        sheet.require_filled(column)
    rows = sheet.rows
    union = rows["image_id"] + "_" + rows["class_name"]
    orphans = int((~rows["mask_id"].isin(stems) & ~union.isin(stems)).sum())
    if orphans:
        notes.append(f"{counted(orphans, 'row has', 'rows have')} no mask file, in {path.name}.")
    return dict(zip(rows["mask_id"], rows["class_name"], strict=True))


DERMXDB = Layout(
    read=read,
    summary="clinical photographs, six diagnoses, masks of 16 characteristics by 8 dermatologists",
    expects=(
        "metadata.csv and masks/masks/*.png of a DermXDB checkout (folds/ and"
        " masks/instance_mask_annotations.csv where present), and your photographs in images/"
    ),
    source=(
        "Jalaboi et al., DermX: an end-to-end framework for explainable automated dermatological"
        " diagnosis, Med Image Anal 83:102647 (2023); https://github.com/ralucaj/dermx"
    ),
    licence="masks and metadata CC0 1.0; photographs (DermNetNZ, SD-260): ask their owners",
    options={
        "images": "folder of the photographs, or several joined by ':' (default: images below the"
        " data folder)",
        "sessions": "'first' (default) or 'both': whether to read the 61 images' second readings,"
        " which are a ceiling of their own; runs with and without are ranked apart",
    },
    shared_groups=True,
)
