"""What happens to RGB pixels of 0..255 before the first convolution, for both frameworks.

`PREPROCESSING[kind]` is the `preprocess_input` of keras.applications (imagenet_utils.py) of that
mode. Kind "none", EfficientNetB0's input layers, is written where the network is built.
"""

from dataclasses import dataclass

import numpy as np

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Preprocessing:
    """(pixel / divisor - mean) / deviation, per channel.

    Attributes:
        divisor: of the pixels.
        mean, deviation: in the network's channel order.
        bgr: whether the network takes blue first.
    """

    divisor: float
    mean: Triple
    deviation: Triple
    bgr: bool = False


PREPROCESSING = {
    "tf": Preprocessing(127.5, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0)),
    "torch": Preprocessing(255.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "caffe": Preprocessing(1.0, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0), bgr=True),
}

# EfficientNetB0 scales twice: by 1/255 before its Normalization layer and, when built for the
# ImageNet weights, by 1/sqrt(deviation) after it, because the file's variance holds the deviation
# (github.com/tensorflow/tensorflow/issues/49930). Keras rounds both to float32 whatever its floatx.
EFFICIENTNET_SCALE = float(np.float32(1 / 255))
EFFICIENTNET_RESCALE: Triple = tuple(
    float(np.float32(1 / deviation**0.5)) for deviation in PREPROCESSING["torch"].deviation
)  # type: ignore[assignment]
