"""The signs of diabetic retinopathy (DR) and of age-related macular degeneration (AMD).

Each function paints one sign and marks its pixels. Which signs make which grade follows the
international DR scale (Wilkinson et al. 2003) and the Beckman scale of AMD (Ferris et al. 2013);
numbers, sizes and colours are ours, the smallest lesions larger than life so that a picture of 224
pixels shows them. Lengths are in disc diameters.
"""

import numpy as np

from benchmark.data.synthetic.fields import (
    distance_to_spots,
    fractal,
    noise,
    ramp,
    scatter,
    with_radii,
)
from benchmark.data.synthetic.fundus_anatomy import BLOOD, FINE, Retina, draw, shrunk

Rng = np.random.Generator
WAX = np.array([0.98, 0.86, 0.42], np.float32)
DRUSEN = np.array([0.95, 0.74, 0.38], np.float32)
WOOL = np.array([0.96, 0.90, 0.74], np.float32)
SCAR = np.array([0.93, 0.84, 0.60], np.float32)
MEMBRANE = np.array([0.52, 0.42, 0.26], np.float32)
VESSEL = np.array([0.60, 0.10, 0.08], np.float32)
HAEMORRHAGES = "haemorrhages"
EXUDATES = "hard exudates"


def add_under_vessels(retina: Retina, dr: int, amd: int, dr_rng: Rng, amd_rng: Rng) -> None:
    """Paint what lies in the deep retina: drusen, and the fluid and fat of leaking vessels."""
    _amd(retina, amd, amd_rng)
    _exudates(retina, dr, dr_rng)


def add_over_vessels(retina: Retina, dr: int, amd: int, dr_rng: Rng, amd_rng: Rng) -> None:
    """Paint what hides vessels: blood, cotton wool and new vessels."""
    if amd == 3:
        _subretinal_blood(retina, amd_rng)
    if dr >= 1:
        low, high = {1: (5, 13), 2: (10, 24), 3: (14, 34), 4: (6, 26)}[dr]
        _microaneurysms(retina, dr_rng, int(dr_rng.integers(low, high)))
    if dr >= 2:
        low, high = {2: (4, 13), 3: (24, 46), 4: (5, 34)}[dr]
        _haemorrhages(retina, dr_rng, int(dr_rng.integers(low, high)))
        if dr_rng.random() < {2: 0.3, 3: 0.7, 4: 0.5}[dr]:
            _cotton_wool(retina, dr_rng, int(dr_rng.integers(1, 6)))
    if dr == 4:
        _new_vessels(retina, dr_rng)
        if dr_rng.random() < 0.5:
            _preretinal_blood(retina, dr_rng)


def _mark(retina: Retina, sign: str, alpha: np.ndarray) -> None:
    before = retina.marks.get(sign, np.zeros(retina.shape, bool))
    retina.marks[sign] = before | ((alpha > 0.25) & retina.inside)


def _spots(
    retina: Retina, rng: Rng, where: np.ndarray, count: int, sizes: tuple[float, float], gap: float
) -> np.ndarray:
    """(N, 3) rows, columns and radii in pixels of at most `count` spots on the bool map `where`."""
    unit = retina.unit
    places = scatter(rng, where & retina.inside, gap * unit, count)
    low, high = (max(size * unit, 0.8) for size in sizes)
    return with_radii(rng, places, low, high)


def _posterior(retina: Retina) -> np.ndarray:
    """(H, W) bool: the field without its rim, the disc and the very fovea."""
    rim = retina.distance(retina.centre) * retina.unit < 0.9 * retina.radius
    off_disc = retina.distance(retina.disc) > 0.65
    return rim & off_disc & (retina.distance(retina.fovea) > 0.18)


def _microaneurysms(retina: Retina, rng: Rng, count: int) -> None:
    where = _posterior(retina) & (retina.distance(retina.fovea) < 2.6)
    spots = _spots(retina, rng, where, count, (0.035, 0.055), 0.16)
    alpha = 0.85 * ramp(distance_to_spots(retina.shape, spots), 1.25, 0.6)
    retina.paint(alpha, BLOOD * 0.9)
    _mark(retina, "microaneurysms", alpha)


def _haemorrhages(retina: Retina, rng: Rng, count: int) -> None:
    """Dots and blots, and flames drawn out along the nerve fibres, which leave the disc."""
    ragged = 0.22 * noise(rng, retina.shape, 0.09 * retina.unit)
    flames = count // 4
    blots = _spots(retina, rng, _posterior(retina), count - flames, (0.07, 0.17), 0.25)
    alpha = 0.9 * ramp(distance_to_spots(retina.shape, blots, ragged), 1.15, 0.75)
    for row, column, radius in _spots(retina, rng, _posterior(retina), flames, (0.1, 0.2), 0.3):
        fibre = np.array([row, column]) - retina.disc
        angle = np.arctan2(fibre[0], fibre[1]) + rng.normal(0, 0.25)
        shape = _ellipse(retina, (row, column), radius, 3.0, angle)
        alpha = np.maximum(alpha, 0.85 * ramp(shape + 2 * ragged, 1.1, 0.6))
    retina.paint(alpha, BLOOD)
    _mark(retina, HAEMORRHAGES, alpha)


def _ellipse(
    retina: Retina, place: tuple[float, float], radius: float, stretch: float, angle: float
) -> np.ndarray:
    """(H, W) distance from `place`, 1 on an ellipse of this area, drawn out along `angle`."""
    height, width = retina.shape
    rows = np.arange(height, dtype=np.float32)[:, None] - np.float32(place[0])
    columns = np.arange(width, dtype=np.float32)[None, :] - np.float32(place[1])
    along = np.sin(angle) * rows + np.cos(angle) * columns
    across = np.cos(angle) * rows - np.sin(angle) * columns
    root = np.sqrt(stretch)
    away: np.ndarray = np.sqrt((along / root) ** 2 + (across * root) ** 2) / radius
    return away.astype(np.float32)


def _exudates(retina: Retina, dr: int, rng: Rng) -> None:
    """Clusters or rings of waxy yellow spots, near the fovea or away from it."""
    if rng.random() >= {0: 0.0, 1: 0.0, 2: 0.7, 3: 0.8, 4: 0.7}[dr]:
        return
    near = rng.random() < 0.55
    for _ in range(int(rng.integers(1, 4))):
        away = rng.uniform(0.35, 0.9) if near else rng.uniform(1.75, 2.4)
        angle = rng.uniform(0, 2 * np.pi)
        centre = retina.fovea + retina.unit * away * np.array([np.sin(angle), np.cos(angle)])
        distance = retina.distance(centre)
        ring = rng.random() < 0.4
        size = rng.uniform(0.3, 0.5)
        where = (distance < size) & (distance > (0.7 * size if ring else 0.0))
        where &= retina.distance(retina.disc) > 0.7
        count = int(rng.integers(10, 28))
        spots = _spots(retina, rng, where, count, (0.03, 0.075), 0.06)
        ragged = 0.3 * noise(rng, retina.shape, 0.05 * retina.unit)
        alpha = 0.95 * ramp(distance_to_spots(retina.shape, spots, ragged), 1.15, 0.85)
        retina.paint(alpha, WAX)
        _mark(retina, EXUDATES, alpha)


def _cotton_wool(retina: Retina, rng: Rng, count: int) -> None:
    where = _posterior(retina) & (retina.distance(retina.disc) < 3)
    spots = _spots(retina, rng, where, count, (0.14, 0.24), 0.7)
    ragged = 0.25 * fractal(rng, retina.shape, 0.25 * retina.unit, 2)
    alpha = 0.75 * ramp(distance_to_spots(retina.shape, spots, ragged), 1.4, 0.3)
    retina.paint(alpha, WOOL)
    _mark(retina, "cotton wool spots", alpha)


def _new_vessels(retina: Retina, rng: Rng) -> None:
    """A tangle of fine vessels on the disc or elsewhere, often on a fibrous sheet."""
    at_disc = rng.random() < 0.5
    if at_disc:
        place = retina.disc + retina.unit * rng.normal(0, 0.15, 2)
    else:
        far = (retina.distance(retina.fovea) > 1.2) & _posterior(retina)
        place = _spots(retina, rng, far, 1, (0.1, 0.1), 0.1)[0, :2]
    spread = rng.uniform(0.75, 1.15)
    if rng.random() < 0.6:
        away = retina.distance(place + retina.unit * rng.normal(0, 0.3, 2))
        sheet = away / spread + 0.45 * fractal(rng, retina.shape, 0.4 * retina.unit, 3)
        alpha = 0.65 * ramp(sheet, 0.75, 0.35)
        retina.paint(alpha, WOOL)
        _mark(retina, "fibrous tissue", alpha)
    side = retina.shape[0] * FINE
    canvas = np.zeros((side, side), np.uint8)
    for _ in range(int(rng.integers(26, 44))):
        steps = np.linspace(0, 1, 18)
        turns = rng.uniform(0, 2 * np.pi) + rng.normal(0, 3) * steps
        turns += 0.6 * np.cumsum(rng.normal(0, 1, 18)) / 3
        moves = np.stack([np.sin(turns), np.cos(turns)], 1) * spread * retina.unit / 15
        start = place + rng.normal(0, 0.12, 2) * retina.unit
        draw(canvas, start + np.cumsum(moves, 0), 0.035 * retina.unit)
    alpha = 0.9 * shrunk(canvas)
    retina.paint(alpha, VESSEL)
    _mark(retina, "new vessels", alpha)


def _preretinal_blood(retina: Retina, rng: Rng) -> None:
    """A boat: blood before the retina with a level upper border."""
    where = _posterior(retina) & (retina.distance(retina.disc) < 3.2)
    row, column, radius = _spots(retina, rng, where, 1, (0.55, 1.0), 1.0)[0]
    away = _ellipse(retina, (row, column), radius, 1.6, 0.0)
    level = (np.arange(retina.shape[0], dtype=np.float32)[:, None] - row) / radius
    alpha = 0.92 * ramp(away + 0.05 * noise(rng, retina.shape, 0.2 * retina.unit), 1.03, 0.93)
    alpha = alpha * ramp(level, -0.06, 0.04)
    retina.paint(alpha, BLOOD * 0.85)
    _mark(retina, HAEMORRHAGES, alpha)


def _amd(retina: Retina, amd: int, rng: Rng) -> None:
    if amd == 1:
        _drusen(retina, rng, int(rng.integers(12, 34)), (0.03, 0.055), 0.3)
    elif amd == 2:
        _drusen(retina, rng, int(rng.integers(5, 20)), (0.03, 0.055), 0.3)
        _drusen(retina, rng, int(rng.integers(12, 28)), (0.10, 0.19), 0.65)
        _pigment(retina, rng)
    elif amd == 3:
        _drusen(retina, rng, int(rng.integers(2, 12)), (0.08, 0.16), 0.65)
        _membrane(retina, rng)


def _drusen(
    retina: Retina, rng: Rng, count: int, sizes: tuple[float, float], softness: float
) -> None:
    """Pale yellow deposits about the fovea; the large ones are soft and run together."""
    where = retina.distance(retina.fovea) < rng.uniform(1.0, 1.5)
    spots = _spots(retina, rng, where, count, sizes, 1.25 * sizes[1])
    ragged = 0.15 * noise(rng, retina.shape, 0.1 * retina.unit)
    away = distance_to_spots(retina.shape, spots, ragged)
    alpha = 0.72 * ramp(away, 1 + softness, 1 - softness)
    retina.paint(alpha, DRUSEN)
    _mark(retina, "drusen", alpha)


def _pigment(retina: Retina, rng: Rng) -> None:
    where = retina.distance(retina.fovea) < 0.7
    spots = _spots(retina, rng, where, int(rng.integers(0, 7)), (0.04, 0.09), 0.15)
    ragged = 0.4 * noise(rng, retina.shape, 0.07 * retina.unit)
    alpha = 0.5 * ramp(distance_to_spots(retina.shape, spots, ragged), 1.3, 0.6)
    retina.paint(alpha, np.array([0.25, 0.13, 0.09], np.float32))
    _mark(retina, "pigment", alpha)


def _membrane(retina: Retina, rng: Rng) -> None:
    """A grey-green membrane or a fibrous scar under the macula, with some exudation about it."""
    place = retina.fovea + retina.unit * rng.normal(0, 0.22, 2)
    size = rng.uniform(0.5, 0.9)
    away = retina.distance(place) / size + 0.3 * fractal(rng, retina.shape, 0.5 * retina.unit, 3)
    scarred = rng.random() < 0.5
    alpha = (0.85 if scarred else 0.6) * ramp(away, 1.05, 0.65)
    retina.paint(alpha, SCAR if scarred else MEMBRANE)
    _mark(retina, "scar" if scarred else "membrane", alpha)
    if rng.random() < 0.5:
        # The same fat as in diabetes, here about the membrane.
        ring = (away > 1.2) & (away < 1.7)
        spots = _spots(retina, rng, ring, int(rng.integers(8, 30)), (0.03, 0.07), 0.07)
        alpha = 0.95 * ramp(distance_to_spots(retina.shape, spots), 1.15, 0.85)
        retina.paint(alpha, WAX)
        _mark(retina, "exudation of the membrane", alpha)


def _subretinal_blood(retina: Retina, rng: Rng) -> None:
    """A dark pool beside or around the membrane."""
    angle = rng.uniform(0, 2 * np.pi)
    place = retina.fovea + 0.5 * retina.unit * np.array([np.sin(angle), np.cos(angle)])
    row, column = (float(value) for value in place)
    radius = rng.uniform(0.35, 0.65) * retina.unit
    away = _ellipse(retina, (row, column), radius, rng.uniform(1.2, 2.2), angle + np.pi / 2)
    alpha = 0.85 * ramp(away + 0.3 * fractal(rng, retina.shape, 0.4 * retina.unit, 3), 1.1, 0.8)
    retina.paint(alpha, BLOOD * 0.8)
    _mark(retina, HAEMORRHAGES, alpha)
