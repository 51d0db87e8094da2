"""An exhibit as four small images, drawn with OpenCV: sheets and galleries show the same ones.

Choices of ours: maps in viridis, which stays readable with every common colour blindness; the
overlay lies on the photograph without its colours, so that it reads alike on light and dark skin;
contours are white with a dark edge for the same reason.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from benchmark.pictures.exhibit import Exhibit

# Opacity of the network's map where it is 1; it falls to nothing with the map.
_OPACITY = 0.85
# The photograph below the overlay is dimmed, or viridis' yellow would drown in light skin.
_DIMMED = 0.85
# Lines are drawn this many times larger and averaged: smoother than OpenCV's own smoothing.
_FINER = 2
_WHITE, _EDGE = (255, 255, 255), (24, 24, 24)
# Widths as shares of the longer side.
_THIN, _THICK = 1 / 320, 1 / 110


@dataclass(frozen=True, eq=False)
class Panels:
    """Four images of one exhibit, each (h, w, 3) uint8 RGB of the same size.

    Attributes:
        photograph: as it is.
        experts: the annotators' map, with a contour around what anybody, half and all of them
            marked, the majority's thick.
        network: the network's map.
        overlay: the network's map over the grey photograph, with the contours of anybody (thin) and
            of at least half of the annotators (thick).
    """

    photograph: np.ndarray
    experts: np.ndarray
    network: np.ndarray
    overlay: np.ndarray


def panels(exhibit: Exhibit, side: int) -> Panels:
    """Draw an exhibit with its longer side at `side` pixels; both maps share the scale 0 to 1."""
    height, width = exhibit.photograph.shape[:2]
    scale = side / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    fine = (_FINER * size[0], _FINER * size[1])

    photograph = _resize(exhibit.photograph, size)
    network = _resize(exhibit.network.astype(np.float32), size)
    experts = _resize(exhibit.experts.astype(np.float32), fine)
    anybody, half, everybody = _levels(exhibit.annotators)

    opacity = (_OPACITY * network)[..., None]
    grey = cv2.cvtColor(photograph, cv2.COLOR_RGB2GRAY)[..., None]
    overlay = (1 - opacity) * (_DIMMED * grey) + opacity * coloured(network)
    overlay = cv2.resize(np.rint(overlay).astype(np.uint8), fine, interpolation=cv2.INTER_LINEAR)
    experts_map = coloured(experts)
    if half > anybody:
        _contour(experts_map, experts > anybody, _THIN)
        _contour(overlay, experts > anybody, _THIN)
    if everybody > half:
        _contour(experts_map, experts > everybody, _THIN)
    _contour(experts_map, experts > half, _THICK)
    _contour(overlay, experts > half, _THICK)
    return Panels(
        photograph=photograph,
        experts=_resize(experts_map, size),
        network=coloured(network),
        overlay=_resize(overlay, size),
    )


def coloured(heatmap: np.ndarray) -> np.ndarray:
    """A map (h, w) in [0, 1] in viridis: (h, w, 3) uint8 RGB."""
    levels = np.rint(np.clip(heatmap, 0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS)[..., ::-1])


def _levels(annotators: int) -> tuple[float, float, float]:
    """Shares above which a pixel was marked by anybody, by at least half, by all.

    Half a vote below each count, for resized maps have shares in between; "anybody" is any trace,
    or a mark of few pixels would be lost. One annotator is all three at once.
    """
    if annotators == 1:
        return 0.5, 0.5, 0.5
    half = -(-annotators // 2)
    # Half of two annotators is anybody: equal levels, so that one line is drawn.
    anybody = 0.5 / annotators if half == 1 else 1e-6
    return anybody, (half - 0.5) / annotators, (annotators - 0.5) / annotators


def _contour(canvas: np.ndarray, region: np.ndarray, width: float) -> None:
    """Outline a region (h, w) bool on `canvas` in white with a dark edge."""
    # The region goes on beyond the border, so that no line runs along the border itself.
    pad = 16
    beyond = cv2.copyMakeBorder(region.astype(np.uint8), pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    lines, _ = cv2.findContours(beyond, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE, offset=(-pad, -pad))
    thickness = max(round(width * max(canvas.shape)), _FINER)
    for colour, wide in ((_EDGE, thickness + 2 * _FINER), (_WHITE, thickness)):
        cv2.drawContours(canvas, lines, -1, colour, wide, cv2.LINE_AA)


def _resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """To (width, height): by area where it shrinks, bilinear where it grows."""
    shrinks = size[0] <= image.shape[1] and size[1] <= image.shape[0]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
