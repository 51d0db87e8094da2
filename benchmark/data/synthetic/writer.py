"""A synthetic data set on disk: photographs, masks, annotations, metadata and folds.

The files are those of DermXDB's release of March 2023, so that its reader needs no exception.
"""

import csv
import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmark.data.synthetic.annotators import Annotator, Item, Reading, panel, read_picture
from benchmark.data.synthetic.plan import DIAGNOSES, Photograph, plan
from benchmark.data.synthetic.render import generators, render

FOLDS = 10
SOURCE = "DermBench synthetic"  # the column `dataset` of metadata.csv

MaskRow = tuple[str, str, str]


def write_dataset(
    folder: Path, images: int, size: int, annotators: int, seed: int, workers: int
) -> Iterator[int]:
    """Render a data set into the empty `folder`, yielding the number of photographs done so far.

    The bytes do not depend on `workers` (threads): every picture has its own generators.
    """
    photographs = plan(images, size, seed)
    raters = panel(annotators, seed)
    for name in ("images", "masks/masks", "annotations", "folds"):
        (folder / name).mkdir(parents=True)
    _write_metadata(folder, photographs)
    _write_folds(folder, photographs, seed)
    mask_rows: list[MaskRow] = []
    with ThreadPoolExecutor(workers) as pool:
        try:
            written = pool.map(
                lambda photo: _write_picture(folder, photo, raters, seed), photographs
            )
            for done, rows in enumerate(written, start=1):
                mask_rows += rows
                yield done
        except BaseException:
            pool.shutdown(cancel_futures=True)  # else Ctrl-C would wait for the whole data set
            raise
    _write_csv(
        folder / "masks" / "instance_mask_annotations.csv",
        ("image_id", "mask_id", "class_name"),
        mask_rows,
    )


def _write_picture(
    folder: Path, photograph: Photograph, raters: list[Annotator], seed: int
) -> list[MaskRow]:
    rendered = render(photograph, seed)
    jpeg = _encoded(
        ".jpg", rendered.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, photograph.jpeg_quality]
    )
    (folder / "images" / f"{photograph.name}.jpeg").write_bytes(jpeg)
    rows: list[MaskRow] = []
    for reading in read_picture(photograph, rendered, raters, generators(seed, photograph)[-1]):
        rows += _write_reading(folder, photograph, reading)
    return rows


def _write_reading(folder: Path, photograph: Photograph, reading: Reading) -> list[MaskRow]:
    stem = f"{reading.annotator}_{photograph.name}"
    masks = folder / "masks" / "masks"
    # <Characteristic>.png is the union of the items; only further items have a file of their own,
    # named by their place among all items.
    for characteristic in reading.characteristics:
        _write_mask(masks / f"{stem}_{characteristic}.png", reading.union(characteristic))
    rows: list[MaskRow] = []
    seen: set[str] = set()
    for place, item in enumerate(reading.items):
        mask_id = f"{stem}_{place:05d}"
        if item.characteristic in seen:
            _write_mask(masks / f"{mask_id}.png", item.mask)
        seen.add(item.characteristic)
        rows.append((stem, mask_id, item.characteristic))
    annotation = {
        "dataset": SOURCE,
        "image": {
            "width": photograph.width,
            "height": photograph.height,
            "original_filename": f"{stem}.jpg",
            "filename": f"{stem}.jpg",
            "path": "/",
        },
        "annotations": [
            *(_polygon(item) for item in reading.items),
            {"name": reading.diagnosis, "tag": {}},
        ],
    }
    (folder / "annotations" / f"{stem}.json").write_text(json.dumps(annotation), encoding="utf-8")
    return rows


def _polygon(item: Item) -> dict[str, Any]:
    # Outer rings and holes alike: the area is where an odd number of rings surround a pixel.
    contours, _ = cv2.findContours(
        item.mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE
    )
    left, top, width, height = cv2.boundingRect(item.mask.astype(np.uint8))
    return {
        "name": item.characteristic,
        "bounding_box": {"h": height, "w": width, "x": left, "y": top},
        "complex_polygon": {
            "path": [[{"x": int(x), "y": int(y)} for x, y in ring[:, 0]] for ring in contours]
        },
    }


def _write_metadata(folder: Path, photographs: list[Photograph]) -> None:
    _write_csv(
        folder / "metadata.csv",
        ("original_filename", "dataset", "diagnosis", "current_filename", "skin_tone", "age"),
        ((*_named(photo), photo.patient.skin_tone, photo.patient.age) for photo in photographs),
        delimiter=";",
    )


def _write_folds(folder: Path, photographs: list[Photograph], seed: int) -> None:
    """Deal the patients of each diagnosis round the folds, so that none is in two test folds."""
    rng = np.random.default_rng([seed, 0, 3])
    dealt: dict[int, int] = {}
    for diagnosis in DIAGNOSES:
        numbers = {p.patient.number for p in photographs if p.patient.diagnosis == diagnosis}
        for number in rng.permutation(sorted(numbers)):
            dealt[int(number)] = len(dealt) % FOLDS
    header = (
        "",
        "original_filename",
        "dataset",
        "diagnosis",
        "current_filename",
        "patient_id",
    )
    for fold in range(FOLDS):
        for part in ("train", "test"):
            rows = (
                (photo.index, *_named(photo), photo.patient.number)
                for photo in photographs
                if (dealt[photo.patient.number] == fold) == (part == "test")
            )
            _write_csv(folder / "folds" / f"metadata_fold_{fold}_{part}.csv", header, rows)


def _named(photograph: Photograph) -> tuple[str, str, str, str]:
    name = photograph.name
    return f"{name}.jpg", SOURCE, photograph.patient.diagnosis, f"{name}.jpeg"


def _write_csv(
    path: Path, header: Iterable[str], rows: Iterable[Iterable[object]], delimiter: str = ","
) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _write_mask(path: Path, mask: np.ndarray) -> None:
    path.write_bytes(_encoded(".png", mask.astype(np.uint8) * 255, []))


def _encoded(suffix: str, pixels: np.ndarray, options: list[int]) -> bytes:
    # Not cv2.imwrite, which answers a full disk with False.
    done, encoded = cv2.imencode(suffix, pixels, options)
    if not done:
        raise RuntimeError(f"OpenCV cannot encode {suffix}")
    return encoded.tobytes()
