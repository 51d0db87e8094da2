"""What an explainer is: a map of one class per image, of a trained network in either framework.

The explainers lie beside this file; what needs a framework, in `torch_explainers` and
`keras_explainers`.
"""

from abc import ABC, abstractmethod
from importlib import import_module
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np

from architectures import Architecture
from architectures.network import Network
from benchmark.errors import UserError, needs_package

# Modules of the libraries and what pip calls them.
_DISTRIBUTIONS = {
    "captum": "captum",
    "pytorch_grad_cam": "grad-cam",
    "shap": "shap",
    "tf_keras_vis": "tf-keras-vis",
    "torchcam": "torchcam",
}


class Explainer(ABC):
    """One way to ask a network where it looks. Subclasses say where it is from.

    Class attributes:
        name: as typed on the command line.
        summary: one line for `list`.
        paper: citation.
        frameworks: the frameworks it runs in.
        modules: framework to the module of the library that it needs there; none: ours.
        library: the same in words; "": ours.
        settings: each setting's name to its value and where that comes from, for `describe`.
        every_class: whether the maps of all classes cost little more than that of one.
        additive: the sum that its attributions keep; "": none.
        last_map: whether it needs what follows the last map, see `Architecture.tail_apart`.
        same_in_both: whether the two frameworks give one map, given the same weights; if not, the
            leaderboard ranks them apart.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    paper: ClassVar[str]
    frameworks: ClassVar[frozenset[str]] = frozenset({"torch", "keras"})
    modules: ClassVar[dict[str, str]] = {}
    library: ClassVar[str] = ""
    settings: ClassVar[dict[str, str]] = {}
    every_class: ClassVar[bool] = False
    last_map: ClassVar[bool] = False
    additive: ClassVar[str] = ""
    same_in_both: ClassVar[bool] = True

    @classmethod
    def require(cls, framework: str) -> None:
        """See that this explainer can run in the framework: ask before training, not after it.

        Raises:
            UserError: the framework is not among `frameworks`, or the library is not installed.
        """
        if framework not in cls.frameworks:
            raise UserError(
                f"explainer {cls.name!r} runs in {' and '.join(sorted(cls.frameworks))} only, not"
                f" in {framework}: choose another explainer or framework"
            )
        module = cls.modules.get(framework)
        if module is not None and find_spec(module) is None:
            package = _DISTRIBUTIONS.get(module, module)
            raise needs_package(package, "explain", f"--explainer {cls.name}")

    @classmethod
    def require_tail(cls, architecture: Architecture) -> None:
        """See that the network has what this explainer needs of it: ask before training, too.

        Raises:
            UserError: it needs what follows the last map, which is no part of its own there.
        """
        if cls.last_map and not architecture.tail_apart:
            raise UserError(
                f"explainer {cls.name!r} needs the part of the network that follows its last map,"
                f" which {architecture.name} does not have apart: choose gradcam, or an explainer"
                " of pixels"
            )

    def maps(self, network: Network, images: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """The map of the target class's logit, for each image.

        Args:
            network: a trained network.
            images: (B, H, W, 3) uint8 RGB of the network's size.
            targets: (B,) int, the class to explain, 0 to classes - 1.

        Returns:
            (B, h, w) float32, non-negative, not normalised; h and w are the explainer's own.

        Raises:
            UserError: as `require`, or the images are not of the network's size.
            ValueError: the targets do not fit the images or the classes.
        """
        targets = self._checked(network, images, targets)
        return np.maximum(self._maps(network, images, targets), 0).astype(np.float32)

    def class_maps(self, network: Network, images: np.ndarray) -> np.ndarray:
        """The maps of every class, (B, classes, h, w) float32; arguments and errors as `maps`."""
        each = [
            self.maps(network, images, np.full(len(images), target))
            for target in range(network.classes)
        ]
        return np.stack(each, 1)

    def beside_published(
        self, network: Network, images: np.ndarray, targets: np.ndarray | None, said: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """`maps` of the targets, of None `class_maps`; beside them the published rule's of `said`.

        Two passes at least, which Grad-CAM shares.
        """
        if targets is None:
            own = self.class_maps(network, images)
        else:
            own = self.maps(network, images, targets)
        return own, network.gradcam(images, said, paper=True)

    @abstractmethod
    def _maps(self, network: Network, images: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """(B, h, w); what is negative in it counts as zero."""

    def _checked(self, network: Network, images: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """The targets as (B,) int64, once all is seen to fit."""
        self.require(network.framework)
        if self.last_map:
            self.require_tail(network.architecture)
        if images.dtype != np.uint8 or images.shape != (len(images), *network.image_size, 3):
            raise UserError(
                f"images must be (B, {network.image_size[0]}, {network.image_size[1]}, 3) uint8 for"
                f" this network, not {images.shape} {images.dtype}"
            )
        targets = np.asarray(targets)
        if targets.shape != (len(images),):
            raise ValueError(f"one target per image: {len(images)} images, targets {targets.shape}")
        if targets.size and not (targets.min() >= 0 and targets.max() < network.classes):
            raise ValueError(f"targets must lie in 0..{network.classes - 1}")
        return targets.astype(np.int64)


class Attributor(Explainer):
    """An explainer that gives every pixel a signed share of the logit.

    Its map is the positive part (ours): annotators mark what speaks for a diagnosis.
    """

    def attributions(self, network: Network, images: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """(B, H, W) float32, signed, summed over the colours; arguments and errors as `maps`."""
        targets = self._checked(network, images, targets)
        return self._maps(network, images, targets).astype(np.float32)


class OfLastMap(Explainer):
    """An explainer of the last map alone: one forward pass serves every class."""

    every_class = True
    last_map = True

    def class_maps(self, network: Network, images: np.ndarray) -> np.ndarray:
        """See `Explainer.class_maps`."""
        self._checked(network, images, np.zeros(len(images)))
        features = network.feature_map(images)
        each = [
            self._of_features(network, features, np.full(len(images), target))
            for target in range(network.classes)
        ]
        return np.maximum(np.stack(each, 1), 0).astype(np.float32)

    def _maps(self, network: Network, images: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return self._of_features(network, network.feature_map(images), targets)

    @abstractmethod
    def _of_features(
        self, network: Network, features: np.ndarray, targets: np.ndarray
    ) -> np.ndarray:
        """(B, h, w) of the Grad-CAM layer's output, features (B, h, w, C)."""


def side(network: Network) -> Any:
    """The module of the network's framework, `torch_explainers` or `keras_explainers`."""
    return import_module(f"benchmark.explain.{network.framework}_explainers")


def mean_colours(images: np.ndarray) -> np.ndarray:
    """(B, 3) uint8: the mean colour of each image, what hidden pixels get in every explainer.

    Ours. Black or white would be a lesion or a flash of its own; libraries' common zero after
    preprocessing is another colour in each architecture.
    """
    return np.rint(images.mean((1, 2))).astype(np.uint8)


def plain(colours: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Images of one colour each, of the shape and type of `like`, (B, H, W, 3) uint8."""
    return np.broadcast_to(colours[:, None, None], like.shape).copy()
