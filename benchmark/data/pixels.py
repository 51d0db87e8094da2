"""All images of a data set, decoded and resized once, as one memory-mapped array of bytes.

Reading a single image in its own size is the business of `images`; batches are `pipeline`'s.
"""

import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np

from benchmark.common.cache import cache_folder
from benchmark.common.files import atomic_path
from benchmark.common.threads import available
from benchmark.data import images
from benchmark.data.dataset import Dataset
from benchmark.errors import UserError

# Raise when the same file would give other pixels: decoding, resizing or the file's own form.
VERSION = 1
# Items computed ahead of their consumer: bounds the memory, whatever the size of the data set.
WINDOW = 128
_TAIL = 4  # bytes: the CRC-32 of all pixels, after the last one

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[Iterable[Any], str, int], Iterable[Any]]


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`image` (H, W, 3) uint8 stretched to `size` (height, width).

    The aspect ratio is not kept. Pixels are averaged over areas where both sides shrink, else
    interpolated bilinearly (ours).
    """
    height, width = size
    if image.shape[:2] == size:
        return image
    shrinks = height <= image.shape[0] and width <= image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, (width, height), interpolation=method)


def open_pixels(
    dataset: Dataset, image_size: int | tuple[int, int], progress: Progress | None = None
) -> np.memmap:
    """The photographs of `dataset` in the order of its table: (N, H, W, 3) uint8 RGB, read-only.

    The first call decodes and resizes them into a file in the cache folder, named after their
    bytes, their order and the size; later calls map that file. A damaged file is made again.

    Args:
        dataset: every sample needs its photograph.
        image_size: the side of a square, or (height, width).
        progress: called as `progress(items, description, total)`, passes the items on.

    Raises:
        DataError: a photograph is missing or broken.
        UserError: the cache folder cannot be written, the disk is full, or the size is not
            positive.
    """
    size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    if len(size) != 2 or min(size) < 1:
        raise UserError(f"image size {image_size} is not positive: give the side in pixels")
    dataset.require_images()
    paths = list(dataset.table["path"])
    shape = (len(paths), *size, 3)
    key = hashlib.sha256("\n".join(map(images.content_hash, paths)).encode()).hexdigest()
    name = f"{dataset.name}-{key[:20]}-{size[0]}x{size[1]}-v{VERSION}.pixels"
    target = cache_folder() / "pixels" / name
    mapped = _sound(target, shape)
    if mapped is None:
        _write(target, paths, size, progress or silent)
        mapped = np.memmap(target, dtype=np.uint8, mode="r", shape=shape)
    return mapped


class Decoded:
    """The pixels of the data sets of one run, each opened once: opening checks every byte."""

    def __init__(self, image_size: tuple[int, int], progress: Progress | None = None) -> None:
        self._size, self._progress = image_size, progress
        self._opened: dict[str, np.memmap] = {}

    def __call__(self, dataset: Dataset) -> np.memmap:
        """As `open_pixels`, which raises what this raises."""
        name = dataset.fingerprint
        if name not in self._opened:
            self._opened[name] = open_pixels(dataset, self._size, self._progress)
        return self._opened[name]


def in_threads(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """`function` of every item, in order, computed by a thread per core a little ahead."""
    with ThreadPoolExecutor(max_workers=min(available(), 16)) as pool:
        for start in range(0, len(items), WINDOW):
            yield from pool.map(function, items[start : start + WINDOW])


def silent(items: Iterable[Any], description: str, total: int) -> Iterable[Any]:
    """The progress display that shows nothing."""
    return items


def _sound(target: Path, shape: tuple[int, ...]) -> np.memmap | None:
    """The mapped file, unless it is missing or damaged."""
    count = int(np.prod(shape))
    if not target.is_file() or target.stat().st_size != count + _TAIL:
        return None
    mapped = np.memmap(target, dtype=np.uint8, mode="r", shape=shape)
    checksum = 0
    for row in mapped:
        checksum = zlib.crc32(row, checksum)
    with target.open("rb") as handle:
        handle.seek(count)
        return mapped if int.from_bytes(handle.read(), "big") == checksum else None


def _write(target: Path, paths: list[str], size: tuple[int, int], progress: Progress) -> None:
    # Written as a stream, not through a memory map: a full disk is then an error and not a signal
    # that ends the process.
    with atomic_path(target) as temporary, temporary.open("wb") as handle:
        checksum = 0
        for image in progress(_decoded(paths, size), "decoding images", len(paths)):
            handle.write(image.data)
            checksum = zlib.crc32(image, checksum)
        handle.write(checksum.to_bytes(_TAIL, "big"))


def _decoded(paths: list[str], size: tuple[int, int]) -> Iterator[np.ndarray]:
    def load(path: str) -> np.ndarray:
        return np.ascontiguousarray(resize(images.read_image(path), size))

    yield from in_threads(load, paths)
