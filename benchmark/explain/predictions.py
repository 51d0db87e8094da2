"""Explanations of a few test predictions, for methods that promise them: a sheet and a table.

What explains every test image and is scored lies in `outputs`.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from architectures.network import Network
from benchmark.common.files import atomic_path
from benchmark.common.progress import Display
from benchmark.data.pipeline import Samples
from benchmark.errors import UserError
from benchmark.explain.base import Attributor, Explainer, mean_colours, plain
from benchmark.pictures.explained import Explained, explained_predictions

# SHAP takes 500 forward passes for each. Ours.
EXPLAINED = 6


def explain_predictions(
    network: Network,
    explainer: Explainer,
    test: Samples,
    ids: Sequence[str],
    classes: Sequence[str],
    probabilities: np.ndarray,
    folder: Path,
    shown: str,
    display: Display,
    most: int = EXPLAINED,
    first: int = 0,
) -> list[Path]:
    """Explain the predicted class of some test images.

    Writes FOLDER/plots/NAME-predictions.png, each image beside what speaks for (and against) the
    predicted class, and FOLDER/NAME-predictions.csv. NAME is the explainer's. Where that gives
    attributions, the table has the check of additivity: `base` is the logit of the plain image of
    the mean colour, `attributed` the sum of all attributions, `error` what `base` and `attributed`
    leave of the `logit`.

    A package that is not installed ends nothing: the display says what to install.

    Args:
        network: trained.
        explainer: gives maps, or signed attributions.
        test: the N test images.
        ids: their names, in the same order.
        classes: K names in label order.
        probabilities: (N, K), what the network says of them.
        folder: of the trial.
        shown: whose images they are, for the title.
        display: where progress goes.
        most: how many images, those that come first by the hash of their id: the choice depends on
            neither their order nor the network (ours).
        first: which of the network's logits is that of the first class.

    Returns:
        The files written: the picture, then the table; none without the package.
    """
    try:
        explainer.require(network.framework)
    except UserError as error:
        display.say(f"predictions are not explained: {error}")
        return []
    chosen = first_by_hash(ids, most)
    rows, exhibits = [], []
    for place in display.track(chosen, f"explaining by {explainer.name}", len(chosen)):
        image = np.array(test.pixels[test.rows[place]])
        said = int(probabilities[place].argmax())
        target = first + said
        row = {
            "id": ids[place],
            "true": classes[test.labels[place]],
            "predicted": classes[said],
            "probability": float(probabilities[place, said]),
        }
        if isinstance(explainer, Attributor):
            values, check = _attributed(network, explainer, image, target)
        else:
            values, check = explainer.maps(network, image[None], np.array([target]))[0], {}
        signed = isinstance(explainer, Attributor)
        exhibits.append(Explained(photograph=image, values=values, signed=signed, **row))
        rows.append({**row, **check})
    sheet = folder / "plots" / f"{explainer.name}-predictions.png"
    table = folder / f"{explainer.name}-predictions.csv"
    explained_predictions(
        exhibits, sheet, f"{shown}: what speaks for the predicted class, {explainer.name}"
    )
    with atomic_path(table) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False, float_format="%.9g")
    return [sheet, table]


def first_by_hash(ids: Sequence[str], most: int) -> list[int]:
    """The places, ascending, of the `most` ids that come first by their SHA-256."""
    ranked = sorted(range(len(ids)), key=lambda i: hashlib.sha256(ids[i].encode()).hexdigest())
    return sorted(ranked[:most])


def _attributed(
    network: Network, explainer: Attributor, image: np.ndarray, target: int
) -> tuple[np.ndarray, dict[str, float]]:
    """Attributions (H, W) of the target's logit, and the check of their sum."""
    values = explainer.attributions(network, image[None], np.array([target]))[0]
    both = np.concatenate([plain(mean_colours(image[None]), image[None]), image[None]])
    base, logit = network.logits(both)[:, target].astype(float)
    total = float(values.sum(dtype=np.float64))
    check = {"logit": logit, "base": base, "attributed": total, "error": logit - base - total}
    return values, check
