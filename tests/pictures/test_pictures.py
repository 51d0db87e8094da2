"""The pictures of a run: what a panel shows where, and that files are whole and repeatable."""

from contextlib import contextmanager

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

from benchmark import pictures
from benchmark.pictures import Exhibit, charts
from benchmark.pictures.frequency import spaced
from benchmark.pictures.panels import coloured, panels

SIDE = 120
VIRIDIS_0, VIRIDIS_1 = (68, 1, 84), (253, 231, 37)


def exhibit(**changes) -> Exhibit:
    """Four annotators: all marked the left quarter, one the left half; the network sees right."""
    experts = np.zeros((SIDE, SIDE))
    experts[:, : SIDE // 2] = 0.25
    experts[:, : SIDE // 4] = 1
    network = np.zeros((SIDE, SIDE))
    network[:, 3 * SIDE // 4 :] = 1
    told = {
        "id": "a1",
        "photograph": np.full((SIDE, SIDE, 3), (150, 100, 80), np.uint8),
        "experts": experts,
        "network": network,
        "truth": "Acne",
        "said": "Vitiligo",
        "scores": {"F1": 0.25, "AUPRC": float("nan")},
        "annotators": 4,
        "characteristics": ("Papule",),
    }
    return Exhibit(**{**told, **changes})


def white_columns(panel: np.ndarray) -> np.ndarray:
    """Columns of the middle row in which a line is drawn."""
    return np.flatnonzero((panel[SIDE // 2] > 215).all(axis=1))


def test_both_maps_are_coloured_on_the_same_scale():
    drawn = panels(exhibit(), SIDE)
    near = {"atol": 2}
    np.testing.assert_allclose(drawn.experts[60, 10], VIRIDIS_1, **near)
    np.testing.assert_allclose(drawn.experts[60, 100], VIRIDIS_0, **near)
    np.testing.assert_allclose(drawn.network[60, 100], VIRIDIS_1, **near)
    np.testing.assert_allclose(drawn.network[60, 10], VIRIDIS_0, **near)
    np.testing.assert_array_equal(drawn.experts[60, 45], coloured(np.array([[0.25]]))[0, 0])


def test_overlay_is_grey_without_the_network_and_coloured_with_it():
    overlay = panels(exhibit(), SIDE).overlay.astype(int)
    assert np.ptp(overlay[60, 10]) == 0
    red, _, blue = overlay[60, 110]
    assert red - blue > 80


def test_thin_line_surrounds_any_mark_and_thick_line_the_majority():
    lines = white_columns(panels(exhibit(), 120).overlay)
    majority, anybody = lines[lines < 45], lines[lines >= 45]
    assert abs(majority.mean() - SIDE / 4) < 1.5
    assert abs(anybody.mean() - SIDE / 2) < 1.5
    big = panels(exhibit(), 480).overlay[240]
    thick = (big[100:140] > 215).all(axis=1).sum()
    thin = (big[220:260] > 215).all(axis=1).sum()
    assert thick > thin > 0


def test_one_annotator_has_one_line():
    experts = np.zeros((SIDE, SIDE))
    experts[:, :40] = 1
    lines = white_columns(panels(exhibit(experts=experts, annotators=1), SIDE).overlay)
    assert lines.size
    assert np.ptp(lines) < 4


def test_two_annotators_have_one_line_for_anybody_which_is_half():
    experts = np.zeros((SIDE, SIDE))
    experts[:, :40] = 0.5
    lines = white_columns(panels(exhibit(experts=experts, annotators=2), SIDE).overlay)
    assert lines.size
    assert np.ptp(lines) < 4


def test_no_line_runs_along_the_border():
    drawn = panels(exhibit(experts=np.ones((SIDE, SIDE))), SIDE)
    assert not (drawn.overlay > 215).all(axis=2).any()


def test_a_mark_smaller_than_a_shown_pixel_keeps_its_line():
    experts = np.zeros((1000, 1000))
    experts[500, 500] = 0.25
    overlay = panels(exhibit(experts=experts), 320).overlay
    assert overlay[155:166, 155:166].min(axis=2).max() > 170
    assert overlay[155:166, 170:180].max() < 130


@pytest.mark.parametrize("value", [0, 35, 90, 170, 255])
def test_lines_stand_out_on_every_shade_of_skin(value):
    photograph = np.full((SIDE, SIDE, 3), value, np.uint8)
    row = panels(exhibit(photograph=photograph), 480).overlay[240, 100:140].astype(int)
    # White beside its dark edge, whatever lies below.
    assert row.max() - row.min() > 150


def test_maps_of_other_sizes_are_stretched_over_the_photograph():
    photograph = np.zeros((60, 90, 3), np.uint8)
    network = np.array([[0.0, 1.0]])
    drawn = panels(exhibit(photograph=photograph, network=network, experts=np.eye(7)), 90)
    sizes = {d.shape for d in (drawn.photograph, drawn.experts, drawn.network, drawn.overlay)}
    assert sizes == {(60, 90, 3)}
    np.testing.assert_allclose(drawn.network[30, 0], VIRIDIS_0, atol=2)
    np.testing.assert_allclose(drawn.network[30, -1], VIRIDIS_1, atol=2)


@pytest.mark.parametrize(
    "changes",
    [
        {"photograph": np.zeros((5, 5), np.uint8)},
        {"photograph": np.zeros((5, 5, 3))},
        {"network": np.full((5, 5), np.nan)},
        {"network": np.full((5, 5), 1.01)},
        {"experts": np.full((5, 5), -0.01)},
        {"experts": np.zeros((2, 5, 5))},
        {"experts": np.zeros((0, 5))},
        {"annotators": 0},
    ],
)
def test_an_exhibit_that_cannot_be_shown_is_refused_by_name(changes):
    with pytest.raises(ValueError, match="a1: "):
        exhibit(**changes)


def shares_and_curves() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    shares = np.linspace(0, 1, 5)
    return shares, {"insertion": np.stack([shares, shares]), "deletion": 0 * shares[None] + 0.25}


def draw(kind: str, target) -> None:
    """One picture of each kind, names with what could be taken for a formula."""
    shares, named = shares_and_curves()
    match kind:
        case "explanations":
            pictures.explanations([exhibit(), exhibit(id="$a_1$")], target, "A $title$")
        case "confusion":
            pictures.confusion(np.array([[3, 1], [0, 0]]), ["$x$", "b_1^2"], "$Set$", target)
        case "history":
            epochs = [{"epoch": n, "loss": 1 / n, "validation": 0.1 * n} for n in (1, 2, 3)]
            pictures.history(epochs, 2, "$Net$", target)
        case "curves":
            pictures.curves(shares, named, "$Faithful$", target)
        case "randomisation":
            similarity = np.array([[0.9, 0.8, np.nan], [0.1, -0.3, 0.2], [np.nan] * 3])
            pictures.randomisation(["head", "half", "all"], similarity, target)
        case "frequency":
            by_frequency(target)


def test_a_history_without_validation_has_no_axis_for_it(tmp_path):
    epochs = [{"epoch": n, "loss": 1 / n, "validation": 0.5} for n in (1, 2)]
    unvalidated = [{**epoch, "validation": None} for epoch in epochs]
    orange = []
    for name, rows in (("with", epochs), ("without", unvalidated)):
        pictures.history(rows, 2, "Net", tmp_path / f"{name}.png")
        drawn = np.asarray(Image.open(tmp_path / f"{name}.png").convert("RGB")).astype(int)
        orange.append(int((drawn[..., 0] - drawn[..., 2] > 120).sum()))
    assert orange[0] > 0
    assert orange[1] == 0


@pytest.fixture
def figures(monkeypatch):
    """The figures that charts draw, in place of files."""
    found = []

    @contextmanager
    def kept(*_):
        found.append(Figure())
        yield found[-1]

    monkeypatch.setattr(charts, "drawing", kept)
    return found


def test_a_history_names_the_line_at_the_epoch_that_is_kept(figures):
    draw("history", None)
    (legend,) = figures[0].legends
    assert [text.get_text() for text in legend.get_texts()] == ["epoch that is kept"]


def test_a_confusion_matrix_says_whose_it_is_and_what_its_colours_are(figures):
    pictures.confusion(np.eye(6, dtype=int), [*"abcdef"], "DenseNet121, isic2018", None)
    title = " ".join(figures[0].get_suptitle().split())
    assert title == "DenseNet121, isic2018: test images, shaded by share of the true class"


KINDS = ["explanations", "confusion", "history", "curves", "randomisation", "frequency"]


def by_frequency(target, counts=(6705, 1113, 1099, 0, 142), values=(0.9, 0.6, 0.5, 0, np.nan)):
    """Sensitivities of five classes, one without training and one without test images."""
    sensitivity = np.array(values, float)
    pictures.sensitivity_by_frequency(
        np.array(counts),
        sensitivity,
        sensitivity - 0.1,
        sensitivity + 0.1,
        [*("NV", "$MEL_1$", "BKL", "DF", "VASC")][: len(counts)],
        "Net",
        target,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_numbers_give_the_same_bytes_and_words(kind, tmp_path):
    first, second = tmp_path / "a.png", tmp_path / "b.png"
    draw(kind, first)
    draw(kind, second)
    assert first.read_bytes() == second.read_bytes()
    assert cv2.imread(str(first)).std() > 5
    with Image.open(first) as opened:
        assert len(opened.info["Description"]) > 20
    assert not list(tmp_path.glob(".*"))


def test_a_sheet_grows_with_its_rows_and_keeps_its_width(tmp_path):
    sizes = []
    for count in (1, 3):
        pictures.explanations([exhibit()] * count, tmp_path / "s.png", "Best")
        sizes.append(cv2.imread(str(tmp_path / "s.png")).shape)
    assert sizes[0][1] == sizes[1][1]
    assert sizes[1][0] > sizes[0][0] + 2 * 250


def test_a_sheet_without_an_exhibit_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one"):
        pictures.explanations([], tmp_path / "s.png")


def test_areas_are_those_of_the_mean_curves(tmp_path):
    shares, named = shares_and_curves()
    pictures.curves(shares, named, "Net", tmp_path / "c.png")
    with Image.open(tmp_path / "c.png") as opened:
        told = opened.info["Description"]
    assert "area 0.50 of insertion" in told
    assert "area 0.25 of deletion" in told


def test_undefined_similarities_are_left_out_and_named(tmp_path):
    draw("randomisation", tmp_path / "r.png")
    with Image.open(tmp_path / "r.png") as opened:
        told = opened.info["Description"]
    assert "head 0.85; half 0.10; all undefined" in told


@pytest.mark.parametrize(
    "named",
    [{}, {"a": np.zeros((2, 4))}, {"a": np.zeros((0, 5))}, {"a": np.full((1, 5), np.nan)}],
)
def test_curves_that_do_not_fit_are_refused(named, tmp_path):
    with pytest.raises(ValueError, match="curve"):
        pictures.curves(np.linspace(0, 1, 5), named, "Net", tmp_path / "c.png")


@pytest.mark.parametrize("shape", [(2, 3), (1, 0), (3,)])
def test_similarities_that_do_not_fit_are_refused(shape, tmp_path):
    with pytest.raises(ValueError, match="similarity"):
        pictures.randomisation(["all"], np.zeros(shape), tmp_path / "r.png")


def test_levels_grow_with_their_number_and_an_undefined_one_keeps_its_line(tmp_path):
    def level(name, value, **more):
        settings = {"level": "annotator", "low": None, "high": None, "images": 40}
        return pictures.Level(name=name, value=value, **(settings | more))

    rows = [level("a", 0.4, low=0.3, high=0.5), level("b", None), level("c", 0.2, images=4)]
    heights = []
    for count in (1, 3):
        pictures.levels(rows[:count], 0.3, "F1", tmp_path / "levels.png")
        heights.append(cv2.imread(str(tmp_path / "levels.png")).shape[0])
    assert heights[1] > heights[0]


def test_the_chart_by_frequency_tells_every_class_and_which_are_left_out(tmp_path):
    by_frequency(tmp_path / "f.png")
    with Image.open(tmp_path / "f.png") as opened:
        told = opened.info["Description"]
    assert "0.50 at 1099 of BKL, 0.60 at 1113 of $MEL_1$, 0.90 at 6705 of NV; not drawn" in told
    assert "no test image: VASC; no training image: DF" in told


@pytest.mark.parametrize(
    ("counts", "values"),
    [((3, 5), (0.5,)), ((3,), (np.nan,)), ((0,), (0.5,)), ((-1,), (0.5,))],
)
def test_a_chart_by_frequency_without_classes_to_draw_is_refused(counts, values, tmp_path):
    with pytest.raises(ValueError, match=r"no class|do not fit"):
        by_frequency(tmp_path / "f.png", counts, values)


@given(
    st.lists(st.floats(0, 5), min_size=1, max_size=12).map(sorted).map(np.array),
    st.floats(0.001, 1),
)
def test_places_that_are_near_move_apart_and_others_stay(places, least):
    moved = spaced(places, least)
    assert (np.diff(moved) >= least - 1e-9).all()
    assert moved.mean() == pytest.approx(places.mean())
    if (np.diff(places) >= least).all():
        np.testing.assert_allclose(moved, places, atol=1e-9)


def test_two_near_places_move_equally_far():
    np.testing.assert_allclose(spaced(np.array([0.0, 1.0, 1.2]), 0.4), [0, 0.9, 1.3])
