"""A test set in Keras: `Model.predict` of an array in memory."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax

from benchmark.data.images import read_image
from benchmark.speed.sides import nets
from benchmark.speed.sides.inference import test_set
from benchmark.speed.worker import Prepared
from benchmark.training.loop import PREDICTION_BATCH


def predict(settings: Mapping[str, Any], scratch: Path) -> Prepared:
    """The files are read before the clock starts."""
    dataset = test_set(settings, scratch)
    images = np.stack([read_image(path) for path in dataset.table["path"]])
    model = nets.engine(settings).network.module
    return Prepared(lambda: softmax(model.predict(images, PREDICTION_BATCH, verbose=0), axis=1))
