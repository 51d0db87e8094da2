"""Reference and map exactly as the DermXDB benchmark of 2023 made them; their score is `fuzzy`'s.

Source: repository ralucaj/dermx-benchmark (arXiv 2302.12084), its code rather than its text.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from benchmark.metrics.maps.checks import mask_stack
from benchmark.metrics.maps.heatmap import normalise, upscale
from benchmark.metrics.maps.reference import mask_counts

# Every map is stored at this (height, width), whatever the photograph (generate_gradcams.ipynb).
STORED_SIZE = (300, 400)


def published_reference(masks: ArrayLike) -> NDArray[np.float32]:
    """The authors' reference map: masks counted, scaled to 256 and stored as an 8-bit PNG.

    Source: `fuzzy_union_images` in prepare_dermx_data.ipynb, which serves all three levels: all
    masks of an image, those of one characteristic, those of one annotator. Pillow clips at 255
    and cuts the fraction off, so that 1/2 is read back as 128/255 and 1/3 as 85/255. Equal to
    Pillow's `convert("L")` for every count up to 255 masks.

    Args:
        masks: (M, H, W) bool, M at least 1.

    Returns:
        (H, W) float32 in [0, 1]. All zero when every mask is empty (ours: theirs divides by 0, on
        an input that their data do not have).

    Raises:
        ValueError: masks are not (M, H, W) bool.
    """
    count = mask_counts(mask_stack(masks))
    most = int(count.max())
    levels = np.minimum(np.arange(most + 1) / max(1, most) * 256, 255).astype(np.uint8)
    return (levels / 255).astype(np.float32)[count]


def published_map(
    cam: ArrayLike, size: tuple[int, int], method: Literal["bicubic", "nearest"]
) -> NDArray[np.float32]:
    """The authors' map as it meets the reference, from the weighted sum of the feature maps.

    With S the sum: max(S, 0) / max S, cut to 8 bits, linearly to 300 x 400, to the size of the
    masks by Pillow, minimum to 0 and maximum to 1. Source: `make_gradcam_heatmap` in xgradcam.py,
    `save_and_display_gradcam` in generate_gradcams.ipynb (commit f41883d) and
    `calculate_mask_metrics` in analyse_gradcams.ipynb, which takes bicubic interpolation for
    images and nearest for characteristics and annotators.

    Their linear step is `skimage.transform.resize`: half-pixel centres, edges mirrored. Ours is
    scipy's, equal within 1e-15 to that of scikit-image 0.20.0 (March 2023; numpy 1.24.2, scipy
    1.10.1) on maps of 1 x 3 to 300 x 400; with Pillow 9.4.0 after it, the final maps of random sums
    of 7 x 7 to 25 x 18 were bit for bit ours. The releases that the authors used are not recorded.

    Args:
        cam: (h, w) float, S or max(S, 0), at most 300 x 400: larger maps, which theirs never were,
            scikit-image would smooth.
        size: (H, W) of the masks.
        method: of the last resize.

    Returns:
        (H, W) float32 in [0, 1]. All zero where no value of S is positive. A value that is not
        finite also gives the all-zero map: their cast of NaN to 8 bits has no defined result, 0 is
        what common processors make of it.

    Raises:
        ValueError: not (h, w), or larger than 300 x 400.
    """
    heat = np.maximum(np.asarray(cam, dtype=np.float32), 0)
    if heat.ndim != 2 or not heat.size:
        raise ValueError(f"a map must be (h, w), this one is {heat.shape}")
    if heat.shape[0] > STORED_SIZE[0] or heat.shape[1] > STORED_SIZE[1]:
        raise ValueError(f"a map of {heat.shape} is larger than the stored {STORED_SIZE}")
    top = heat.max()
    if not (np.isfinite(top) and top > 0):
        return np.zeros(size, np.float32)
    stored = (heat / top * 255).astype(np.uint8) / 255
    zoom = [to / from_ for to, from_ in zip(STORED_SIZE, stored.shape, strict=True)]
    stored = ndimage.zoom(stored, zoom, order=1, mode="mirror", grid_mode=True)
    return normalise(upscale(stored, size, method))
