"""Healthy skin, its hair, the light on it and the camera before it: all that surrounds a lesion.

Nothing here knows the diagnosis. Colours are sRGB in [0, 1]; lengths are in pixels or, as
fractions, in units of the square root of the picture's area (`Canvas.unit`).
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

from benchmark.data.synthetic.fields import (
    Shape,
    blurred,
    distance_to_spots,
    fractal,
    noise,
    ramp,
    scatter,
    stretched_noise,
    with_radii,
)
from benchmark.data.synthetic.plan import Patient

# Fitzpatrick I to VI under neutral light; our choice, by eye.
TONES = (
    np.array(
        [
            (238, 203, 184),
            (228, 186, 161),
            (210, 163, 134),
            (182, 131, 101),
            (137, 92, 68),
            (92, 62, 49),
        ],
        np.float32,
    )
    / 255
)
SHOULDER = 0.8  # brighter values are compressed, as a camera does
DRAPES = (
    np.array([(38, 72, 116), (52, 96, 84), (28, 28, 32), (150, 152, 156), (96, 88, 80)], np.float32)
    / 255
)


@dataclass
class Canvas:
    """A picture in the making.

    Attributes:
        skin: (3,) the patient's mean skin colour, sRGB.
        albedo: (H, W, 3) colour without light.
        height: (H, W) relief in pixels, seen only through its shading.
        gloss: (H, W) how much the surface shines, 0 to 1.
        body: (H, W) 1 on skin, 0 on the cloth behind it.
        white_hair: (H, W) where hair has lost its pigment, 0 to 1.
        hairs: how many hairs will grow.
        marks: characteristic -> (H, W) bool, what is truly there.
    """

    skin: np.ndarray
    albedo: np.ndarray
    height: np.ndarray
    gloss: np.ndarray
    body: np.ndarray
    white_hair: np.ndarray
    hairs: int
    marks: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def shape(self) -> Shape:
        """(H, W)."""
        return self.body.shape

    @property
    def unit(self) -> float:
        """The square root of the area in pixels, by which lesions are measured."""
        return float(np.sqrt(self.body.size))

    def paint(self, alpha: np.ndarray, colour: np.ndarray) -> None:
        """Cover with `colour`, (3,) or (H, W, 3), where `alpha` (H, W) is 1."""
        self.albedo += alpha[..., None] * (colour - self.albedo)

    def tint(self, alpha: np.ndarray, factor: np.ndarray) -> None:
        """Multiply the colour by `factor` (3,) where `alpha` (H, W) is 1."""
        self.albedo *= 1 + alpha[..., None] * (factor - 1)

    def mark(self, characteristic: str, where: np.ndarray) -> None:
        """Record that `characteristic` is on the pixels of the bool map `where`."""
        seen = where & (self.body > 0.5)
        if seen.any():
            self.marks[characteristic] = self.marks.get(characteristic, False) | seen


def bare_skin(patient: Patient, shape: Shape, rng: np.random.Generator) -> Canvas:
    """Skin of `patient` with its mottling, lines, pores and the odd mole, before light falls on it.

    A third of the pictures show the edge of a limb before a cloth.
    """
    unit = float(np.sqrt(shape[0] * shape[1]))
    skin = TONES[patient.tone - 1] * rng.normal(1, 0.02, 3).astype(np.float32)
    blood = 0.035 * fractal(rng, shape, 0.25 * unit, 4, 0.6)
    pigment = 0.03 * fractal(rng, shape, 0.12 * unit, 4, 0.7)
    albedo = skin * np.exp(
        -blood[..., None] * np.array([0.25, 1.0, 0.9], np.float32)
        - pigment[..., None] * np.array([0.7, 0.9, 1.1], np.float32)
    )
    # Skin lines: ridged noise, finer in the young; wrinkles run one way, coarser with age.
    fine = 1 - np.abs(noise(rng, shape, 0.018 * unit))
    height = unit * (0.0015 * fine + 0.0011 * noise(rng, shape, 0.008 * unit))
    creases = {"young": 0.0, "adult": 0.002, "elderly": 0.0065}[patient.age]
    if creases:
        scale = (0.03 * unit, 0.16 * unit) if rng.random() < 0.5 else (0.16 * unit, 0.03 * unit)
        height -= creases * unit * ramp(np.abs(stretched_noise(rng, shape, scale)), 0.35, 0)
    canvas = Canvas(
        skin=skin,
        albedo=albedo.astype(np.float32),
        height=height.astype(np.float32),
        gloss=np.full(shape, rng.uniform(0.02, 0.2), np.float32),
        body=_body(shape, rng),
        white_hair=np.zeros(shape, np.float32),
        hairs=int(70 * max(patient.hairiness - 0.25, 0)),
    )
    moles = with_radii(
        rng,
        scatter(rng, canvas.body > 0.9, 0.1 * unit, int(rng.integers(1, 5))),
        0.004 * unit,
        0.012 * unit,
    )
    spots = ramp(distance_to_spots(shape, moles), 1.2, 0.5)
    canvas.tint(spots, np.array([0.72, 0.62, 0.58], np.float32))
    return canvas


def photograph(
    canvas: Canvas, patient: Patient, hair_rng: np.random.Generator, rng: np.random.Generator
) -> np.ndarray:
    """The canvas as the camera sees it: (H, W, 3) uint8, RGB."""
    shape, unit = canvas.shape, canvas.unit
    lit = canvas.albedo * _light(canvas, rng)[..., None]
    lit += (canvas.gloss * _shine(canvas, rng))[..., None]
    _grow_hair(lit, canvas, patient, hair_rng)
    drape = DRAPES[rng.integers(len(DRAPES))] * rng.uniform(0.7, 1.1)
    weave = 1 + 0.08 * fractal(rng, shape, 0.1 * unit, 4, 0.8)
    behind = drape * weave[..., None]
    lit = behind + canvas.body[..., None] * (lit - behind)
    cast = np.exp(rng.normal(0, 0.035, 3)) * rng.uniform(0.84, 1.02)
    lit = lit * cast.astype(np.float32)
    lit = blurred(lit, rng.uniform(0.3, 0.75) * unit / 200)
    grain = np.float32(rng.uniform(0.004, 0.014))
    lit += grain * rng.standard_normal(lit.shape, dtype=np.float32)
    room = np.float32(1 - SHOULDER)
    over = np.maximum(lit - SHOULDER, 0) / room
    lit = np.minimum(lit, SHOULDER) + room * (1 - np.exp(-over))
    return np.clip(lit * 255 + 0.5, 0, 255).astype(np.uint8)


def _body(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    height, width = shape
    side, depth, bulge, tilt = rng.integers(4), rng.uniform(0.02, 0.2), *rng.normal(0, 0.15, 2)
    shown = rng.random() < 1 / 3
    if not shown:
        return np.ones(shape, np.float32)
    rows = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    columns = np.linspace(0, 1, width, dtype=np.float32)[None, :]
    across, along = (rows, columns) if side < 2 else (columns, rows)
    if side % 2:
        across = 1 - across
    edge = depth + tilt * (along - 0.5) + bulge * (along - 0.5) ** 2
    return ramp((across - edge) * min(shape), -1.2, 1.2)


def _light(canvas: Canvas, rng: np.random.Generator) -> np.ndarray:
    shape, unit = canvas.shape, canvas.unit
    height, width = shape
    angle = rng.uniform(0, 2 * np.pi)
    falling = np.array([np.sin(angle), np.cos(angle)])
    rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    columns = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    slope = rng.uniform(0, 0.2)
    light = 1 + slope * (falling[0] * rows + falling[1] * columns)
    light -= rng.uniform(0, 0.12) * (rows**2 + columns**2)
    light += 0.03 * noise(rng, shape, 0.6 * unit)
    # The limb turns away from the camera at its edge.
    turn = blurred(canvas.body, 0.06 * unit)
    light *= 0.6 + 0.4 * ramp(turn, 0.45, 1.0)
    down = cv2.Sobel(canvas.height, cv2.CV_32F, 0, 1, scale=0.125)
    right = cv2.Sobel(canvas.height, cv2.CV_32F, 1, 0, scale=0.125)
    relief = 0.22 * (falling[0] * down + falling[1] * right)
    return light * np.clip(1 + relief, 0.55, 1.35)


def _shine(canvas: Canvas, rng: np.random.Generator) -> np.ndarray:
    shape, unit = canvas.shape, canvas.unit
    bumps = blurred(canvas.height, 0.005 * unit) / unit + 0.003 * noise(rng, shape, 0.02 * unit)
    patches = ramp(noise(rng, shape, 0.35 * unit), 0.2, 1.6)
    return 0.5 * ramp(bumps, 0.002, 0.012) * (0.25 + patches)


def _grow_hair(lit: np.ndarray, canvas: Canvas, patient: Patient, rng: np.random.Generator) -> None:
    shape, unit = canvas.shape, canvas.unit
    if canvas.hairs == 0:
        return
    strength = np.zeros(shape, np.uint8)
    heading = rng.uniform(0, 2 * np.pi)
    steps = np.linspace(0, 1, 9)
    for _ in range(canvas.hairs):
        start = rng.uniform(-0.1, 1.1, 2) * shape
        turn = heading + rng.normal(0, 0.35)
        bend = rng.normal(0, 0.7)
        length = rng.uniform(0.08, 0.28) * unit
        angles = turn + bend * steps
        points = start + length * np.cumsum(np.stack([np.sin(angles), np.cos(angles)], 1), 0) / 9
        # cv2 counts in (column, row), here in sixteenths of a pixel.
        polyline = np.round(points[:, ::-1] * 16).astype(np.int32)
        cv2.polylines(
            strength, [polyline], False, int(rng.integers(110, 230)), 1, cv2.LINE_AA, shift=4
        )
    dark = canvas.skin * 0.35 if patient.age != "elderly" else canvas.skin * 0.55
    white = np.array([0.96, 0.95, 0.92], np.float32)
    colour = dark + canvas.white_hair[..., None] * (white - dark)
    alpha = (strength.astype(np.float32) / 255)[..., None] * 0.7
    lit += alpha * (colour - lit)
