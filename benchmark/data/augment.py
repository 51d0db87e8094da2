"""Random variants of one training image: a single warp, then its colours.

Everything that decides a byte is numpy in float32 or an OpenCV function on bytes, and a test holds
that the result does not depend on where an image lies in memory.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from benchmark.recipe import Augmentation

_BORDERS = {"reflect": cv2.BORDER_REFLECT_101, "nearest": cv2.BORDER_REPLICATE}
# Pixels whose hue is turned at a time: the many temporary arrays stay in the processor's cache.
_BLOCK = 16384
_NO_CROP = ((1.0, 1.0), (1.0, 1.0))
# As in FixMatch's code (arXiv 2001.07685).
_GREY = 127


class Draws(NamedTuple):
    """The random numbers of one variant, each uniform in [0, 1), in the order they are drawn.

    All are drawn whether or not they are used, so switching one range off leaves the others; new
    ones go to the end, so that earlier records can be repeated.
    """

    flip_x: float
    flip_y: float
    turn: float
    lean: float
    zoom_x: float
    zoom_y: float
    light: float
    share: float
    ratio: float
    left: float
    top: float
    jitter: float
    brightness: float
    contrast: float
    saturation: float
    hue: float
    rank_brightness: float
    rank_contrast: float
    rank_saturation: float
    rank_hue: float
    grey: float
    blur: float
    sigma: float
    side: float
    square_x: float
    square_y: float


def augment(image: np.ndarray, ranges: Augmentation, generator: np.random.Generator) -> np.ndarray:
    """One random variant of `image`: (H, W, 3) uint8 RGB in and out.

    In this order: random resized crop, zoom and flips, shear, rotation, all in one warp; colour
    jitter, greyscale, blur; the brightness gain; cutout. Bytes are rounded after the warp, after
    the colour part as a whole and after the gain (ours).
    """
    draws = Draws(*generator.random(len(Draws._fields)).tolist())
    height, width = image.shape[:2]
    image = cv2.warpAffine(
        image,
        _warp(ranges, draws, height, width),
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderMode=_BORDERS[ranges.border],
    )
    image = _recolour(image, ranges, draws)
    low, high = ranges.brightness
    factor = low + draws.light * (high - low)
    image = image if factor == 1 else cv2.convertScaleAbs(image, alpha=factor)
    if any(ranges.cutout):
        _cut_out(image, ranges.cutout, draws)
    return image


def _warp(ranges: Augmentation, draws: Draws, height: int, width: int) -> np.ndarray:
    """Where a pixel of the image goes: (2, 3) float64, in coordinates of pixel centres."""
    angle, shear = np.deg2rad(
        [(2 * draws.turn - 1) * ranges.rotation, (2 * draws.lean - 1) * ranges.shear]
    )
    scale_x = 1 + (2 * draws.zoom_x - 1) * ranges.zoom
    scale_y = 1 + (2 * draws.zoom_y - 1) * ranges.zoom
    if ranges.horizontal_flip and draws.flip_x < 0.5:
        scale_x = -scale_x
    if ranges.vertical_flip and draws.flip_y < 0.5:
        scale_y = -scale_y
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = rotation @ np.array([[1, -np.sin(shear)], [0, np.cos(shear)]])
    linear = linear @ np.diag([scale_x, scale_y])
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    warp = np.column_stack([linear, centre - linear @ centre])
    if (ranges.crop, ranges.crop_ratio) == _NO_CROP:
        return warp
    return warp @ np.vstack([_crop(ranges, draws, height, width), [0, 0, 1]])


def _crop(ranges: Augmentation, draws: Draws, height: int, width: int) -> np.ndarray:
    """The stretch of a random rectangle to the full frame: (2, 3) float64.

    Share of the area and log of width / height are uniform, as in torchvision's RandomResizedCrop.
    A side longer than the image is cut to it, where torchvision draws again; corners need not lie
    on whole pixels (both ours).
    """
    low, high = ranges.crop
    area = (low + draws.share * (high - low)) * height * width
    low, high = ranges.crop_ratio
    ratio = low * (high / low) ** draws.ratio
    part_width = min(math.sqrt(area * ratio), width)
    part_height = min(math.sqrt(area / ratio), height)
    x, y = width / part_width, height / part_height
    left, top = draws.left * (width - part_width), draws.top * (height - part_height)
    # Borders lie half a pixel outside the centres of the outermost pixels.
    return np.array(
        [[x, 0, x * (0.5 - left) - 0.5], [0, y, y * (0.5 - top) - 0.5]],
    )


def _recolour(image: np.ndarray, ranges: Augmentation, draws: Draws) -> np.ndarray:
    """Jitter, greyscale and blur, each if it was drawn: (H, W, 3) uint8 in and out."""
    jitters = any(ranges.jitter) and draws.jitter < ranges.jitter_probability
    turns_grey = draws.grey < ranges.greyscale_probability
    blurs = draws.blur < ranges.blur_probability
    if not (jitters or turns_grey or blurs):
        return image
    # A channel after the other: numpy is several times slower on interleaved ones.
    planes = np.array(cv2.split(image), np.float32)
    if jitters:
        _jitter(planes, ranges.jitter, draws)
    if turns_grey:
        planes[:] = _grey(planes)
    if blurs:
        low, high = ranges.blur
        _blur(planes, low + draws.sigma * (high - low))
    return cv2.merge(list(np.rint(planes, out=planes).astype(np.uint8)))


# The functions below take and give RGB planes (3, H, W) float32 of 0..255.


def _grey(planes: np.ndarray) -> np.ndarray:
    """Luma of ITU-R BT.601, (H, W) float32."""
    red, green, blue = planes
    grey = red * np.float32(0.299)
    grey += green * np.float32(0.587)
    grey += blue * np.float32(0.114)
    return grey


# What brightness, contrast and saturation blend an image with.
_ANCHORS: tuple[Callable[[np.ndarray], np.ndarray | np.floating], ...] = (
    lambda _: np.float32(0),
    lambda planes: _grey(planes).mean(),
    _grey,
)


def _jitter(planes: np.ndarray, ranges: tuple[float, float, float, float], draws: Draws) -> None:
    """In place, the four changes of torchvision's ColorJitter in random order."""
    amounts = (draws.brightness, draws.contrast, draws.saturation, draws.hue)
    ranks = (draws.rank_brightness, draws.rank_contrast, draws.rank_saturation, draws.rank_hue)
    for number in np.argsort(ranks):
        width, amount = ranges[number], amounts[number]
        if width and number == len(_ANCHORS):
            _shift_hue(planes, (2 * amount - 1) * width)
        elif width:
            low = max(0.0, 1 - width)
            _blend(planes, _ANCHORS[number](planes), low + amount * (1 + width - low))


def _blend(planes: np.ndarray, other: np.ndarray | np.floating, factor: float) -> None:
    """`factor` * planes + (1 - `factor`) * other, in place, cut to 0..255."""
    planes *= np.float32(factor)
    planes += np.float32(1 - factor) * other
    np.clip(planes, 0, 255, out=planes)


def _shift_hue(planes: np.ndarray, shift: float) -> None:
    """Turn the hue of the HSV hexagon by `shift` of the full circle, in place."""
    pixels = planes.reshape(3, -1)
    for start in range(0, pixels.shape[1], _BLOCK):
        _shift_hue_of_block(pixels[:, start : start + _BLOCK], np.float32(6 * shift))


def _shift_hue_of_block(pixels: np.ndarray, shift: np.float32) -> None:
    """Of (3, B): hues are counted in sixths of the circle, red at 0, green at 2, blue at 4."""
    red, green, blue = pixels
    value = pixels.max(axis=0)
    chroma = value - pixels.min(axis=0)
    span = np.maximum(chroma, np.float32(1e-3))  # of greys: their hue does not matter
    hue = np.where(
        value == red,
        (green - blue) / span,
        np.where(value == green, 2 + (blue - red) / span, 4 + (red - green) / span),
    )
    hue += shift
    for channel, own in zip(pixels, (0, 2, 4), strict=True):
        away = hue - own
        away -= 6 * np.rint(away * np.float32(1 / 6))
        np.abs(away, out=away)
        # A channel is full within one sixth of its own hue and empty beyond two.
        away -= 1
        np.clip(away, 0, 1, out=away)
        away *= chroma
        np.subtract(value, away, out=channel)


def _blur(planes: np.ndarray, sigma: float) -> None:
    """A Gaussian of 3x3 pixels, in place; the border is mirrored about the outermost pixels."""
    side = math.exp(-0.5 / sigma**2)
    middle = 1 / (1 + 2 * side)
    buffer = np.empty_like(planes[0])
    for plane in planes:
        for lines, around in ((plane, buffer), (plane.T, buffer.T)):
            np.add(lines[:-2], lines[2:], out=around[1:-1])
            np.add(lines[1], lines[1], out=around[0])
            np.add(lines[-2], lines[-2], out=around[-1])
            around *= np.float32(side * middle)
            lines *= np.float32(middle)
            lines += around


def _cut_out(image: np.ndarray, share: tuple[float, float], draws: Draws) -> None:
    """A grey square, in place in (H, W, 3) uint8.

    Its centre is anywhere in the image, so that a part of it may lie outside, as in cutout
    (arXiv 1708.04552); it covers the pixels whose centres it holds.
    """
    height, width = image.shape[:2]
    low, high = share
    half = (low + draws.side * (high - low)) * min(height, width) / 2
    centres = ((draws.square_y, height), (draws.square_x, width))
    rows, columns = (
        slice(
            max(math.ceil(draw * length - half - 0.5), 0),
            max(math.ceil(draw * length + half - 0.5), 0),
        )
        for draw, length in centres
    )
    image[rows, columns] = _GREY
