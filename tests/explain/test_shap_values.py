"""SHAP against games worked out by hand, and that its shares are all of every class's logit.

The file of vectors is not part of the project; where it is absent its tests are skipped.
"""

import json

import numpy as np
import pytest

from benchmark.explain.base import mean_colours, plain
from benchmark.explain.shap_explainer import Shap

shap = pytest.importorskip("shap")

# One row of three pixels; halved, the first two are one part: a pixel is a player of the game.
PIXELS = np.array([0, 50, 250], np.uint8)
IMAGE = np.repeat(PIXELS, 3).reshape(1, 1, 3, 3)


@pytest.fixture(scope="module")
def vectors(real_data):
    file = real_data.parent / "reference" / "method_vectors.json"
    if not file.is_file():
        pytest.skip("no reference/method_vectors.json beside the folder of real images")
    return json.loads(file.read_text())


class Game:
    """A network whose logit of class 1 is the worth of the pixels that are not hidden."""

    framework, image_size, classes = "torch", (1, 3), 2

    def __init__(self, worth):
        self.worth = worth

    def logits(self, images, batch_size=32):
        # Of the first colour alone: a pixel's other colours have no part in its share.
        hidden = PIXELS.mean()
        shown = (images[:, 0, :, 0] - hidden) / (PIXELS - hidden)
        return np.stack([np.zeros(len(images)), self.worth(shown)], axis=1)

    def shares(self):
        """(3,) what our explainer gives each player."""
        return Shap().attributions(self, IMAGE, np.array([1]))[0, 0]


class Curved:
    """Three classes of an image of 8 x 8: two layers, the first of them bent."""

    framework, image_size, classes = "torch", (8, 8), 3

    def __init__(self):
        generator = np.random.default_rng(0)
        self.hidden = generator.normal(size=(192, 10)) / 14
        self.last = generator.normal(size=(10, 3))

    def logits(self, images, batch_size=32):
        pixels = images.reshape(len(images), -1) / 64 - 2
        return np.tanh(pixels @ self.hidden) @ self.last


def _worth(group):
    """The game of the vectors: (N, 3) zeros and ones to (N,)."""
    values = group["game_value_by_coalition"]

    def of_coalition(present):
        return values[",".join(map(str, np.flatnonzero(present))) or "empty"]

    return lambda players: np.array([of_coalition(np.rint(each)) for each in players])


def test_a_game_with_a_hierarchy_gets_its_owen_values(vectors):
    group = vectors["shapley"]
    shares = Game(_worth(group)).shares()
    assert shares == pytest.approx(group["owen_values_partition_01_2"], abs=1e-6)
    assert shares.sum() == pytest.approx(group["v_full_minus_v_empty"], abs=1e-6)
    assert np.abs(shares - group["shapley_values"]).max() > 5e-3


# Slow for what the library compiles; it is not ours.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("explainer", "settings", "tolerance"),
    [("ExactExplainer", {}, 1e-6), ("PermutationExplainer", {"max_evals": 10_000}, 2e-3)],
)
def test_without_a_hierarchy_the_librarys_are_shapley_values(
    vectors, explainer, settings, tolerance
):
    group = vectors["shapley"]
    explained = getattr(shap, explainer)(_worth(group), shap.maskers.Independent(np.zeros((1, 3))))
    (found,) = explained(np.ones((1, 3)), **settings).values
    assert found == pytest.approx(group["shapley_values"], abs=tolerance)
    assert found.sum() == pytest.approx(group["efficiency_sum"], abs=1e-6)


def test_a_linear_function_gets_its_weights_times_what_is_above_the_background(vectors):
    group = vectors["shap_linear"]
    weights, shown, hidden = (np.array(group[name]) for name in ("w", "x", "background_mean"))
    game = Game(lambda players: (hidden + players * (shown - hidden)) @ weights)
    assert game.shares() == pytest.approx(group["phi"], abs=1e-6)


def test_the_shares_are_all_of_every_classs_logit():
    network, image = Curved(), np.random.default_rng(1).integers(0, 256, (1, 8, 8, 3), np.uint8)
    base, logits = network.logits(np.concatenate([plain(mean_colours(image), image), image]))
    each = np.repeat(image, network.classes, axis=0)
    shares = Shap().attributions(network, each, np.arange(network.classes)).sum((1, 2))
    assert base + shares == pytest.approx(logits, abs=1e-5)
    assert np.abs(logits - base).min() > 0.01
    # They are none of another class's.
    assert np.abs(np.subtract.outer(logits - base, shares))[~np.eye(3, dtype=bool)].min() > 0.01
