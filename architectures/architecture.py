"""What is known of a ConvNet before it is built: the row that the catalogue has of each."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmark.errors import UserError

ImageSize = tuple[int, int]

LEAST_MAP = 3
"""A Grad-CAM map smaller than this along a side says nothing about where a network looks (ours)."""

# What one downsampling layer does to a side of n pixels. "ceil": SAME padding, or the explicit
# padding of the ResNets; "floor": unpadded 2x2 pooling, or the (0, 1) padding of MobileNet;
# "valid": unpadded 3x3 with stride 2; "trim": unpadded 3x3 with stride 1.
_STEPS: dict[str, Callable[[int], int]] = {
    "ceil": lambda n: (n + 1) // 2,
    "floor": lambda n: n // 2,
    "valid": lambda n: (n - 1) // 2,
    "trim": lambda n: n - 2,
}


@dataclass(frozen=True)
class PaperSettings:
    """How the DermXDB benchmark (Jalaboi et al., arXiv 2302.12084) trained one architecture.

    From the published code (github.com/ralucaj/dermx-benchmark: review_paper/train.py, finetune.py,
    hpo.py, utils.py; generate_gradcams.ipynb at f41883d). None: not found there.

    Attributes:
        image_size: (height, width) in pixels; the aspect ratio was not kept.
        rotation: largest angle, degrees.
        shear, zoom: the ranges given to Keras' ImageDataGenerator.
        brightness: (lowest, highest) factor.
        learning_rate: of Adam, constant.
        last_fixed_layer: Keras layer; every layer up to and including it is frozen, except
            BatchNormalization.
        fixed_rows: how many weighted layers of the Keras network (BatchNormalization included) that
            is, counted from the input in the order of `model.layers`.
        head: layers between the last map and the logits, in order: "pool" (global average),
            "flatten", "batchnorm", "dropout", "dense".
        pretrain_epochs: on the clinical images; inferred in the dossier from equal scores.
        finetune_epochs: on DermXDB.
        cam_layer: Keras layer of the published Grad-CAM maps, as the authors' session numbered it.
        cam_score: what those maps differentiate: the softmax "probability" or, where their code
            takes the last activation away, the "logit" of the class.
        flips: whether images are flipped at random, both horizontally and vertically.
        batch_size: images per step (32 after an out-of-memory error).
        optimiser: the optimiser's name.
    """

    image_size: ImageSize
    rotation: float
    shear: float
    zoom: float
    brightness: tuple[float, float]
    learning_rate: float
    last_fixed_layer: str
    fixed_rows: int
    head: tuple[str, ...]
    pretrain_epochs: int | None
    finetune_epochs: int | None
    cam_layer: str | None
    cam_score: str = "probability"
    flips: bool = True
    batch_size: int = 64
    optimiser: str = "adam"


@dataclass(frozen=True)
class Architecture:
    """One ConvNet, the same function in both frameworks.

    Attributes:
        name: spelled as in keras.applications.
        aliases: other spellings that `find` takes, in lower case.
        year, paper: of the publication that describes it.
        native_size: side of the square images it was published for, pixels.
        preprocessing: what happens to RGB pixels of 0..255 before the first convolution, in the
            words of keras.applications: "tf" (to -1..1), "torch" (ImageNet mean and deviation),
            "caffe" (BGR minus the ImageNet mean), "none" (the network has input layers of its own).
        keras_cam: Keras layer whose output Grad-CAM explains: the whole last map (VGG16: the last
            map before block5_pool, as in DermXDB). NASNetMobile's has an automatic name, which is
            the one of a fresh session.
        torch_cam: the PyTorch module that gives the same tensor.
        torch_paper_cam: where `settings.cam_layer` lies before `keras_cam`: the PyTorch module that
            gives its output, and the one that leads from there to `torch_cam`'s. None: the paper's
            map is ours, or none is published.
        channels: of that map, and length of the pooled features.
        steps: what each downsampling layer up to that map does to a side, see `map_shape`.
        initialiser: how keras.applications draws the kernels when it loads no weights.
        bn_epsilon, bn_momentum: of every BatchNormalization, in the Keras convention
            (moving = momentum * moving + (1 - momentum) * batch). None: the network has none.
        drop_connect: stochastic depth, rate at the last block, growing linearly from 0.
        parameters: weights of the Keras network with its 1000-class head.
        base_parameters: weights of the Keras network without head.
        timm: timm's model of this name, for weights="timm". None: timm has no such network.
        twin: timm's model that is mended to be the Keras network's twin. None: the twin is ours.
        settings: the paper's.
    """

    name: str
    aliases: tuple[str, ...]
    year: int
    paper: str
    native_size: int
    preprocessing: str
    keras_cam: str
    torch_cam: str
    channels: int
    steps: tuple[str, ...]
    parameters: int
    base_parameters: int
    timm: str | None
    twin: str | None
    settings: PaperSettings
    torch_paper_cam: tuple[str, str] | None = None
    initialiser: str = "glorot"
    bn_epsilon: float | None = 1e-3
    bn_momentum: float | None = 0.99
    drop_connect: float = 0.0

    @property
    def tail_apart(self) -> bool:
        """Whether what follows the Grad-CAM map is a part of its own, which libraries may run."""
        return True

    @property
    def least_size(self) -> int:
        """The least side of an image, in pixels, that leaves a map of at least 3x3."""
        side = LEAST_MAP
        while _map_side(self, side) < LEAST_MAP:
            side += 1
        return side


def map_shape(architecture: Architecture, image_size: ImageSize) -> ImageSize:
    """(height, width) of the Grad-CAM map for images of (height, width) pixels."""
    height, width = image_size
    return _map_side(architecture, height), _map_side(architecture, width)


def check_image_size(architecture: Architecture, image_size: ImageSize) -> None:
    """Refuse an image size that leaves a map smaller than 3x3.

    Raises:
        UserError: names the least size of this architecture.
    """
    if min(map_shape(architecture, image_size)) < LEAST_MAP:
        height, width = image_size
        raise UserError(
            f"images of {height}x{width} are too small for {architecture.name}: its Grad-CAM map"
            f" would be less than {LEAST_MAP}x{LEAST_MAP}. Use an image size of at least"
            f" {architecture.least_size}"
        )


def _map_side(architecture: Architecture, side: int) -> int:
    for step in architecture.steps:
        side = _STEPS[step](side)
    return side
