"""Where on the picture the disease lies: one or two irregular clusters, for all diagnoses alike."""

from dataclasses import dataclass

import numpy as np

from benchmark.data.synthetic.fields import Shape, fractal

MARGIN = 0.05  # of each side, plus a fifth of the cluster's radius
AREA = (0.11, 0.29)  # of the picture; what leaves the frame or the body is lost


@dataclass(frozen=True)
class Region:
    """The diseased part of a picture.

    Attributes:
        depth: (H, W) float32, positive inside, about 1 at the centre of a cluster, 0 on its border.
        cluster: (H, W) int, which cluster a pixel is nearest to: 0, 1.
    """

    depth: np.ndarray
    cluster: np.ndarray

    @property
    def inside(self) -> np.ndarray:
        """(H, W) bool."""
        return self.depth > 0


def draw_region(body: np.ndarray, rng: np.random.Generator) -> Region:
    """A region on the skin of `body` (H, W), its centres uniform over the frame within a margin."""
    shape: Shape = body.shape
    sides = np.array(shape, np.float32)
    unit = float(np.sqrt(body.size))
    clusters = 1 + int(rng.random() < 0.4)
    share = rng.uniform(0.35, 0.65) if clusters == 2 else 1.0
    area = rng.uniform(*AREA) * body.size
    rows = np.arange(shape[0], dtype=np.float32)[:, None]
    columns = np.arange(shape[1], dtype=np.float32)[None, :]
    depths = []
    for part in (share, 1 - share)[:clusters]:
        radius = np.sqrt(part * area / np.pi)
        margin = MARGIN * sides + radius / 5
        centre = _on_body(body, margin, rng)
        stretch, angle = np.exp(rng.uniform(0, 0.45)), rng.uniform(0, np.pi)
        away = (rows - centre[0], columns - centre[1])
        long = (np.cos(angle) * away[0] + np.sin(angle) * away[1]) / stretch
        short = (np.cos(angle) * away[1] - np.sin(angle) * away[0]) * stretch
        depths.append(1 - np.sqrt(long * long + short * short) / radius)
    ragged = 0.16 * fractal(rng, shape, 0.16 * unit, 3)
    stack = np.stack(depths)
    depth = (stack.max(0) + ragged).astype(np.float32)
    depth[body < 0.5] = -1
    return Region(depth=depth, cluster=stack.argmax(0).astype(np.int32))


def _on_body(body: np.ndarray, margin: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    sides = np.array(body.shape, np.float32)
    for _ in range(30):
        centre = rng.uniform(margin, sides - margin)
        if body[int(centre[0]), int(centre[1])] > 0.5:
            break
    return centre
