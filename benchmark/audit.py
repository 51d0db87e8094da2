"""Whether a method keeps to the rules, as far as that shows from outside: by what it predicts.

It is trained several times on a few made images whose test part is changed in between. What it says
may not depend on what it must not look at. What is on disk is changed, so it does not matter how a
method would look.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from PIL import Image

from benchmark.common.progress import Display
from benchmark.errors import UserError
from benchmark.methods.base import Method
from benchmark.records import predictions
from benchmark.registry import METHODS
from benchmark.run import run
from tasks.given import ONLY

# Of each class in each part. Ours: enough for a batch of every part, few enough for seconds.
_COUNTS = {"train": 8, "validation": 4, "test": 4}
_CLASSES = ("dark", "grey", "light")
_SIDE = 65
_ARCH = "MobileNetV2"


@dataclass(frozen=True)
class Rule:
    """One rule and how the data are changed to see whether it is kept.

    Attributes:
        name: what may not matter.
        change: (table, images by id) of the made data -> those of the second run.
        judged: whether a test image, by its place among them, is compared.
    """

    name: str
    change: Callable[[pd.DataFrame, dict[str, np.ndarray]], None]
    judged: Callable[[int], bool] = lambda place: True


def rules(method: type[Method]) -> Iterator[Rule]:
    """What `audit` looks for in a method."""
    yield Rule("chance, but for the seed", lambda table, images: None)
    yield Rule("the labels of test images", _other_labels)
    # Of a method that says that it normalises test images by their batch, it is known.
    if not method.batch_statistics:
        yield Rule("the other test images", _other_images, lambda place: place % 2 == 0)


def audit(name: str, framework: str, display: Display | None = None) -> list[str]:
    """Train a method on made data and again on changed ones.

    Args:
        name: of a method for tasks with one class per image.
        framework: that of this process.
        display: where progress goes; none by default.

    Returns:
        The names of the rules that were seen to be kept.

    Raises:
        UserError: it predicts otherwise, or it trains no network on such data.
    """
    method = METHODS.get(name)
    if not method.trains or method.joint:
        raise UserError(
            f"method {name} {'grades several diseases' if method.joint else 'does not train'}: only"
            " methods that learn one class per image are audited"
        )
    with TemporaryDirectory(prefix="dermbench-") as folder:
        first = _said(name, framework, Path(folder) / "0", None, display)
        kept = []
        for number, rule in enumerate(rules(method), 1):
            again = _said(name, framework, Path(folder) / str(number), rule, display)
            differing = [
                sample
                for place, sample in enumerate(sorted(first))
                if rule.judged(place) and not np.array_equal(first[sample], again[sample])
            ]
            if differing:
                raise UserError(
                    f"method {name} heeds what it must not, {rule.name}: with others it says"
                    f" otherwise of {len(differing)} test images"
                )
            kept.append(rule.name)
    return kept


def _said(
    name: str, framework: str, folder: Path, rule: Rule | None, display: Display | None
) -> dict[str, np.ndarray]:
    """Test image -> its probabilities, by a network that was trained on the data of a rule."""
    table, images = _made()
    if rule is not None:
        rule.change(table, images)
    (folder / "data" / "images").mkdir(parents=True)
    table.to_csv(folder / "data" / "table.csv", index=False)
    for sample, pixels in images.items():
        Image.fromarray(pixels).save(folder / "data" / "images" / f"{sample}.png")
    record = run(
        _ARCH,
        "diagnosis",
        method=name,
        framework=framework,
        dataset="folder",
        data_dir=folder / "data",
        budget="smoke",
        out=folder,
        display=display,
    )
    said = predictions.load(folder, record)[ONLY]
    return dict(zip(said.ids, said.probabilities, strict=True))


def _made() -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Noise of three brightnesses, each image of a patient of its own, in three parts."""
    generator = np.random.default_rng(0)
    rows, images = [], {}
    for part, count in _COUNTS.items():
        for position, label in enumerate(_CLASSES):
            for number in range(count):
                sample = f"{part}-{label}-{number}"
                rows.append((sample, label, f"patient {sample}", part))
                low = 60 * position
                images[sample] = generator.integers(low, low + 130, (_SIDE, _SIDE, 3), np.uint8)
    return pd.DataFrame(rows, columns=["id", "label", "patient", "split"]), images


def _other_labels(table: pd.DataFrame, images: dict[str, np.ndarray]) -> None:
    test = table["split"] == "test"
    following = dict(zip(_CLASSES, (*_CLASSES[1:], _CLASSES[0]), strict=True))
    table.loc[test, "label"] = table.loc[test, "label"].map(following)


def _other_images(table: pd.DataFrame, images: dict[str, np.ndarray]) -> None:
    """Every second test image, in the order in which they are predicted, is another."""
    generator = np.random.default_rng(1)
    for sample in sorted(table.loc[table["split"] == "test", "id"])[1::2]:
        images[sample] = generator.integers(0, 256, (_SIDE, _SIDE, 3), np.uint8)
