"""Published weights: where they are, where they are cached, how they are verified.

What is in them is read by `weights` (keras.applications) and by timm.
"""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from architectures.architecture import Architecture
from benchmark.errors import UserError

_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications"
_KERNELS = "weights_tf_dim_ordering_tf_kernels"


@dataclass(frozen=True)
class WeightsSource:
    """Where weights come from.

    Attributes:
        name: the file's, or timm's name for the pre-training, such as "resnet50.a1_in1k".
        path: of the file.
    """

    name: str
    path: Path


@dataclass(frozen=True)
class Published:
    """The ImageNet files of one network of keras.applications, in Keras' cache.

    Attributes:
        address: where Keras downloads the file without top.
        md5: of that file, as in the Keras sources; None: Keras publishes none.
        top: Keras' name for the file with top, whose backbone is the same.
        top_md5: of that file, likewise.
        cached_as: what Keras calls the file without top, where that differs from the address.
    """

    address: str
    md5: str | None
    top: str
    top_md5: str | None
    cached_as: str | None = None

    @property
    def name(self) -> str:
        """What Keras calls the file without top."""
        return self.cached_as or self.address.rpartition("/")[2]


def _published(folder: str, stem: str, md5: str, top_md5: str) -> Published:
    """A file named as most are."""
    address = f"{_KERAS}/{folder}/{stem}_{_KERNELS}_notop.h5"
    return Published(address, md5, f"{stem}_{_KERNELS}.h5", top_md5)


# From keras/src/applications/*.py, Keras 3.15.
KERAS_FILES = {
    "DenseNet121": _published(
        "densenet",
        "densenet121",
        "30ee3e1110167f948a6b9946edeeb738",
        "9d60b8095a5708f2dcce2bca79d332c7",
    ),
    "EfficientNetB0": Published(
        "https://storage.googleapis.com/keras-applications/efficientnetb0_notop.h5",
        "50bc09e76180e00e4465e1a485ddc09d",
        "efficientnetb0.h5",
        "902e53a9f72be733fc0bcb005b3ebbac",
    ),
    "InceptionV3": _published(
        "inception_v3",
        "inception_v3",
        "bcbd6486424b2319ff4ef7d526e38f63",
        "9a0d58056eeedaa3f26cb7ebd46da564",
    ),
    "InceptionResNetV2": _published(
        "inception_resnet_v2",
        "inception_resnet_v2",
        "d19885ff4a710c122648d3b5c3b684e4",
        "e693bd0210a403b3192acc6073ad2e96",
    ),
    "MobileNet": Published(
        f"{_KERAS}/mobilenet/mobilenet_1_0_224_tf_no_top.h5",
        None,
        "mobilenet_1_0_224_tf.h5",
        None,
    ),
    "MobileNetV2": Published(
        f"{_KERAS}/mobilenet_v2/mobilenet_v2_{_KERNELS}_1.0_224_no_top.h5",
        None,
        f"mobilenet_v2_{_KERNELS}_1.0_224.h5",
        None,
    ),
    "NASNetMobile": Published(
        f"{_KERAS}/nasnet/NASNet-mobile-no-top.h5",
        "1ed92395b5b598bdda52abe5c0dbfd63",
        "nasnet_mobile.h5",
        "020fb642bf7360b370c678b08e0adf61",
        cached_as="nasnet_mobile_no_top.h5",
    ),
    "ResNet50": _published(
        "resnet",
        "resnet50",
        "4d473c1dd8becc155b73f8504c6f6626",
        "2cb95161c43110f7111970584f804107",
    ),
    "ResNet50V2": _published(
        "resnet",
        "resnet50v2",
        "fac2f116257151a9d068a22e544a4917",
        "3ef43a0b657b3be2300d5770ece849e0",
    ),
    "VGG16": _published(
        "vgg16",
        "vgg16",
        "6d6bbae143d832006294945121d1f1fc",
        "64373286793e3c8b2b4e3219cbf3544b",
    ),
    "Xception": _published(
        "xception",
        "xception",
        "b0042744bf5b25fce3cb969f33bebb97",
        "0a58e3b7378bc2990ea3b43d5981f1f6",
    ),
}


def imagenet(architecture: Architecture) -> Path:
    """The keras.applications file in Keras' cache, downloaded if need be.

    The cache is $KERAS_HOME/models, else ~/.keras/models. The file without top is used; of the two,
    the one with top if only that is there. They are verified by the hash that Keras publishes;
    MobileNet and MobileNetV2 have none.

    Raises:
        UserError: the file is missing or damaged and cannot be downloaded.
    """
    file = KERAS_FILES[architecture.name]
    home = os.environ.get("KERAS_HOME")
    folder = (Path(home) if home else Path.home() / ".keras") / "models"
    target, top = folder / file.name, folder / file.top
    sound = top.is_file() and file.top_md5 in (None, _hash(top, "md5"))
    if not target.exists() and sound:
        return top
    return _fetch(file.address, target, f"md5:{file.md5}" if file.md5 else None)


def _hash(path: Path, kind: str) -> str:
    with path.open("rb") as stored:
        return hashlib.file_digest(stored, kind).hexdigest()


def timm_weights(hub: str | None, address: str | None, folder: Path) -> Path:
    """The file of timm's weights: from the Hugging Face cache, from `folder`, or downloaded there.

    Off the hub, a file's name may end in the start of its SHA-256, as torch's do; it is compared.

    Args:
        hub: timm's repository on the Hugging Face hub, such as "timm/resnet50.a1_in1k".
        address: where the file is when it is not on the hub.
        folder: torch's cache of checkpoints.

    Raises:
        UserError: the file is missing or damaged, or cannot be downloaded.
    """
    if not hub:
        assert address is not None  # timm publishes in one way or the other
        path = _fetch(address, folder / address.rpartition("/")[2], None)
        start = re.search(r"-([0-9a-f]{8,})\.", path.name)
        if start and not _hash(path, "sha256").startswith(start[1]):
            raise UserError(f"the weights file {path} is damaged: delete it to fetch it again")
        return path
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
    import requests

    pooch.get_logger().setLevel("WARNING")
    state = "is damaged" if target.exists() else "is missing"
    remedy = "put that file there, or start from random weights: --weights none"
    try:
        pooch.retrieve(address, known_hash, target.name, target.parent, progressbar=True)
    except requests.RequestException as error:
        raise UserError(
            f"the weights file {target} {state} and {address} cannot be downloaded"
            f" ({type(error).__name__}): {remedy}"
        ) from error
    except ValueError as error:  # pooch's for a wrong hash
        raise UserError(
            f"the weights file {target} {state} and what came from {address} is not the published"
            f" file: try again later, {remedy}"
        ) from error
    except OSError as error:
        raise UserError(
            f"the weights file {target} {state} and cannot be written ({error.strerror}): set"
            f" KERAS_HOME (TORCH_HOME for timm's) to a folder of yours, {remedy}"
        ) from error
    return target
