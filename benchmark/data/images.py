"""Reading one file: a photograph, a mask, a row of an npz archive, and the hash of its bytes.

Which files a data set has is the layouts' business; resizing and caching many is `pixels`'.
"""

import hashlib
import json
import os
import shutil
import struct
import zipfile
import zlib
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from benchmark.common.cache import cache_folder
from benchmark.common.files import atomic_path
from benchmark.errors import DataError

# Compared in lower case.
SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".png",
    ".bmp",
    ".tif",
    ".tiff",
    ".webp",
    ".gif",
    ".ppm",
    ".pgm",
    ".jp2",
)
# Only these decoders are let near an untrusted file: some others of Pillow start programs.
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF", "PPM", "JPEG2000")
# What a decoder raises on a broken file or one of too many pixels; Pillow's own
# UnidentifiedImageError is an OSError.
BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error),
    Image.DecompressionBombError,
)
ABSENT = "absent"  # the hash of a photograph that is not on this machine
_ORIENTATION = 0x0112  # EXIF tag


def read_image(path: str) -> np.ndarray:
    """The photograph at `path`: (H, W, 3) uint8, RGB.

    The content decides the format, whatever the suffix says. Our choices: the EXIF orientation is
    applied (as viewers and annotation tools do), transparency is laid over white, 16-bit values
    keep their high byte, colour profiles are ignored, an animation gives its first frame.

    Args:
        path: an image file, or "FILE.npz#ARRAY/ROW" for one row of an npz archive.

    Raises:
        DataError: missing, empty, truncated, not an image, or of a pixel type without a defined
            white (floating point, 32 bit).
    """
    if is_row(path):
        return _as_rgb(_read_row(path), path)
    image = _decode(path)
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _as_rgb((_sixteen_bits(image, path) >> 8).astype(np.uint8), path)
    if image.mode == "F":
        raise DataError(f"{path} holds floating point pixels: save it as an 8-bit image")
    # Palette files and plain RGB ones carry their transparency beside the pixels.
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        colours = image.convert("RGBA")
        white = Image.new("RGBA", colours.size, "white")
        return np.array(Image.alpha_composite(white, colours).convert("RGB"))
    return np.array(image.convert("RGB"))


def read_mask(path: str) -> np.ndarray:
    """The mask at `path`: (H, W) bool, True where the expert marked.

    Marked is what is brighter than half of full scale (> 127 of 255) in any channel. Where nothing
    is, and all pixels above zero have one value, that value marks: masks of 0 and 1, or of 0 and
    76, which is pure red turned grey. Both rules are ours.

    Raises:
        DataError: as `read_image`.
    """
    image = _decode(path)
    if image.mode == "I" or image.mode.startswith("I;16"):
        values, half = _sixteen_bits(image, path), 32767
    elif image.mode == "F":
        raise DataError(f"{path} holds floating point pixels: save it as an 8-bit mask")
    else:
        grey = image.mode in ("1", "L")
        values = np.array(image.convert("L" if grey else "RGB"))
        values, half = values if grey else values.max(axis=2), 127
    peak = values.max(initial=0)
    if peak <= half and (values[values > 0] == peak).all():
        return values > 0
    return values > half


def image_size(path: str) -> tuple[int, int]:
    """(height, width) of the photograph at `path`, upright, from its header alone.

    Raises:
        DataError: missing, empty or not an image. A truncated body is not noticed.
    """
    if is_row(path):
        file, array, _ = _split_row(path)
        height, width = read_array(file, array).shape[1:3]
        return height, width
    try:
        with Image.open(path, formats=FORMATS) as image:
            turned = _orientation(image) in (5, 6, 7, 8)  # the four that swap height and width
            width, height = image.size
    except BROKEN as error:
        raise _fault(path, error) from error
    return (width, height) if turned else (height, width)


def require_same_size(
    mask: str, mask_size: tuple[int, ...], image: str, size: tuple[int, ...]
) -> None:
    """Refuse a mask that does not fit its photograph; sizes are (height, width).

    Raises:
        DataError: naming both files and both sizes.
    """
    if mask_size != size:
        raise DataError(
            f"{mask} is {mask_size[1]} x {mask_size[0]} (width x height), but {image} is"
            f" {size[1]} x {size[0]}: a mask needs the size of its image"
        )


def read_array(file: Path, name: str) -> np.ndarray:
    """One array of an npz archive, memory-mapped and read-only; pickled arrays are refused.

    An archive cannot be mapped itself, so the array is unpacked once into the cache folder.

    Raises:
        DataError: not an npz archive, no such array, a pickled or a damaged one.
    """
    try:
        state = file.stat()
    except OSError as error:
        raise _fault(str(file), error) from error
    return _mapped(os.path.abspath(file), name, state.st_size, state.st_mtime_ns)


def array_names(file: Path) -> list[str]:
    """The names of the arrays in an npz archive.

    Raises:
        DataError: not an npz archive.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            return [entry.removesuffix(".npy") for entry in archive.namelist()]
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{file} is not an npz archive ({error}): download it again") from error


def content_hash(path: str) -> str:
    """SHA-256 of the bytes of a file, or of one row of an npz array; "absent" for no path.

    The hashes of files are remembered in the cache folder under path, size and time of change, so
    that the fingerprint of a large data set reads every file only once.

    Raises:
        DataError: the file cannot be read.
    """
    if not path:
        return ABSENT
    if is_row(path):
        return hashlib.sha256(np.ascontiguousarray(_read_row(path)).data).hexdigest()
    try:
        state = os.stat(path)
        key = json.dumps([os.path.abspath(path), state.st_size, state.st_mtime_ns])
        remembered = _HASHES.get(key)
        if remembered is None:
            with open(path, "rb") as handle:
                remembered = hashlib.file_digest(handle, "sha256").hexdigest()
            _HASHES.put(key, remembered)
    except OSError as error:
        raise _fault(path, error) from error
    return remembered


def is_row(path: str) -> bool:
    """Whether `path` has the form "FILE.npz#ARRAY/ROW"."""
    return ".npz#" in path


def _decode(path: str) -> Image.Image:
    try:
        with Image.open(path, formats=FORMATS) as image:
            image.load()  # all of it: this is where a truncated file is found
            if _orientation(image) == 1:
                return image
            return ImageOps.exif_transpose(image)
    except BROKEN as error:
        raise _fault(path, error) from error


def _orientation(image: Image.Image) -> int:
    # A photograph with a damaged EXIF block is still a photograph.
    with suppress(SyntaxError, ValueError, TypeError, struct.error):
        return image.getexif().get(_ORIENTATION, 1)
    return 1


def _sixteen_bits(image: Image.Image, path: str) -> np.ndarray:
    values = np.array(image)
    if values.size and (values.max() > 65535 or values.min() < 0):
        raise DataError(f"{path} holds 32-bit pixels: save it with 8 or 16 bits per channel")
    return values.astype(np.uint16)


def _as_rgb(values: np.ndarray, path: str) -> np.ndarray:
    if values.dtype != np.uint8:
        raise DataError(f"{path} holds {values.dtype} values: images in an npz must be uint8")
    if values.ndim == 2:
        return np.repeat(values[:, :, np.newaxis], 3, axis=2)
    if values.ndim == 3 and values.shape[2] == 3:
        return np.array(values)
    raise DataError(f"{path} has the shape {values.shape}: expected (H, W) or (H, W, 3)")


def _fault(path: str, error: Exception) -> DataError:
    """What is wrong with a file that could not be opened or decoded, and what to do."""
    if isinstance(error, FileNotFoundError):
        return DataError(f"{path} does not exist: put the file back or remove its row")
    remedy = "replace it by an intact copy"
    with suppress(OSError):
        if os.path.isfile(path) and os.path.getsize(path) == 0:
            return DataError(f"{path} is empty (0 bytes): {remedy}")
    if isinstance(error, UnidentifiedImageError):
        return DataError(
            f"{path} is not an image of a known kind ({', '.join(FORMATS)}): {remedy} or remove it"
        )
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return DataError(f"{path} cannot be read ({' '.join(reason.split())}): {remedy}")


def _split_row(path: str) -> tuple[Path, str, int]:
    file, _, rest = path.rpartition("#")
    array, _, row = rest.rpartition("/")
    return Path(file), array, int(row)


def _read_row(path: str) -> np.ndarray:
    file, array, row = _split_row(path)
    rows = read_array(file, array)
    if row >= len(rows):
        raise DataError(f"{path} does not exist: the array has {len(rows)} rows")
    return rows[row]


@lru_cache(maxsize=8)
def _mapped(file: str, name: str, size: int, changed: int) -> np.ndarray:
    key = hashlib.sha256(json.dumps([file, size, changed, name]).encode()).hexdigest()
    unpacked = cache_folder() / "arrays" / f"{key[:32]}.npy"
    try:
        with zipfile.ZipFile(file) as archive:
            entry = archive.getinfo(f"{name}.npy")
            if not unpacked.exists() or unpacked.stat().st_size != entry.file_size:
                with (
                    atomic_path(unpacked) as temporary,
                    archive.open(entry) as source,
                    temporary.open("wb") as target,
                ):
                    shutil.copyfileobj(source, target, 1 << 20)
        return np.load(unpacked, mmap_mode="r", allow_pickle=False)
    except KeyError:
        raise DataError(
            f"{file} has no array {name!r}; it has {', '.join(array_names(Path(file)))}"
        ) from None
    except (zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{file} is not a sound npz archive ({error}): download it again") from None
    except ValueError as error:
        raise DataError(
            f"{file}: the array {name!r} cannot be mapped ({error}): save it as plain numbers"
        ) from None


class _HashFile:
    """Hashes remembered across processes: a text file to which every process only appends."""

    def __init__(self) -> None:
        self._known: dict[Path, dict[str, str]] = {}
        self._lock = Lock()

    def get(self, key: str) -> str | None:
        with self._lock:
            return self._load().get(key)

    def put(self, key: str, value: str) -> None:
        with self._lock:
            self._load()[key] = value
            # A cache that cannot be written costs time only.
            with suppress(OSError):
                self._file().parent.mkdir(parents=True, exist_ok=True)
                # One short write in append mode is not torn by other processes.
                with self._file().open("a", encoding="utf-8") as handle:
                    handle.write(f"{value} {key}\n")

    def _file(self) -> Path:
        return cache_folder() / "hashes-v1.txt"

    def _load(self) -> dict[str, str]:
        file = self._file()
        if file not in self._known:
            known: dict[str, str] = {}
            with suppress(OSError):
                for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
                    value, _, key = line.partition(" ")
                    if len(value) == 64 and key.endswith("]"):  # a cut-off line is no entry
                        known[key] = value
            self._known[file] = known
        return self._known[file]


_HASHES = _HashFile()
