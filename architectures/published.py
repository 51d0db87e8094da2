"""Published weights: where they are, where they are cached, how they are verified.

What is in them is read by `weights` (keras.applications) and by timm.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from architectures.catalogue import Architecture
from benchmark.errors import UserError

_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications"
_NOTOP = "weights_tf_dim_ordering_tf_kernels_notop.h5"


@dataclass(frozen=True)
class Published:
    """A file of keras.applications without top.

    Attributes:
        address: where Keras downloads it.
        md5: as in the Keras sources; None: Keras publishes none.
        cached_as: what Keras calls it in its cache, where that differs from the address.
    """

    address: str
    md5: str | None
    cached_as: str | None = None

    @property
    def name(self) -> str:
        """Its name in Keras' cache."""
        return self.cached_as or self.address.rpartition("/")[2]


# From keras/src/applications/*.py, Keras 3.15.
KERAS_FILES = {
    "DenseNet121": Published(
        f"{_KERAS}/densenet/densenet121_{_NOTOP}", "30ee3e1110167f948a6b9946edeeb738"
    ),
    "EfficientNetB0": Published(
        "https://storage.googleapis.com/keras-applications/efficientnetb0_notop.h5",
        "50bc09e76180e00e4465e1a485ddc09d",
    ),
    "InceptionV3": Published(
        f"{_KERAS}/inception_v3/inception_v3_{_NOTOP}", "bcbd6486424b2319ff4ef7d526e38f63"
    ),
    "InceptionResNetV2": Published(
        f"{_KERAS}/inception_resnet_v2/inception_resnet_v2_{_NOTOP}",
        "d19885ff4a710c122648d3b5c3b684e4",
    ),
    "MobileNet": Published(f"{_KERAS}/mobilenet/mobilenet_1_0_224_tf_no_top.h5", None),
    "MobileNetV2": Published(
        f"{_KERAS}/mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
        None,
    ),
    "NASNetMobile": Published(
        f"{_KERAS}/nasnet/NASNet-mobile-no-top.h5",
        "1ed92395b5b598bdda52abe5c0dbfd63",
        cached_as="nasnet_mobile_no_top.h5",
    ),
    "ResNet50": Published(f"{_KERAS}/resnet/resnet50_{_NOTOP}", "4d473c1dd8becc155b73f8504c6f6626"),
    "ResNet50V2": Published(
        f"{_KERAS}/resnet/resnet50v2_{_NOTOP}", "fac2f116257151a9d068a22e544a4917"
    ),
    "VGG16": Published(f"{_KERAS}/vgg16/vgg16_{_NOTOP}", "6d6bbae143d832006294945121d1f1fc"),
    "Xception": Published(
        f"{_KERAS}/xception/xception_{_NOTOP}", "b0042744bf5b25fce3cb969f33bebb97"
    ),
}


def imagenet(architecture: Architecture) -> Path:
    """The keras.applications file without top, in Keras' cache, downloaded if need be.

    The cache is $KERAS_HOME/models, else ~/.keras/models. The file is verified by the hash that
    Keras publishes; MobileNet and MobileNetV2 have none.

    Raises:
        UserError: the file is missing or damaged and cannot be downloaded.
    """
    file = KERAS_FILES[architecture.name]
    home = os.environ.get("KERAS_HOME")
    folder = (Path(home) if home else Path.home() / ".keras") / "models"
    return _fetch(file.address, folder / file.name, f"md5:{file.md5}" if file.md5 else None)


def timm_weights(hub: str | None, address: str | None, folder: Path) -> Path:
    """The file of timm's weights: from the Hugging Face cache, from `folder`, or downloaded there.

    timm publishes no hash of its own for these files.

    Args:
        hub: timm's repository on the Hugging Face hub, such as "timm/resnet50.a1_in1k".
        address: where the file is when it is not on the hub.
        folder: torch's cache of checkpoints.

    Raises:
        UserError: the file is missing and cannot be downloaded.
    """
    if not hub:
        assert address is not None  # timm publishes in one way or the other
        return _fetch(address, folder / address.rpartition("/")[2], None)
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(hub, "model.safetensors")
    if isinstance(cached, str):
        return Path(cached)
    # Fetched without the hub's client: offline, that retries for most of a minute.
    address = f"https://huggingface.co/{hub}/resolve/main/model.safetensors"
    return _fetch(address, folder / f"{hub.rpartition('/')[2]}.safetensors", None)


def _fetch(address: str, target: Path, known_hash: str | None) -> Path:
    """`target`, after downloading it with a progress bar if it is missing or has another hash."""
    import pooch

    pooch.get_logger().setLevel("WARNING")
    try:
        pooch.retrieve(address, known_hash, target.name, target.parent, progressbar=True)
    except (
        OSError,
        ValueError,
    ) as error:  # requests' errors are OSErrors; a wrong hash: ValueError
        state = "is damaged" if target.exists() else "is missing"
        raise UserError(
            f"the weights file {target} {state} and {address} cannot be downloaded"
            f" ({type(error).__name__}): put that file there, or build without weights"
        ) from error
    return target
