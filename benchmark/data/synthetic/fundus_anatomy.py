"""A healthy fundus: background, macula, optic disc and vessels, and the camera's view of it.

Nothing here knows a grade. Colours are sRGB in [0, 1]; lengths are in pixels or in disc diameters.
Proportions follow textbook anatomy (fovea 2.5 disc diameters from the disc); colours are ours, by
eye.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np

from benchmark.data.synthetic.fields import Shape, blurred, fractal, noise, ramp
from benchmark.data.synthetic.fundus_plan import Camera, Eye

Rng = np.random.Generator
FINE = 3  # vessels are drawn on a grid this much finer
PIECES = 6  # of one width each, in a vessel
BRANCH = np.linspace(0, 1, 16)
ORANGE = np.array([0.80, 0.40, 0.19], np.float32)
BROWN = np.array([0.50, 0.24, 0.12], np.float32)
DISC = np.array([0.97, 0.80, 0.52], np.float32)
CUP = np.array([1.00, 0.93, 0.76], np.float32)
BLOOD = np.array([0.40, 0.07, 0.05], np.float32)
ARTERY = np.array([0.62, 0.16, 0.09], np.float32)
FOVEA_FROM_DISC = 2.5  # disc diameters


@dataclass
class Retina:
    """A fundus in the making.

    Attributes:
        colour: (H, W, 3) without light, over the whole square.
        centre: row and column of the round field's centre.
        radius: of the field, in pixels.
        unit: the disc's diameter in pixels.
        disc: row and column of the disc's centre.
        fovea: row and column of the fovea.
        gleam: (H, W) reflexes, added by the light.
        marks: sign -> (H, W) bool, what is truly there.
    """

    colour: np.ndarray
    centre: np.ndarray
    radius: float
    unit: float
    disc: np.ndarray
    fovea: np.ndarray
    gleam: np.ndarray
    marks: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def shape(self) -> Shape:
        """(H, W)."""
        return self.gleam.shape

    def distance(self, place: np.ndarray) -> np.ndarray:
        """(H, W) float32, in disc diameters, from a row and column."""
        height, width = self.shape
        rows = np.arange(height, dtype=np.float32)[:, None] - np.float32(place[0])
        columns = np.arange(width, dtype=np.float32)[None, :] - np.float32(place[1])
        return np.sqrt(rows * rows + columns * columns) / np.float32(self.unit)

    @property
    def inside(self) -> np.ndarray:
        """(H, W) bool, the round field."""
        return self.distance(self.centre) * self.unit < self.radius

    def paint(self, alpha: np.ndarray, colour: np.ndarray) -> None:
        """Lay `colour` (3,) or (H, W, 3) over the picture with opacity `alpha` (H, W)."""
        self.colour += alpha[..., None] * (colour - self.colour)


def healthy(eye: Eye, rng: Rng) -> Retina:
    """The fundus of `eye` without vessels, which lie over some signs of disease."""
    size = eye.size
    radius = eye.camera.field * size
    centre = size / 2 + rng.uniform(-0.02, 0.02, 2) * size
    unit = rng.uniform(0.26, 0.31) * radius
    nasal = 1.0 if eye.side == "R" else -1.0
    # Centred on the macula, or between macula and disc.
    fovea = centre + unit * np.array([rng.normal(0, 0.12), -nasal * rng.uniform(-0.1, 1.1)])
    tilt = rng.normal(0.1, 0.06)
    disc = fovea + unit * FOVEA_FROM_DISC * np.array([-np.sin(tilt), nasal * np.cos(tilt)])
    retina = Retina(
        colour=np.empty((size, size, 3), np.float32),
        centre=centre,
        radius=radius,
        unit=unit,
        disc=disc,
        fovea=fovea,
        gleam=np.zeros((size, size), np.float32),
    )
    _background(retina, eye, rng)
    _macula(retina, eye, rng)
    _disc(retina, rng)
    return retina


def _background(retina: Retina, eye: Eye, rng: Rng) -> None:
    shape, unit = retina.shape, retina.unit
    base = ORANGE + np.float32(eye.pigment) * (BROWN - ORANGE)
    texture = 0.045 * fractal(rng, shape, 0.9 * unit, 4, 0.7) + 0.012 * noise(rng, shape, 1.5)
    retina.colour[:] = base * (1 + texture[..., None])
    # The choroid's vessels show where there is little pigment.
    tangle = np.abs(fractal(rng, shape, 0.55 * unit, 2, 0.4))
    shown = 0.10 * rng.uniform(0.2, 1.0) * ramp(tangle, 0.25, 0.0)
    retina.colour *= 1 + shown[..., None] * np.array([1.0, 0.9, 0.5], np.float32)


def _macula(retina: Retina, eye: Eye, rng: Rng) -> None:
    away = retina.distance(retina.fovea)
    dark = 0.32 * np.exp(-((away / 0.75) ** 2)) + 0.16 * np.exp(-((away / 0.28) ** 2))
    retina.colour *= 1 - dark[..., None] * np.array([0.85, 1.0, 1.0], np.float32)
    strength = eye.youth * rng.uniform(0.5, 1.0)
    retina.gleam += 0.22 * strength * np.exp(-((away / 0.045) ** 2))


def _disc(retina: Retina, rng: Rng) -> None:
    shape, unit = retina.shape, retina.unit
    rim = 0.02 * noise(rng, shape, 0.3 * unit)
    away = retina.distance(retina.disc) + rim
    crescent = rng.uniform(0, 0.35)
    retina.paint(crescent * ramp(away, 0.62, 0.52), BROWN * 0.7)
    retina.paint(0.93 * ramp(away, 0.53, 0.46), DISC)
    cup = retina.disc + unit * rng.normal(0, 0.04, 2)
    ratio = rng.uniform(0.2, 0.32)
    retina.paint(0.85 * ramp(retina.distance(cup), ratio, ratio * 0.6), CUP)
    retina.paint(0.10 * ramp(away, 0.9, 0.4), DISC)


def vessels(retina: Retina, rng: Rng) -> None:
    """Grow arteries and veins from the disc: two arcades about the macula, two nasal pairs."""
    size = retina.shape[0] * FINE
    strength = {vein: np.zeros((size, size), np.uint8) for vein in (True, False)}
    reflex = np.zeros((size, size), np.uint8)
    for vein in (True, False):
        width = retina.unit * (0.105 if vein else 0.08) * rng.uniform(0.9, 1.1)
        for path in _trunks(retina, vein, rng):
            _grow(strength[vein], None if vein else reflex, path, width, retina.unit, 3, rng)
    # Around the fovea there are no vessels.
    free = ramp(retina.distance(retina.fovea), 0.22, 0.5)
    for vein, colour in ((True, BLOOD), (False, ARTERY)):
        retina.paint((0.78 if vein else 0.72) * shrunk(strength[vein]) * free, colour)
    retina.gleam += 0.10 * shrunk(reflex) * free


def _trunks(retina: Retina, vein: bool, rng: Rng) -> list[np.ndarray]:
    """Paths of the eight main vessels of one kind, (N, 2) rows and columns."""
    toward = retina.fovea - retina.disc
    along = toward / np.linalg.norm(toward)
    down = np.array([abs(along[1]), -along[0] * np.sign(along[1])])
    steps = np.linspace(0, 1, 40)
    paths = []
    for side in (-1, 1):
        # x = 2.5 is the fovea; the arcade passes it well above or below.
        height = (1.65 + (0.2 if vein else 0.0)) * rng.uniform(0.9, 1.12)
        x = 5.2 * steps**1.7
        y = height * np.sqrt(x / FOVEA_FROM_DISC) * (1 - 0.12 * np.maximum(x - 2.5, 0))
        paths.append((x, side * y))
        reach, angle = 3.2 * steps, rng.uniform(0.55, 1.0)
        bend = rng.normal(0, 0.25)
        paths.append(
            (-reach * np.cos(angle + bend * steps), side * reach * np.sin(angle + bend * steps))
        )
    placed = []
    for x, y in paths:
        sway = 0.05 * np.cumsum(rng.normal(0, 1, 40)) * steps / 3
        points = retina.disc + retina.unit * (
            np.outer(x, along) + np.outer(y + sway + rng.normal(0, 0.04), down)
        )
        placed.append(points)
    return placed


def _grow(
    canvas: np.ndarray,
    reflex: np.ndarray | None,
    path: np.ndarray,
    width: float,
    unit: float,
    depth: int,
    rng: Rng,
) -> None:
    """Draw one vessel, thinning along `path` (N, 2), and its branches to a depth."""
    draw(canvas, path, width)
    if reflex is not None and depth == 3:
        draw(reflex, path, width * 0.3)
    if depth == 0 or width * FINE < 1.2:
        return
    branches = rng.integers(3, 6) if depth == 3 else rng.integers(1, 4)
    for place in np.sort(rng.uniform(0.15, 0.95, branches)):
        start = int(place * (len(path) - 2)) + 1
        heading = path[start] - path[start - 1]
        angle = np.arctan2(heading[0], heading[1]) + rng.choice([-1, 1]) * rng.uniform(0.4, 0.95)
        length = unit * rng.uniform(0.5, 1.4) * (0.55 + 0.2 * depth)
        angles = angle + rng.normal(0, 0.5) * BRANCH + 0.12 * np.cumsum(rng.normal(0, 1, 16))
        moves = np.stack([np.sin(angles), np.cos(angles)], 1) * length / 16
        child = np.vstack([path[start], path[start] + np.cumsum(moves, 0)])
        thinner = width * (1 - 0.55 * place) * rng.uniform(0.5, 0.75)
        _grow(canvas, reflex, child, thinner, unit, depth - 1, rng)


def draw(canvas: np.ndarray, path: np.ndarray, width: float) -> None:
    """Draw a vessel into a fine grid, (FINE * H, FINE * W) uint8.

    Its width falls to 45 % along `path`, (N, 2) rows and columns; below a pixel it fades instead.
    """
    points = np.round((path[:, ::-1] + 0.5) * FINE * 16).astype(np.int32)
    cuts = [piece * (len(points) - 1) // PIECES for piece in range(PIECES + 1)]
    for piece, (first, last) in enumerate(pairwise(cuts)):
        thickness = width * FINE * (1 - 0.55 * piece / (PIECES - 1))
        shade = round(255 * min(1.0, max(thickness, 0.35)))
        cv2.polylines(
            canvas,
            [points[first : last + 1]],
            False,
            shade,
            max(1, round(thickness)),
            cv2.LINE_AA,
            shift=4,
        )


def shrunk(fine: np.ndarray) -> np.ndarray:
    """A fine grid as opacity: (H, W) float32 from 0 to 1."""
    size = fine.shape[0] // FINE
    return cv2.resize(fine, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def photograph(retina: Retina, camera: Camera, rng: Rng) -> np.ndarray:
    """Light the fundus and photograph it: (H, W, 3) uint8, RGB, black outside the field."""
    shape, size = retina.shape, retina.shape[0]
    lit = retina.colour * _light(retina, rng)[..., None] + retina.gleam[..., None]
    lit *= np.array(camera.gains, np.float32)
    haze = rng.uniform(0, 0.06)
    lit = lit * (1 - haze) + haze * np.array([0.9, 0.7, 0.5], np.float32)
    lit = blurred(lit, camera.blur / 1000 * size)
    edge = retina.distance(retina.centre) * retina.unit / retina.radius
    lit += _glare(retina, edge, rng)[..., None] * np.array([0.55, 0.65, 0.8], np.float32)
    lit *= ramp(edge * retina.radius, retina.radius + 1, retina.radius - 1)[..., None]
    lit = np.clip(lit, 0, None) ** np.float32(camera.gamma)
    over = np.maximum(lit - 0.85, 0) / 0.15
    lit = np.minimum(lit, 0.85) + 0.15 * (1 - np.exp(-over))
    lit += rng.standard_normal((*shape, 3), dtype=np.float32) * np.float32(camera.noise)
    return np.clip(lit * 255 + 0.5, 0, 255).astype(np.uint8)


def _light(retina: Retina, rng: Rng) -> np.ndarray:
    place = retina.centre + rng.normal(0, 0.22, 2) * retina.radius
    away = retina.distance(place) * retina.unit / retina.radius
    light = rng.uniform(0.85, 1.2) * (1 - rng.uniform(0.12, 0.38) * away**2)
    patches = 0.03 * noise(rng, retina.shape, 0.7 * retina.radius)
    return np.clip(light + patches, 0.15, None).astype(np.float32)


def _glare(retina: Retina, edge: np.ndarray, rng: Rng) -> np.ndarray:
    """A crescent of stray light at the field's border, in some photographs."""
    angle, strength = rng.uniform(0, 2 * np.pi), 0.35 * rng.uniform() * (rng.random() < 0.3)
    side = retina.centre + retina.radius * np.array([np.sin(angle), np.cos(angle)])
    near = np.exp(-((retina.distance(side) / 1.1) ** 2))
    return (strength * near * ramp(edge, 0.75, 1.0)).astype(np.float32)
