"""Explained predictions: which images, the check of additivity, the sheet. No framework needed."""

import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmark.common.progress import SilentDisplay
from benchmark.data.pipeline import Samples
from benchmark.explain.base import Attributor, mean_colours, plain
from benchmark.explain.predictions import explain_predictions, first_by_hash
from benchmark.explain.shap_explainer import Shap
from benchmark.pictures.explained import Explained, explained_predictions

SIDE, CLASSES = 8, ("nevus", "melanoma")
IDS = [f"image-{number}" for number in range(9)]


class Linear:
    """Class 1 by its brightness on the left, class 0 by what is in the middle of the right."""

    framework, image_size, classes = "torch", (SIDE, SIDE), 2

    def __init__(self):
        self.weights = np.zeros((SIDE, SIDE, 2))
        self.weights[:, : SIDE // 2, 1] = 1 / 255
        self.weights[2:6, 5:7, 0] = -1 / 255

    def logits(self, images, batch_size=32):
        grey = images.astype(np.float64).mean(-1)
        return np.einsum("nhw,hwk->nk", grey, self.weights).astype(np.float32)

    def shares(self, image, target):
        """(H, W): the Shapley values of a linear function, the plain image being hidden."""
        hidden = plain(mean_colours(image[None]), image[None])[0]
        return (image.astype(float) - hidden).mean(-1) * self.weights[..., target]


class Exact(Attributor):
    """Shapley values of `Linear`, times a factor that is 1 where it does right."""

    name, modules, factor = "exact", {}, 1.0

    def _maps(self, network, images, targets):
        each = [network.shares(*case) for case in zip(images, targets, strict=True)]
        return self.factor * np.stack(each)


class Told(SilentDisplay):
    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line)


@pytest.fixture
def samples():
    pixels = np.random.default_rng(0).integers(0, 256, (len(IDS), SIDE, SIDE, 3), np.uint8)
    return Samples(pixels, np.arange(len(IDS)), np.arange(len(IDS)) % 2)


def _probabilities(samples):
    odds = np.exp(Linear().logits(samples.pixels[samples.rows]))
    return odds / odds.sum(axis=1, keepdims=True)


def _explain(samples, folder, explainer=None, ids=IDS, display=None, most=4):
    return explain_predictions(
        Linear(),
        explainer or Exact(),
        samples,
        ids,
        CLASSES,
        _probabilities(samples),
        folder,
        "hand",
        display or SilentDisplay(),
        most,
    )


def test_the_images_are_chosen_by_their_ids_whatever_their_order(samples, tmp_path):
    order = np.random.default_rng(1).permutation(len(IDS))
    chosen = {IDS[place] for place in first_by_hash(IDS, 4)}
    mixed = [IDS[place] for place in order]
    assert {mixed[place] for place in first_by_hash(mixed, 4)} == chosen
    _, table = _explain(samples, tmp_path)
    assert set(pd.read_csv(table)["id"]) == chosen
    assert first_by_hash(IDS, 99) == list(range(len(IDS)))


def test_the_table_tells_the_prediction_and_that_the_shares_are_the_whole_logit(samples, tmp_path):
    _, table = _explain(samples, tmp_path)
    probabilities = _probabilities(samples)
    for row in pd.read_csv(table).itertuples():
        place = IDS.index(row.id)
        said = probabilities[place].argmax()
        assert row.true == CLASSES[samples.labels[place]]
        assert row.predicted == CLASSES[said]
        assert row.probability == pytest.approx(probabilities[place, said])
        assert row.logit == pytest.approx(
            Linear().logits(samples.pixels[place : place + 1])[0, said]
        )
        assert row.base + row.attributed == pytest.approx(row.logit, abs=1e-4)
        assert abs(row.error) < 1e-4


def test_shares_that_are_not_the_logit_show_in_the_table(samples, tmp_path):
    wrong = Exact()
    wrong.factor = 1.5
    found = pd.read_csv(_explain(samples, tmp_path, wrong)[1])
    assert (found["error"].abs() > 1e-3).all()
    assert found["error"].to_numpy() == pytest.approx(-found["attributed"].to_numpy() / 3, abs=1e-4)


def test_shap_explains_the_predicted_class_and_nothing_that_the_network_ignores(samples, tmp_path):
    pytest.importorskip("shap")
    sheet, table = _explain(samples, tmp_path, Shap(), most=2)
    found = pd.read_csv(table)
    assert sheet == tmp_path / "plots" / "shap-predictions.png"
    assert table == tmp_path / "shap-predictions.csv"
    assert found["error"].abs().max() < 1e-4
    assert found["attributed"].abs().min() > 1e-3
    place = first_by_hash(IDS, 1)
    image, target = samples.pixels[place], _probabilities(samples)[place].argmax(axis=1)
    values = Shap().attributions(Linear(), image, target)[0]
    expected = Linear().shares(image[0], target[0])
    # Pixels of a part share its value evenly; quarters are parts.
    np.testing.assert_allclose(_quarters(values), _quarters(expected), atol=1e-5)
    ignored = slice(SIDE // 2, None) if target[0] else slice(SIDE // 2)
    assert np.abs(values[:, ignored]).max() < 1e-6


def test_without_the_package_the_run_goes_on_and_is_told_what_to_install(
    samples, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "shap", None)
    monkeypatch.setattr("benchmark.explain.base.find_spec", lambda module: None)
    display = Told()
    assert _explain(samples, tmp_path, Shap(), display=display) == []
    assert list(tmp_path.iterdir()) == []
    (line,) = display.lines
    assert "pip install 'dermbench[explain]'" in line


def _quarters(values):
    return values.reshape(2, SIDE // 2, 2, SIDE // 2).sum((1, 3))


def _exhibit(values, **changes):
    told = {
        "id": "a$1",
        "true": "nevus",
        "predicted": "melanoma",
        "probability": 0.7,
        "photograph": np.full((SIDE, SIDE, 3), 90, np.uint8),
        "values": values,
    }
    return Explained(**{**told, **changes})


def test_what_speaks_for_is_orange_and_what_speaks_against_purple(tmp_path):
    values = np.zeros((SIDE, SIDE))
    values[:, :2], values[:, -2:] = 0.001, -0.001
    explained_predictions([_exhibit(values)], tmp_path / "one.png", "Title")
    image = np.asarray(Image.open(tmp_path / "one.png").convert("RGB")).astype(int)
    red, _, blue = np.moveaxis(image[: image.shape[0] * 2 // 3], -1, 0)
    orange, purple = np.nonzero(red - blue > 80)[1], np.nonzero(blue - red > 20)[1]
    assert len(orange) > 1000
    assert len(orange) == pytest.approx(len(purple), rel=0.1)
    assert orange.max() < purple.min()


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_same_exhibits_give_the_same_bytes(count, tmp_path):
    exhibits = [_exhibit(np.zeros((SIDE, SIDE)), id=f"{n}") for n in range(count)]
    for name in ("one.png", "other.png"):
        explained_predictions(exhibits, tmp_path / name, "Title")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "other.png").read_bytes()


def test_a_sheet_of_nothing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one exhibit"):
        explained_predictions([], tmp_path / "none.png", "Title")
