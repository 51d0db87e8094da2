"""The reliability diagram and the risk-coverage curve: what they tell, and that files repeat."""

import numpy as np
import pytest
from PIL import Image

from benchmark import pictures
from benchmark.metrics import calibration, selective


@pytest.fixture
def outputs():
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet([0.4] * 4, 200)
    return generator.integers(4, size=200), probabilities


def about(target):
    return Image.open(target).text["Description"]


def test_the_diagram_tells_the_ece_of_each_series(tmp_path, outputs):
    labels, probabilities = outputs
    softer = calibration.scaled(probabilities, 2.0)
    tables = {
        "as trained": calibration.reliability_table(labels, probabilities),
        "temperature 2": calibration.reliability_table(labels, softer),
    }
    target = tmp_path / "reliability.png"
    pictures.reliability_diagram(tables, "Reliability: hand", target)
    assert f"{calibration.ece(labels, probabilities):.3f} as trained" in about(target)
    assert f"{calibration.ece(labels, softer):.3f} temperature 2" in about(target)


def test_the_curve_tells_the_risk_with_and_without_abstention(tmp_path, outputs):
    table = selective.risk_coverage_table(*outputs)
    target = tmp_path / "risk.png"
    pictures.risk_coverage({"as trained": table}, "Selective diagnosis: hand", target)
    assert f"{table['risk'].loc[80]:.3f} at 80 %" in about(target)
    assert f"{table['risk'].loc[100]:.3f} at 100 %" in about(target)


def test_pictures_have_the_same_bytes_twice(tmp_path, outputs):
    files = [tmp_path / f"{n}.png" for n in range(4)]
    for target in files[:2]:
        tables = {"a": calibration.reliability_table(*outputs)}
        pictures.reliability_diagram(tables, "Reliability", target)
    for target in files[2:]:
        pictures.risk_coverage({"a": selective.risk_coverage_table(*outputs)}, "Risk", target)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[2].read_bytes() == files[3].read_bytes()


@pytest.mark.parametrize("images", [1, 3, 400])
def test_the_axes_keep_their_size_with_few_and_many_images(tmp_path, images):
    probabilities = np.tile([0.75, 0.25], (images, 1))
    table = calibration.reliability_table(np.zeros(images, int), probabilities)
    target = tmp_path / "a.png"
    pictures.reliability_diagram({"a": table}, "Reliability", target)
    blue = (np.array(Image.open(target).convert("RGB")) == (0, 114, 178)).all(axis=2)
    # The only bin's bar: about a seventh of the picture.
    assert blue.sum(axis=0).max() > 0.1 * len(blue)


def test_nothing_to_draw_is_refused(tmp_path, outputs):
    empty = calibration.reliability_table(*outputs).assign(n=0)
    with pytest.raises(ValueError, match="no image"):
        pictures.reliability_diagram({"a": empty}, "Reliability", tmp_path / "a.png")
    for draw in (pictures.reliability_diagram, pictures.risk_coverage):
        with pytest.raises(ValueError, match="0 series"):
            draw({}, "nothing", tmp_path / "a.png")
    assert not list(tmp_path.iterdir())
