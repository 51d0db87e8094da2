"""Near-identical photographs: the same picture saved again, resized, trimmed, mirrored or turned.

Which parts of a split must not share such pictures is the business of `leaks`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd

from benchmark.data.pixels import Progress, silent

# All that follows is ours, measured as told in `find`.
THRESHOLD = 0.965
SMALLEST = 28  # pixels: the side of the fine thumbnails
# Correlation of the colour thumbnails below which a pair is not looked at any further.
COARSE = 0.95
# Similarity before the second alignment below which there is none.
SCREEN = 0.88
# Grey levels: images whose colour thumbnail varies less show nothing to compare.
FLAT = 1.0
_COARSE_SIDE = 16
# Grey levels: stronger detail than this counts hardly more, so that a dark frame or one dark spot
# does not decide alone.
_KNEE = 2.0
_FARTHEST = 0.8  # pixels of the fine thumbnail that one alignment may move
_GREY = np.array([0.299, 0.587, 0.114], np.float32)
_ORIENTATIONS = 8
# Images per side of a block, and pairs aligned at once: they bound the memory to some 100 MB.
_BLOCK = 2048
_PAIRS = 1024
# Directions in which most of what colour thumbnails show varies: pairs of large sets are first
# compared along these, a tenth of the work.
_DIRECTIONS = 64
_ROUNDING = 1e-4  # more than float32 errs in a correlation
# Share of a block's pairs above which comparing them all is faster than picking them.
_CROWDED = 0.01


@dataclass(frozen=True, eq=False)
class Thumbnails:
    """What is compared of N images; 768 bytes of memory each, the rest is made when it is needed.

    Attributes:
        colour: (N, 16, 16, 3) uint8.
        pixels: (M, H, W, 3) uint8, usually memory-mapped.
        rows: (N,) int64, which rows of `pixels` the images are.
    """

    colour: np.ndarray
    pixels: np.ndarray
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.colour)

    def take(self, places: Sequence[int] | np.ndarray) -> "Thumbnails":
        """Those at some places, in that order."""
        return Thumbnails(self.colour[places], self.pixels, self.rows[places])

    def fine(self, places: np.ndarray) -> np.ndarray:
        """Those at P places, grey and slightly smoothed: (P, 28, 28) float32."""
        shown, position = np.unique(places, return_inverse=True)
        fine = np.empty((len(shown), SMALLEST, SMALLEST), np.float32)
        for smooth, row in zip(fine, self.rows[shown], strict=True):
            small = _shrunk(np.asarray(self.pixels[row]), SMALLEST) @ _GREY
            # (1 2 1) / 4 both ways: what is left can be shifted by fractions of a pixel.
            smooth[:] = cv2.GaussianBlur(small, (3, 3), 0.85, borderType=cv2.BORDER_REPLICATE)
        return fine[position]


def thumbnails(
    pixels: np.ndarray, rows: Sequence[int] | np.ndarray, progress: Progress | None = None
) -> Thumbnails:
    """The thumbnails of some rows of `pixels`, (N, H, W, 3) uint8, both sides 28 or more."""
    if min(pixels.shape[1:3]) < SMALLEST:
        raise ValueError(f"pixels of {pixels.shape[1:3]} are below {SMALLEST} x {SMALLEST}")
    colour = np.empty((len(rows), _COARSE_SIDE, _COARSE_SIDE, 3), np.uint8)
    watch = progress or silent
    for position, row in enumerate(watch(rows, "making thumbnails", len(rows))):
        colour[position] = _shrunk(np.asarray(pixels[row]), _COARSE_SIDE)
    return Thumbnails(colour, pixels, np.asarray(rows, np.int64))


def find(first: Thumbnails, second: Thumbnails, progress: Progress | None = None) -> pd.DataFrame:
    """Pairs of near-identical images, the most similar first.

    A pair is compared in eight orientations (four quarter turns, mirrored or not). Where the
    colour thumbnails, each channel without its mean, correlate above 0.95, the fine ones are
    compared as `similarity` says; 0.965 and more is the same photograph. The thumbnails are
    stretched to squares, so a quarter turn is found in pictures that were square or are turned
    as a whole.

    Measured with this code: of all 50 million pairs of DermaMNIST (28 pixels), those of different
    lesions reach 0.85, but for three at 0.97 to 1.00 that show one lesion under two names
    (ISIC_0025226 and ISIC_0030074, ISIC_0027027 and ISIC_0029036, ISIC_0027636 and ISIC_0027994);
    in HAM10000's lesions with several images (200 x 150) they reach 0.91. Different fundus
    photographs of IDRiD share their frame and reach 0.959; one pair above, 0.967, is one eye taken
    twice (IDRiD_013 and IDRiD_397). Copies made of 2,595 of these photographs (JPEG of quality 50
    or 75, 100 pixels and back, 2 % cut off at random or at one corner, brightness times 0.9 or 1.1,
    and all of it together) reach 0.975 or more in 99.5 of 100 cases; at least 99.8 % of each kind
    are found. So are all 1,900 training images of an independent copy of ISIC 2018 Task 3
    (224 x 224) in DermaMNIST. Two photographs of one lesion are seldom as near: 128 of
    DermaMNIST's pairs.

    Flat images (standard deviation of the thumbnail below one grey level) are like nothing, not
    even each other: whether they are the same picture cannot be seen.

    Args:
        first: of N images, from `thumbnails`.
        second: of M images; the ones that are turned.
        progress: called as `progress(items, description, total)`, passes the items on.

    Returns:
        Columns `first`, `second` (positions) and `similarity` (in [0.965, 1]).
    """
    blocks = list(_blocks(len(first), len(second)))
    watch = progress or silent
    close_in = _Close(first.colour, second.colour)
    found = []
    for orientation, rows, columns in watch(blocks, "comparing images", len(blocks)):
        close = close_in(orientation, rows, columns)
        for start in range(0, len(close), _PAIRS):
            a, b = close[start : start + _PAIRS].T
            value = similarity(first.fine(a), _turned(second.fine(b), orientation))
            same = value >= THRESHOLD
            found.append(np.column_stack([a[same], b[same], value[same]]))
    pairs = pd.DataFrame(
        np.concatenate([np.empty((0, 3)), *found]), columns=["first", "second", "similarity"]
    ).astype({"first": int, "second": int})
    # A round lesion may match in several orientations.
    pairs = pairs.sort_values(["similarity", "first", "second"], ascending=[False, True, True])
    return pairs.drop_duplicates(["first", "second"]).reset_index(drop=True)


def similarity(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """How alike P pairs of fine thumbnails are, each (P, 28, 28) float32: (P,) float32, up to 1.

    One image is shifted and scaled to fit the other, by at most 1.6 of the 28 pixels, and the
    correlation of their details is taken; the better of the two directions counts. The movement is
    solved for linearly, twice: the detail is fitted by the other's and by its derivatives under the
    movements, the tangent distance of Simard, LeCun and Denker (NIPS 5, 1993) with ours as the
    set of movements. Pairs that are far apart after the first fit get no second one.
    """
    return np.maximum(_directed(first, second), _directed(second, first))


def _directed(moving: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    target = _detail(fixed)
    value, movement = _fit(_detail(moving), target)
    near = np.flatnonzero(value > SCREEN)
    if near.size:
        moved = _moved(moving[near], movement[near])
        value[near], _ = _fit(_detail(moved), target[near])
    return value


def _blocks(rows: int, columns: int) -> Iterator[tuple[int, slice, slice]]:
    for orientation in range(_ORIENTATIONS):
        for row in range(0, rows, _BLOCK):
            for column in range(0, columns, _BLOCK):
                yield orientation, slice(row, row + _BLOCK), slice(column, column + _BLOCK)


def _shrunk(image: np.ndarray, side: int) -> np.ndarray:
    return cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)


def _turned(images: np.ndarray, orientation: int) -> np.ndarray:
    """All images, (N, S, S, ...), turned by `orientation` % 4 quarters, mirrored from 4 on."""
    images = np.rot90(images, orientation % 4, axes=(1, 2))
    return images[:, :, ::-1] if orientation >= 4 else images


def _features(colour: np.ndarray) -> np.ndarray:
    """(N, 768) float32 whose products are correlations; zero rows for flat images."""
    centred = colour.astype(np.float32)
    centred -= centred.mean(axis=(1, 2), keepdims=True)
    centred = centred.reshape(len(colour), 3 * _COARSE_SIDE**2)
    norm = np.linalg.norm(centred, axis=1, keepdims=True)
    flat = norm < FLAT * np.sqrt(centred.shape[1])
    return np.where(flat, 0, centred / np.where(flat, 1, norm))


class _Close:
    """Finds the pairs whose colour thumbnails correlate above `COARSE`.

    Where a block is not all, its pairs are screened first. Of unit vectors x and y, divided into
    what lies along some orthonormal directions and the rest, x.y is at most the product of the
    first parts plus the product of the lengths of the rests: pairs for which this is too small are
    not close, whatever the directions are. They are the principal ones of a sample.
    """

    def __init__(self, first: np.ndarray, second: np.ndarray) -> None:
        self._first, self._second = first, second
        self._orientation = -1
        self._screened = max(len(first), len(second)) > _BLOCK
        if self._screened:
            sample = _features(first[:: -(-len(first) // _BLOCK)])
            self._directions = np.linalg.eigh(sample.T @ sample)[1][:, -_DIRECTIONS:]
            self._short = self._shortened(first)

    def __call__(self, orientation: int, rows: slice, columns: slice) -> np.ndarray:
        """(P, 2) places in `first` and in `second`, turned; of the block, row by row."""
        if orientation != self._orientation:
            self._turned, self._orientation = _turned(self._second, orientation), orientation
            if self._screened:
                self._other_short = self._shortened(self._turned)
        if not self._screened:
            return self._all(rows, columns)
        bound = self._short[rows] @ self._other_short[columns].T
        # Most rows have none: the largest of each is found faster than all that are large.
        some = np.flatnonzero(bound.max(axis=1) > COARSE - _ROUNDING)
        likely = np.argwhere(bound[some] > COARSE - _ROUNDING)
        if len(likely) > _CROWDED * bound.size:
            return self._all(rows, columns)
        likely[:, 0] = some[likely[:, 0]]
        likely += (rows.start, columns.start)
        kept = [
            part[self._correlation(part) > COARSE]
            for part in (likely[k : k + _BLOCK] for k in range(0, len(likely), _BLOCK))
        ]
        return np.concatenate([likely[:0], *kept])

    def _all(self, rows: slice, columns: slice) -> np.ndarray:
        products = _features(self._first[rows]) @ _features(self._turned[columns]).T
        close = np.argwhere(products > COARSE)
        close += (rows.start, columns.start)
        return close

    def _correlation(self, pairs: np.ndarray) -> np.ndarray:
        a, b = pairs.T
        return np.einsum("pf,pf->p", _features(self._first[a]), _features(self._turned[b]))

    def _shortened(self, colour: np.ndarray) -> np.ndarray:
        """(N, 65) float32: features along the directions, then the length of the rest."""
        short = np.empty((len(colour), _DIRECTIONS + 1), np.float32)
        for start in range(0, len(colour), _BLOCK):
            features = _features(colour[start : start + _BLOCK])
            part = short[start : start + _BLOCK]
            part[:, :-1] = features @ self._directions
            rest = (features**2).sum(axis=1) - (part[:, :-1] ** 2).sum(axis=1)
            part[:, -1] = np.sqrt(np.maximum(rest, 0))
        return short


def _detail(fine: np.ndarray) -> np.ndarray:
    """What differs from the surroundings (5 x 5), strong differences compressed to (-1, 1)."""
    padded = np.pad(fine, ((0, 0), (2, 2), (2, 2)), mode="reflect")
    side = fine.shape[1]
    rows = np.mean([padded[:, k : k + side] for k in range(5)], axis=0)
    around = np.mean([rows[:, :, k : k + side] for k in range(5)], axis=0)
    difference = fine - around
    return difference / (np.abs(difference) + _KNEE)


def _fit(moving: np.ndarray, fixed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Correlation after the best small movement, (P,), and the movement, (P, 3) float32.

    The movement is (down, right, outwards), in pixels; outwards is over the whole side.
    """
    inner = slice(1, -1)  # the derivatives at the border are one-sided
    down, right = np.gradient(moving, axis=(1, 2))
    place = (np.arange(moving.shape[1], dtype=np.float32) / (moving.shape[1] - 1)) - 0.5
    outwards = down * place[:, np.newaxis] + right * place
    basis = np.stack([moving, down, right, outwards], axis=1)[:, :, inner, inner]
    basis = basis.reshape(len(moving), 4, -1)
    target = fixed[:, inner, inner].reshape(len(fixed), -1, 1)
    gram = basis @ basis.transpose(0, 2, 1)
    # A small ridge: where an image hardly changes along a movement, there is no such movement.
    ridge = 1e-3 * np.trace(gram, axis1=1, axis2=2) / 4 + 1e-6
    weights = np.linalg.solve(
        gram + ridge[:, None, None] * np.eye(4, dtype=np.float32), basis @ target
    )
    scale = np.maximum(weights[:, :1], 1e-3)  # an inverted image is no copy
    movement = np.clip(weights[:, 1:] / scale, -_FARTHEST, _FARTHEST)[:, :, 0]
    fitted = basis[:, 0] + (movement[:, np.newaxis] @ basis[:, 1:])[:, 0]
    norms = np.linalg.norm(fitted, axis=1) * np.linalg.norm(target[:, :, 0], axis=1)
    products = (fitted[:, np.newaxis] @ target)[:, 0, 0]
    return products / np.maximum(norms, 1e-6), movement


def _moved(images: np.ndarray, movement: np.ndarray) -> np.ndarray:
    """Each image sampled where the movement leads."""
    last = images.shape[1] - 1
    result = np.empty_like(images)
    for position, (image, (down, right, outwards)) in enumerate(zip(images, movement, strict=True)):
        zoom = outwards / last
        matrix = np.array(
            [[1 + zoom, 0, right - zoom * last / 2], [0, 1 + zoom, down - zoom * last / 2]],
            np.float32,
        )
        result[position] = cv2.warpAffine(
            image,
            matrix,
            image.shape[::-1],
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    return result
