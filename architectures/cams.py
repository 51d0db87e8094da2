"""What Grad-CAM maps are asked of a network."""

from typing import NamedTuple

import numpy as np

from benchmark.errors import UserError


class Cam(NamedTuple):
    """Maps by one rule, see `Network.gradcam`.

    Attributes:
        targets: (N,) or (N, T) int, the classes to explain.
        paper: whether by the rule of the published maps.
    """

    targets: np.ndarray
    paper: bool = False

    def each(self, images: int, sizes: tuple[int, ...]) -> np.ndarray:
        """The targets as (N, T) int64, once they are seen to fit.

        Args:
            images: N.
            sizes: the classes of each thing that the network says.

        Raises:
            UserError: `paper` of several diseases.
            ValueError: the targets do not fit the images or the classes.
        """
        if self.paper and len(sizes) > 1:
            raise UserError("the published Grad-CAM rule is not for several diseases: use ours")
        targets = np.asarray(self.targets)
        if targets.ndim not in (1, 2) or len(targets) != images or 0 in targets.shape[1:]:
            raise ValueError(
                f"one target per image, or T >= 1: {images} images, targets {targets.shape}"
            )
        if targets.size and not (targets.min() >= 0 and targets.max() < sum(sizes)):
            raise ValueError(f"targets must lie in 0..{sum(sizes) - 1}")
        return (targets if targets.ndim == 2 else targets[:, None]).astype(np.int64)
