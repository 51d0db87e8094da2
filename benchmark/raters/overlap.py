"""Exact overlaps of the masks of one image: a file per mask in, scores of its readers out.

Means over images and their intervals are `agreement`'s. The definitions are those of
`benchmark.metrics.maps`, which the tests hold this faster way to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmark.data import images
from benchmark.metrics.maps.fuzzy import scores_of_sums

IMAGE, CHARACTERISTIC, REPEAT = "image", "characteristic", "repeat"
SHARE, SUM = "share", "sum"  # the rules of `benchmark.metrics.maps.fuse`
DREW, READ = "drew", "read"  # who is counted: those who marked something, or every reader

_PNG = b"\x89PNG\r\n\x1a\n"
_END = b"IEND\xaeB`\x82"


class Mask(NamedTuple):
    """One mask file and who drew it."""

    annotator: str
    session: int
    characteristic: str
    path: str


@dataclass(frozen=True)
class Reading:
    """All that was marked on one image, and who read it.

    Attributes:
        sample_id: the image.
        photograph: "" where it is not on this machine.
        masks: at least one.
        readers: who read the image in the first and in the second session, sorted; holds whoever
            drew in that session.
    """

    sample_id: str
    photograph: str
    masks: tuple[Mask, ...]
    readers: tuple[tuple[str, ...], tuple[str, ...]]


class Pair(NamedTuple):
    """Two annotators' maps of one image compared; in a repeat, one annotator's two sessions.

    `drew` counts those of the two who marked something; the scores are NaN where neither did.
    """

    id: str
    level: str
    characteristic: str
    annotator_1: str
    annotator_2: str
    drew: int
    f1: float
    iou: float


class Other(NamedTuple):
    """One annotator's map of one image against the map of the others, fused by `rule`."""

    id: str
    annotator: str
    rule: str
    counted: str
    f1: float
    iou: float


@dataclass(frozen=True)
class Overlaps:
    """What one image gives.

    `empty` names the mask files without a marked pixel. `drew` are the annotators who marked
    something in the first session, `read` all who read the image then.
    """

    pairs: tuple[Pair, ...]
    others: tuple[Other, ...]
    drew: tuple[str, ...]
    read: tuple[str, ...]
    empty: tuple[str, ...]


def overlaps(reading: Reading) -> Overlaps:
    """Score everybody's first reading of one image against the others', and against the second.

    Raises:
        DataError: a mask is unreadable or of another size than the photograph.
    """
    marks, pixels = stretches([mask.path for mask in reading.masks], reading.photograph)
    first, second = reading.readers
    unions = _Unions(reading.masks, marks)
    everything = {name: unions.of(name, 1) for name in first}
    pairs = _pairs(reading.sample_id, IMAGE, "", everything, pixels)
    for characteristic in sorted({m.characteristic for m in reading.masks if m.session == 1}):
        single = {name: unions.of(name, 1, characteristic) for name in first}
        scored = _pairs(reading.sample_id, CHARACTERISTIC, characteristic, single, pixels)
        pairs += [pair for pair in scored if pair.drew]
    for name in second:
        if name in everything:
            twice = {"first": everything[name], "second": unions.of(name, 2)}
            (pair,) = _pairs(reading.sample_id, REPEAT, "", twice, pixels)
            pairs.append(pair._replace(annotator_1=name, annotator_2=name))
    drew = tuple(name for name, union in everything.items() if union.any())
    counts = {name: unions.count(name) for name in drew}
    others = _others(reading.sample_id, everything, counts, pixels)
    empty = tuple(m.path for n, m in enumerate(reading.masks) if not marks[:, n].any())
    return Overlaps(tuple(pairs), tuple(others), drew, first, empty)


def stretches(
    paths: Sequence[str], photograph: str = ""
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """The image as runs of pixels, row after row, that lie in the same masks.

    Outlined areas have few runs, so whatever is counted on runs instead of pixels is exact and
    costs next to nothing; what remains is decoding, once for each mask.

    Args:
        paths: M masks, at least one.
        photograph: of the size that they need to have; "" is the first mask's.

    Returns:
        Which masks each run lies in, (R, M) bool, and its number of pixels, (R,).

    Raises:
        DataError: a mask is unreadable or of another size.
    """
    size = images.image_size(photograph) if photograph else None
    # Bit m of a pixel's bytes says whether mask m marks it.
    codes: list[NDArray[np.uint8]] = []
    for number, path in enumerate(paths):
        bits = _bits(path, 1 << number % 8)
        size = size or bits.shape
        images.require_same_size(path, bits.shape, photograph or paths[0], size)
        if number % 8:
            cv2.bitwise_or(codes[-1], bits, dst=codes[-1])
        else:
            codes.append(bits)
    flat = [code.ravel() for code in codes]
    changes = flat[0][1:] != flat[0][:-1]
    for code in flat[1:]:
        changes |= code[1:] != code[:-1]
    starts = np.concatenate([[0], np.flatnonzero(changes) + 1])
    pixels = np.diff(starts, append=flat[0].size)
    at_starts = np.stack([code[starts] for code in flat], axis=1)
    marks = np.unpackbits(at_starts, axis=1, count=len(paths), bitorder="little")
    return marks.view(np.bool_), pixels


def _bits(path: str, bit: int) -> NDArray[np.uint8]:
    """`bit` where the mask marks a pixel, else 0: (H, W). The pixels are `images.read_mask`'s."""
    values = _plain(path)
    if values is not None:
        bits = cv2.threshold(values, 127, bit, cv2.THRESH_BINARY)[1]
        if cv2.countNonZero(bits):
            return bits
    # Rare: another kind of file, a mask of zeros and ones, an empty one, a broken one.
    return images.read_mask(path).astype(np.uint8) * np.uint8(bit)


def _plain(path: str) -> NDArray[np.uint8] | None:
    """An 8-bit grey PNG without orientation by OpenCV, a third faster; None for all else."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return None
    # IHDR comes first: width and height in bytes 16 to 23, then bit depth 8 and colour type 0.
    if data[:8] != _PNG or data[24:26] != b"\x08\x00" or not data.endswith(_END):
        return None
    if b"eXIf" in data:
        return None
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)


class _Unions:
    """The masks of one image put together by annotator."""

    def __init__(self, masks: Sequence[Mask], marks: NDArray[np.bool_]) -> None:
        self._masks = masks
        self._marks = marks

    def of(self, annotator: str, session: int, characteristic: str | None = None) -> np.ndarray:
        """What the annotator marked, as this characteristic or (None) as any: (R,) bool."""
        columns = self._columns(annotator, session, characteristic)
        return np.asarray(self._marks[:, columns].any(axis=1))

    def count(self, annotator: str) -> NDArray[np.int64]:
        """How many of the annotator's masks of the first session lie on each run: (R,)."""
        return self._marks[:, self._columns(annotator, 1)].sum(axis=1, dtype=np.int64)

    def _columns(
        self, annotator: str, session: int, characteristic: str | None = None
    ) -> list[int]:
        return [
            number
            for number, mask in enumerate(self._masks)
            if (mask.annotator, mask.session) == (annotator, session)
            and characteristic in (None, mask.characteristic)
        ]


def _pairs(
    sample_id: str,
    level: str,
    characteristic: str,
    unions: Mapping[str, NDArray[np.bool_]],
    pixels: NDArray[np.int64],
) -> list[Pair]:
    names = sorted(unions)
    common = _intersections([unions[name] for name in names], pixels)
    area = np.diagonal(common)
    f1, iou = _scores(common, area[:, None], area, pixels)
    pairs = []
    for a, b in combinations(range(len(names)), 2):
        drew = int(area[a] > 0) + int(area[b] > 0)
        scores = (float(f1[a, b]), float(iou[a, b]))
        pairs.append(Pair(sample_id, level, characteristic, names[a], names[b], drew, *scores))
    return pairs


def _others(
    sample_id: str,
    unions: Mapping[str, NDArray[np.bool_]],
    counts: Mapping[str, NDArray[np.int64]],
    pixels: NDArray[np.int64],
) -> list[Other]:
    """Each annotator against the others, by both rules, among those who drew and all readers."""
    found = []
    for counted, names in ((DREW, sorted(counts)), (READ, sorted(unions))):
        if len(names) < 2:
            continue
        common = _intersections([unions[name] for name in names], pixels)
        area = np.diagonal(common)
        total = np.sum([counts[name] for name in names if name in counts], axis=0)
        rest = len(names) - 1
        # min(own, share) is the share where own is 1, so it sums to the overlaps' mean.
        both = (common.sum(axis=1) - area) / rest
        f1, iou = _scores(both, (area.sum() - area) / rest, area, pixels)
        for a, name in enumerate(names):
            found.append(Other(sample_id, name, SHARE, counted, float(f1[a]), float(iou[a])))
            own = counts.get(name, np.zeros_like(pixels))
            found.append(
                Other(sample_id, name, SUM, counted, *_sum_scores(own, total - own, pixels))
            )
    return found


def _sum_scores(
    own: NDArray[np.int64], others: NDArray[np.int64], pixels: NDArray[np.int64]
) -> tuple[float, float]:
    t, p = (count / max(1, count.max()) for count in (others, own))
    f1, iou = _scores(np.minimum(t, p) @ pixels, t @ pixels, p @ pixels, pixels)
    return float(f1), float(iou)


def _intersections(
    unions: Sequence[NDArray[np.bool_]], pixels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The pixels that two unions have in common, for every two: (P, P); exact below 2**53."""
    layers = np.array(unions, dtype=np.float64).reshape(-1, len(pixels))
    return (layers * pixels) @ layers.T


def _scores(
    both: ArrayLike, reference: ArrayLike, own: ArrayLike, pixels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fuzzy F1 and IoU from the sums of the minimum and of each map; NaN for two empty maps."""
    found = scores_of_sums(both, reference, own, int(pixels.sum()))
    return found["f1"], found["iou"]
