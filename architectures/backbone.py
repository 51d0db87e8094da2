"""What another package or a plugin file adds as `--arch NAME`: a backbone, under our head.

It is announced as `dermbench.architectures`, or as "architectures" of a plugin file. Nothing is
imported here: a subclass imports its framework where it builds.
"""

from typing import Any, ClassVar

from benchmark.errors import UserError


class Backbone:
    """An architecture in PyTorch, in Keras, or in both; a subclass writes `torch`, `keras` or both.

    Attributes:
        name: for `--arch`, as it is announced.
        paper: where it is from.
        mean, deviation: the backbone is given (pixels / 255 - mean) / deviation, by channel of RGB;
            ImageNet's where nothing is said.
        torch_cam: the module whose output, a map or tokens on a grid, Grad-CAM explains.
        keras_cam: likewise the layer; "": what `keras` ends in.
    """

    name: ClassVar[str]
    paper: ClassVar[str] = "none"
    mean: ClassVar[tuple[float, float, float]] = (0.485, 0.456, 0.406)
    deviation: ClassVar[tuple[float, float, float]] = (0.229, 0.224, 0.225)
    torch_cam: ClassVar[str] = ""
    keras_cam: ClassVar[str] = ""

    def torch(self, image_size: tuple[int, int]) -> Any:
        """A torch.nn.Module: (N, 3, H, W) float -> features (N, D).

        Its weights are drawn from torch's own generator, which the run's seed has set.
        """
        raise UserError(f"{self.name} is not in torch: give --framework keras")

    def keras(self, image_size: tuple[int, int]) -> Any:
        """A functional keras.Model: (N, H, W, 3) float -> map (N, h, w, C); features are its mean.

        Its weights are drawn from Keras' generator, which the run's seed has set.
        """
        raise UserError(f"{self.name} is not in keras: give --framework torch")

    @classmethod
    def frameworks(cls) -> tuple[str, ...]:
        """Those that it is written for."""
        return tuple(
            framework
            for framework in ("torch", "keras")
            if getattr(cls, framework) is not getattr(Backbone, framework)
        )
