"""Synthetic fundus photographs on disk, in the layouts `multi-disease` and `idrid`."""

import csv
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from benchmark.data.layouts import idrid, multi_disease
from benchmark.data.synthetic.fundus_plan import DISEASES, Eye, plan
from benchmark.data.synthetic.fundus_render import render

T = TypeVar("T")
R = TypeVar("R")


def write_tables(folder: Path, images: int, size: int, seed: int, workers: int) -> Iterator[int]:
    """Render a data set into the empty `folder`, yielding the number of photographs done so far.

    A table for each disease holds the images whose grade of it is told. The bytes do not depend on
    `workers` (threads): every picture has its own generators.
    """
    eyes = plan(images, size, seed)
    (folder / multi_disease.IMAGES).mkdir()
    for disease in DISEASES:
        rows = (
            (eye.name, eye.grades[disease.name], eye.group, eye.part)
            for eye in eyes
            if disease.name in eye.told
        )
        _write_csv(folder / f"{disease.name}.csv", ("image", "grade", "group", "split"), rows)

    def write(eye: Eye) -> None:
        path = folder / multi_disease.IMAGES / f"{eye.name}.jpg"
        _write_image(path, render(eye, seed).image, eye)

    yield from (done for done, _ in _in_threads(write, eyes, workers))


def write_idrid(folder: Path, images: int, size: int, seed: int, workers: int) -> Iterator[int]:
    """As `write_tables`, in the layout of IDRiD part B: grades of DR, and the risk of DME.

    The eyes have no AMD, as the layout could not tell; validation patients are in the training set.
    """
    eyes = plan(images, size, seed)
    top = folder / idrid.TOP
    (top / idrid.TABLES).mkdir(parents=True)
    for name in idrid.FOLDERS.values():
        (top / idrid.IMAGES / name).mkdir(parents=True)
    numbers = dict.fromkeys(idrid.FOLDERS, 0)
    named: list[tuple[str, str, Eye]] = []
    for eye in eyes:
        part = "test" if eye.part == "test" else "train"
        numbers[part] += 1
        grades = {**eye.grades, "AMD": 0}
        free = dataclasses.replace(eye, grades=grades)
        named.append((part, f"IDRiD_{numbers[part]:03d}", free))

    def write(image: tuple[str, str, Eye]) -> tuple[str, int, int]:
        part, name, eye = image
        picture = render(eye, seed)
        _write_image(top / idrid.IMAGES / idrid.FOLDERS[part] / f"{name}.jpg", picture.image, eye)
        return name, eye.grades["DR"], picture.dme

    rows: dict[str, list[tuple[str, int, int]]] = {part: [] for part in idrid.FOLDERS}
    for done, row in _in_threads(write, named, workers):
        rows[named[done - 1][0]].append(row)
        yield done
    for part, truth in idrid.TRUTHS.items():
        header = (idrid.IMAGE, *idrid.COLUMNS.values())
        _write_csv(top / idrid.TABLES / truth, header, rows[part])


def _in_threads(
    work: Callable[[T], R], items: Sequence[T], workers: int
) -> Iterator[tuple[int, R]]:
    """(number done, result) in the order of `items`."""
    with ThreadPoolExecutor(workers) as pool:
        try:
            yield from enumerate(pool.map(work, items), start=1)
        except BaseException:
            pool.shutdown(cancel_futures=True)  # else Ctrl-C would wait for the whole data set
            raise


def _write_image(path: Path, image: np.ndarray, eye: Eye) -> None:
    # Not cv2.imwrite, which answers a full disk with False.
    quality = [cv2.IMWRITE_JPEG_QUALITY, eye.jpeg_quality]
    done, encoded = cv2.imencode(".jpg", image[..., ::-1], quality)
    if not done:
        raise RuntimeError("OpenCV cannot encode .jpg")
    path.write_bytes(encoded.tobytes())


def _write_csv(path: Path, header: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
