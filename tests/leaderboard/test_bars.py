"""What the bar plots say beside the bars: ranks with intervals, ties with the best, signs."""

import importlib
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmark.leaderboard import plots
from benchmark.leaderboard.columns import COLUMNS
from benchmark.leaderboard.table import build_table
from benchmark.records.record import Metric

sys.path.insert(0, str(Path(__file__).parent.parent / "records"))
records_made = importlib.import_module("records_made")


@pytest.fixture
def figure(monkeypatch):
    """The figure that the next plot draws, laid out but not written."""
    drawn = Figure(figsize=(8.5, 4), layout="constrained")
    FigureCanvasAgg(drawn)

    @contextmanager
    def kept(*_):
        yield drawn

    monkeypatch.setattr(plots, "drawing", kept)
    return drawn


def a_table(scores, standing=(), low=-0.05):
    """A row for each score; `standing` has rank_first, rank_last and tied_with_best of each."""
    records = []
    for at, score in enumerate(scores):
        metric = Metric(value=score, low=score + low, high=score + 0.05, n=9, groups=9)
        config = {
            **{"arch": f"net{at}", "framework": "torch", "method": "m", "weights": "none"},
            **{"image_size": [9, 9], "budget": "quick", "recipe": {"epochs": 9}, "seed": 0},
        }
        records.append(records_made.record(f"r{at}", "macro_auc", {"macro_auc": metric}, config))
    table = build_table(records)
    for at, ends in enumerate(standing):
        columns = [COLUMNS.rank_first, COLUMNS.rank_last, COLUMNS.tied]
        table.loc[at, columns] = list(ends)
    return table


def texts(axes):
    return {text.get_text(): text for text in axes.texts}


def thick(axes):
    """The heights from and to of the pieces of the line beside tied rows."""
    lines = [line for line in axes.lines if line.get_linewidth() == 3]
    return [tuple(line.get_ydata()) for line in lines]


def test_ranks_stand_with_their_intervals_and_ties_with_the_best_are_marked(figure):
    standing = [(1, 2, "yes"), (1, 3, "yes"), (3, 3, "no")]
    plots.bars(a_table([0.9, 0.8, 0.7], standing), Path("unused.png"))
    (axes,) = figure.axes
    found = texts(axes)
    assert {"1 [1, 2]", "2 [1, 3]", "3 [3, 3]"} <= set(found)
    # Bold and a line: neither print nor the colour-blind depend on a colour.
    weights = {each: found[each].get_fontweight() for each in ("1 [1, 2]", "3 [3, 3]")}
    assert weights == {"1 [1, 2]": "bold", "3 [3, 3]": "normal"}
    assert thick(axes) == [(-0.5, 0.5), (0.5, 1.5)]
    (legend,) = figure.legends
    assert "bold: tied with the best" in [text.get_text() for text in legend.get_texts()]


def test_where_no_rank_has_an_interval_nothing_is_said_of_ranks(figure):
    plots.bars(a_table([0.9, 0.8]), Path("unused.png"))
    (axes,) = figure.axes
    assert set(texts(axes)) == {"0.900", "0.800"}
    assert thick(axes) == []


def test_ranks_stand_beside_the_numbers_and_do_not_touch_them(figure):
    count = plots.MOST_ROWS
    standing = [(1, count, "yes")] * count
    plots.bars(a_table([0.9 - at / 100 for at in range(count)], standing), Path("unused.png"))
    figure.set_size_inches(8.5, 15)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    boxes = [t.get_window_extent() for t in axes.texts if t.get_text() != "rank, 95 %"]
    assert len(boxes) == 2 * count
    for at, one in enumerate(boxes):
        assert not any(one.overlaps(other) for other in boxes[:at])
        assert one.x1 <= figure.bbox.x1


def test_an_interval_below_zero_is_not_cut_off(figure):
    plots.bars(a_table([0.1], low=-0.35), Path("unused.png"))
    (axes,) = figure.axes
    assert axes.get_xlim() == pytest.approx((-0.4, 1.0))
