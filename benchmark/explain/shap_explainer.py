"""SHAP for images: Owen values of a hierarchy of image parts, by shap's PartitionExplainer."""

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from architectures.network import Network
from benchmark.explain.base import Attributor, mean_colours, plain

_EVALUATIONS = 500


class Shap(Attributor):
    """Owen values: the image is halved again and again, and each part gets its share."""

    name = "shap"
    summary = "Owen values of image parts, by shap's PartitionExplainer"
    paper = "Lundberg and Lee, NeurIPS 2017, arXiv 1705.07874; Owen 1977 for the hierarchy"
    modules: ClassVar[dict[str, str]] = {"torch": "shap", "keras": "shap"}
    library = "shap (PartitionExplainer, maskers.Image), in both"
    settings: ClassVar[dict[str, str]] = {
        "values": "Owen values, not Shapley's: parts join along a tree of axis-aligned halves; the"
        " evaluations go to the parts that matter most, pixels of a part share its value evenly",
        "score": "the logit",
        "hidden pixels": "the image's mean colour (ours; shap's example blurs)",
        "evaluations": f"{_EVALUATIONS} masked images per image (shap's default)",
        "map": "sum over the colours, positive part (ours)",
        "cost": f"{_EVALUATIONS} forward passes per image",
    }
    additive = "efficiency: the attributions sum to f(image) - f(plain image)"

    def _maps(self, network: Network, images: np.ndarray, targets: np.ndarray) -> np.ndarray:
        baselines = plain(mean_colours(images), images)
        cases = zip(images, targets, baselines, strict=True)
        return np.stack([self._owen(network, *case) for case in cases])

    def _owen(
        self, network: Network, image: np.ndarray, target: int, baseline: np.ndarray
    ) -> np.ndarray:
        """(H, W)."""
        import shap

        score: Callable[[np.ndarray], np.ndarray] = lambda x: network.logits(x)[:, target]  # noqa: E731
        explainer = shap.PartitionExplainer(score, shap.maskers.Image(baseline))
        # shap shows a bar of its own where a row takes long.
        found = explainer(image[None], max_evals=_EVALUATIONS, batch_size=32, silent=True)
        return found.values[0].sum(-1)
