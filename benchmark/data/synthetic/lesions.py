"""The lesions of the six diagnoses, built from DermXDB's characteristics on a canvas of skin.

One function per diagnosis: it paints, raises relief and marks what it made. The choice of
characteristics follows the masks of DermXDB; colours, sizes and frequencies are ours, by eye.
"""

from collections.abc import Callable

import cv2
import numpy as np

from benchmark.data.synthetic.fields import (
    blurred,
    distance_to_spots,
    fractal,
    noise,
    ramp,
    scatter,
    with_radii,
)
from benchmark.data.synthetic.region import Region
from benchmark.data.synthetic.skin import Canvas

Rng = np.random.Generator
PIGMENT_LOSS = np.array([0.955, 0.885, 0.845], np.float32)


def add_lesions(canvas: Canvas, region: Region, diagnosis: str, habit: Rng, rng: Rng) -> None:
    """Put the lesions of `diagnosis` into `region`.

    Args:
        canvas: healthy skin; changed in place.
        region: where the disease lies.
        diagnosis: one of `plan.DIAGNOSES`.
        habit: draws what all pictures of one patient share.
        rng: draws what is this picture's own.
    """
    PAINTERS[diagnosis](canvas, region, habit, rng)


def redness(canvas: Canvas, strength: float) -> np.ndarray:
    """The factor (3,) by which inflammation changes skin: to red, on dark skin to violet-brown."""
    lightness = float(np.clip((canvas.skin.mean() - 0.25) / 0.5, 0, 1))
    on_light = np.array([0.98, 0.72, 0.70], np.float32)
    on_dark = np.array([0.90, 0.66, 0.72], np.float32)
    full = on_dark + lightness * (on_light - on_dark)
    return full**strength


def keratin(canvas: Canvas, colour: tuple[float, float, float]) -> np.ndarray:
    """The colour (3,) of dead horn on this skin: mostly its own, some of the skin below."""
    return np.array(colour, np.float32) * 0.75 + canvas.skin * 0.25


def _acne(canvas: Canvas, region: Region, habit: Rng, rng: Rng) -> None:
    unit = canvas.unit
    inflamed = habit.uniform(0.5, 0.85)  # share of papules and pustules
    strength = habit.uniform(0.9, 1.3)
    scarred = habit.random() < 0.3
    flush = ramp(region.depth, -0.25, 0.35)
    canvas.tint(0.55 * flush, redness(canvas, 0.5))
    places = scatter(rng, region.depth > 0.03, 0.052 * unit, 45)
    kinds = rng.permutation(len(places)) / max(len(places), 1)
    wobble = 0.12 * noise(rng, canvas.shape, 0.02 * unit)

    def spots(low: float, high: float, smallest: float, largest: float) -> np.ndarray:
        chosen = places[(kinds >= low) & (kinds < high)]
        radii = with_radii(rng, chosen, smallest * unit, largest * unit)
        return distance_to_spots(canvas.shape, radii, wobble)

    papules = spots(0, 0.5 * inflamed, 0.018, 0.032)
    pustules = spots(0.5 * inflamed, inflamed, 0.02, 0.032)
    blackheads = spots(inflamed, 0.5 + inflamed / 2, 0.009, 0.015)
    whiteheads = spots(0.5 + inflamed / 2, 1.01, 0.012, 0.018)
    for bumps in (papules, pustules):
        canvas.tint(ramp(bumps, 1.7, 0.5), redness(canvas, strength))
        canvas.height += 0.045 * unit * ramp(bumps, 1.1, 0.0)
        canvas.gloss += 0.25 * ramp(bumps, 0.9, 0.3)
    pus = keratin(canvas, (0.97, 0.91, 0.68))
    canvas.paint(0.95 * ramp(pustules, 0.58, 0.3), pus)
    canvas.paint(0.9 * ramp(blackheads, 1.0, 0.55), canvas.skin * 0.22)
    canvas.height -= 0.01 * unit * ramp(blackheads, 1.2, 0.4)
    canvas.paint(0.55 * ramp(whiteheads, 1.0, 0.4), keratin(canvas, (0.98, 0.93, 0.86)))
    canvas.height += 0.02 * unit * ramp(whiteheads, 1.1, 0.2)
    canvas.mark("Papule", papules < 1.25)
    canvas.mark("Pustule", pustules < 1.25)
    canvas.mark("Open comedo", blackheads < 1.15)
    canvas.mark("Closed comedo", whiteheads < 1.15)
    if habit.random() < 0.35:
        name = "Cyst" if habit.random() < 0.3 else "Nodule"
        large = scatter(rng, region.depth > 0.2, 0.15 * unit, int(rng.integers(1, 3)))
        lumps = distance_to_spots(
            canvas.shape, with_radii(rng, large, 0.04 * unit, 0.06 * unit), wobble
        )
        canvas.tint(0.8 * ramp(lumps, 1.4, 0.4), redness(canvas, strength))
        canvas.height += 0.08 * unit * ramp(lumps, 1.1, 0.0)
        canvas.mark(name, lumps < 1.1)
    if scarred:
        holes = scatter(rng, region.depth > 0, 0.06 * unit, int(rng.integers(4, 10)))
        pits = distance_to_spots(
            canvas.shape, with_radii(rng, holes, 0.012 * unit, 0.024 * unit), wobble
        )
        canvas.tint(0.7 * ramp(pits, 1.1, 0.6), np.array([0.86, 0.78, 0.78], np.float32))
        canvas.height -= 0.03 * unit * ramp(pits, 1.1, 0.4)
        canvas.mark("Scar", pits < 1.2)


def _actinic_keratosis(canvas: Canvas, region: Region, habit: Rng, rng: Rng) -> None:
    unit, shape = canvas.unit, canvas.shape
    # Sun damage: freckles and yellowish, coarse skin over the whole region.
    damaged = ramp(region.depth, -0.1, 0.2)
    freckles = ramp(fractal(rng, shape, 0.045 * unit, 2, 0.7), 0.25, 1.2) * damaged
    canvas.tint(0.8 * damaged, np.array([0.84, 0.76, 0.68], np.float32))
    canvas.tint(habit.uniform(0.6, 0.9) * freckles, np.array([0.60, 0.47, 0.40], np.float32))
    canvas.height += 0.004 * unit * damaged * fractal(rng, shape, 0.03 * unit, 2)
    canvas.mark("Sun damage", region.depth > 0)
    if habit.random() < 0.6:
        canvas.mark("Macule", freckles > 0.5)
    if habit.random() < 0.35:
        vessels = np.abs(noise(rng, shape, 0.06 * unit))
        thin = ramp(vessels, 0.12, 0.03) * ramp(region.depth, 0.05, 0.3)
        canvas.tint(0.7 * thin, redness(canvas, 1.6))
        canvas.mark("Telangiectasia", blurred(thin, 0.012 * unit) > 0.2)
    # The keratoses: rough, ill-defined, with a stuck-on crust.
    places = scatter(rng, region.depth > 0.12, 0.14 * unit, int(rng.integers(3, 7)))
    patches = distance_to_spots(
        shape,
        with_radii(rng, places, 0.055 * unit, 0.095 * unit),
        0.3 * fractal(rng, shape, 0.04 * unit, 3),
    )
    canvas.tint(ramp(patches, 1.4, 0.6), redness(canvas, habit.uniform(0.4, 0.7)))
    rough = fractal(rng, shape, 0.018 * unit, 2, 0.8)
    crust = ramp(patches, 1.0, 0.6) * ramp(rough, -1.4, 0.6)
    canvas.paint(0.7 * crust, keratin(canvas, (0.74, 0.67, 0.55)))
    canvas.height += 0.01 * unit * crust * (1 + 0.6 * rough)
    canvas.mark("Plaque" if habit.random() < 0.6 else "Papule", patches < 1.15)
    canvas.mark("Scale", patches < 0.95)


def _psoriasis(canvas: Canvas, region: Region, habit: Rng, rng: Rng) -> None:
    unit, shape = canvas.unit, canvas.shape
    # Thick plaques with a sharp border; the region's outline is theirs.
    plaque = ramp(region.depth, -0.02, 0.07)
    canvas.tint(plaque, redness(canvas, habit.uniform(1.2, 1.6)))
    canvas.height += 0.035 * unit * ramp(region.depth, 0.0, 0.15)
    canvas.tint(0.3 * ramp(region.depth, -0.15, 0.0), redness(canvas, 0.5))
    # Silvery scale lies on it in plates.
    cover = habit.uniform(-0.2, 0.5)
    plates = fractal(rng, shape, 0.07 * unit, 4, 0.7) + cover + 0.6 * ramp(region.depth, 0.0, 0.5)
    scale = ramp(plates, 0.1, 1.5) * ramp(region.depth, 0.02, 0.16)
    flakes = fractal(rng, shape, 0.03 * unit, 2, 0.8)
    silver = keratin(canvas, (0.93, 0.91, 0.90))
    canvas.paint(0.92 * scale * ramp(flakes, -1.8, 0.6), silver)
    canvas.height += unit * scale * (0.015 + 0.003 * flakes)
    canvas.gloss += 0.15 * scale
    canvas.mark("Plaque", region.inside)
    canvas.mark("Scale", blurred(scale, 0.01 * unit) > 0.35)


def _seborrheic_dermatitis(canvas: Canvas, region: Region, habit: Rng, rng: Rng) -> None:
    unit, shape = canvas.unit, canvas.shape
    # Orange-pink, with no border to speak of.
    uneven = 0.2 * fractal(rng, shape, 0.09 * unit, 2)
    patch = ramp(region.depth + uneven, -0.3, 0.4) * ramp(region.depth, -0.5, -0.1)
    warm = redness(canvas, habit.uniform(0.75, 1.05)) * np.array([1.0, 0.99, 0.88], np.float32)
    canvas.tint(patch, warm)
    canvas.gloss += 0.25 * patch
    # Greasy yellow flakes.
    bran = fractal(rng, shape, 0.042 * unit, 3, 0.7) + habit.uniform(-0.2, 0.3)
    flakes = ramp(bran, 0.1, 1.3) * ramp(region.depth + uneven, -0.05, 0.35)
    canvas.paint(0.8 * flakes, keratin(canvas, (0.96, 0.86, 0.58)))
    canvas.height += 0.008 * unit * flakes
    canvas.mark("Plaque" if habit.random() < 0.5 else "Patch", patch > 0.4)
    canvas.mark("Scale", blurred(flakes, 0.02 * unit) > 0.2)
    if habit.random() < 0.25:
        places = scatter(rng, region.depth > 0, 0.08 * unit, int(rng.integers(3, 8)))
        papules = distance_to_spots(shape, with_radii(rng, places, 0.01 * unit, 0.016 * unit))
        canvas.tint(0.7 * ramp(papules, 1.5, 0.5), redness(canvas, 0.8))
        canvas.height += 0.02 * unit * ramp(papules, 1.1, 0.0)
        canvas.mark("Papule", papules < 1.2)


def _viral_warts(canvas: Canvas, region: Region, habit: Rng, rng: Rng) -> None:
    unit, shape = canvas.unit, canvas.shape
    largest = habit.uniform(0.06, 0.095)
    places = scatter(rng, region.depth > 0.1, 1.6 * largest * unit, int(rng.integers(5, 14)))
    domes = distance_to_spots(
        shape,
        with_radii(rng, places, 0.6 * largest * unit, largest * unit),
        0.09 * fractal(rng, shape, 0.05 * unit, 2),
    )
    wart = ramp(domes, 1.02, 0.88)
    # Cauliflower surface: packed round fronds, each with a pale top and a dark cleft.
    fronds = np.abs(noise(rng, shape, 0.022 * unit))
    clefts = ramp(fronds, 0.35, 0.05)
    horn = keratin(canvas, (0.78, 0.70, 0.58)) * (0.6 + 0.4 * canvas.skin.mean())
    canvas.paint(habit.uniform(0.45, 0.7) * wart, horn)
    canvas.tint(0.75 * wart * clefts, np.array([0.62, 0.55, 0.5], np.float32))
    canvas.height += 0.09 * unit * ramp(domes, 1.05, 0.3) - 0.02 * unit * wart * clefts
    canvas.tint(0.5 * ramp(np.abs(domes - 1.05), 0.12, 0.0), np.array([0.8, 0.7, 0.68], np.float32))
    canvas.mark("Papule" if largest < 0.07 else "Plaque", domes < 1.05)
    # Skin lines do not cross a wart; a smooth collar surrounds it.
    collar = ramp(domes, 1.5, 1.1)
    canvas.height += (
        0.5 * collar * (blurred(canvas.height, 0.015 * unit) - canvas.height) * (1 - wart)
    )
    canvas.mark("Dermatoglyph disruption", domes < 1.35)
    if habit.random() < 0.7:
        dots = scatter(rng, domes < 0.75, 0.022 * unit, 14 * max(len(places), 1))
        clots = distance_to_spots(shape, with_radii(rng, dots, 0.006 * unit, 0.01 * unit))
        canvas.paint(0.85 * ramp(clots, 1.1, 0.4), np.array([0.2, 0.08, 0.08], np.float32))
        canvas.mark("Thrombosed capillaries", cv2.dilate((clots < 1.3).astype(np.uint8), None) > 0)
    if habit.random() < 0.3:
        canvas.mark("Scale", domes < 0.9)


def _vitiligo(canvas: Canvas, region: Region, habit: Rng, rng: Rng) -> None:
    unit, shape = canvas.unit, canvas.shape
    # Scalloped: the region's outline eaten by round bites.
    depth = region.depth - 0.25 * ramp(noise(rng, shape, 0.07 * unit), 0.0, 2.0)
    islands = scatter(rng, depth > 0.2, 0.05 * unit, int(rng.integers(0, 9)))
    returning = distance_to_spots(shape, with_radii(rng, islands, 0.008 * unit, 0.018 * unit))
    patch = ramp(depth, -0.03, 0.1) * ramp(returning, 0.7, 1.2)
    lost = PIGMENT_LOSS * (0.8 + 0.2 * canvas.albedo / canvas.skin)
    canvas.tint(0.6 * ramp(np.abs(depth + 0.1), 0.16, 0.0), np.array([0.86, 0.8, 0.76], np.float32))
    thinned = 1 - 0.12 * ramp(fractal(rng, shape, 0.1 * unit), 0.0, 1.5)
    canvas.paint(habit.uniform(0.8, 0.95) * patch * thinned, lost)
    canvas.mark("Patch", depth > 0)
    near = (region.depth > -0.3) & (depth < -0.08)
    drops = scatter(rng, near, 0.08 * unit, int(rng.integers(0, 7)))
    macules = distance_to_spots(
        shape,
        with_radii(rng, drops, 0.012 * unit, 0.026 * unit),
        0.12 * noise(rng, shape, 0.03 * unit),
    )
    canvas.paint(0.85 * ramp(macules, 1.1, 0.85), lost)
    canvas.mark("Macule", macules < 1.05)
    if habit.random() < 0.5 and canvas.hairs > 0:
        canvas.white_hair = np.maximum(canvas.white_hair, patch)
        canvas.mark("Leukotrichia", depth > 0.12)


PAINTERS: dict[str, Callable[[Canvas, Region, Rng, Rng], None]] = {
    "Acne": _acne,
    "Actinic keratosis": _actinic_keratosis,
    "Psoriasis": _psoriasis,
    "Seborrheic dermatitis": _seborrheic_dermatitis,
    "Viral warts": _viral_warts,
    "Vitiligo": _vitiligo,
}
