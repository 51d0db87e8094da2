"""Learning curves of a section: which lines there are, what is said of them, and the picture."""

import importlib
import sys
from pathlib import Path

import pytest
from PIL import Image

from benchmark.leaderboard import build
from benchmark.leaderboard.learning import learning
from benchmark.leaderboard.learning_plot import MOST_PANELS, draw_learning
from benchmark.leaderboard.table import build_table, sections
from benchmark.records.record import Epoch, Metric, TrainingSummary
from benchmark.records.store import Store

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "records"))
records_made = importlib.import_module("records_made")
from pages_read import Page  # noqa: E402


def a_stage(*scores, name="train"):
    return TrainingSummary(
        stage=name,
        epochs=len(scores),
        best_epoch=1,
        selected_by="validation macro_auc",
        selection_score=None,
        images_per_second=1.0,
        seconds=1.0,
        learning=tuple(Epoch(loss=1.0, validation=score) for score in scores),
    )


def a_record(run_id, auc, *stages, **config):
    settings = {
        **{"arch": "Xception", "framework": "torch", "method": "cross-entropy", "weights": "none"},
        **{"image_size": [96, 96], "budget": "quick", "recipe": {"epochs": 9}, "seed": 0},
    } | config
    metrics = {"macro_auc": Metric(value=auc, low=auc - 0.05, high=auc + 0.05, n=9, groups=9)}
    trial = records_made.trial(metrics).model_copy(update={"stages": stages})
    return records_made.record(run_id, "macro_auc", metrics, settings, trials=(trial,))


def of(*records):
    (section,) = sections(build_table(list(records)))
    return learning(section, {record.run_id: record for record in records})


def test_frameworks_share_a_panel_and_each_seed_is_a_line():
    found = of(
        a_record("a", 0.7, a_stage(0.5, 0.6)),
        a_record("b", 0.7, a_stage(0.5, 0.7), seed=1),
        a_record("c", 0.8, a_stage(0.4, 0.8), framework="keras"),
        a_record("d", 0.9, a_stage(0.6, 0.9), arch="VGG16"),
    )
    drawn = {
        label: [(trace.look.label, trace.scores) for trace in traces]
        for label, traces in found.panels
    }
    assert drawn == {
        "VGG16": [("PyTorch", (0.6, 0.9))],
        "Xception": [
            ("Keras", (0.4, 0.8)),
            ("PyTorch", (0.5, 0.6)),
            ("PyTorch", (0.5, 0.7)),
        ],
    }
    assert found.title == "macro AUC of the validation images by epoch"
    assert found.alt.startswith("2 panels of lines")
    assert "between 0.60 and 0.90" in found.alt


def test_of_several_stages_the_last_with_scores_is_drawn():
    stages = a_stage(None, name="first"), a_stage(0.5, 0.6), a_stage(None, None, name="last")
    ((_, (trace,)),) = of(a_record("a", 0.7, *stages)).panels
    assert trace.scores == (0.5, 0.6)


def test_rows_that_validation_images_did_not_score_are_counted():
    scored = a_record("a", 0.7, a_stage(0.5, 0.6))
    last = a_record("b", 0.8, a_stage(None, None), arch="VGG16")
    older = a_record("c", 0.6, a_stage(), arch="MobileNet")
    assert of(scored).missing == 0
    assert "without" not in of(scored).reading
    assert "1 row without: keeps its last epoch" in of(scored, last).reading
    assert "2 rows without" in of(scored, last, older).reading


@pytest.mark.parametrize("stages", [[], [a_stage(0.5)], [a_stage(None, None)]])
def test_where_nothing_is_seen_to_learn_there_is_no_plot(stages):
    assert of(a_record("a", 0.7, *stages)) is None


def test_the_picture_has_so_many_panels_and_the_same_bytes(tmp_path):
    many = [
        a_record(f"r{at}", 0.9 - at / 100, a_stage(0.5, 0.6), arch=f"net{at:02d} $x^$ \x1b")
        for at in range(MOST_PANELS + 3)
    ]
    found = of(*many)
    for name in ("one", "two"):
        draw_learning(found, tmp_path / f"{name}.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    draw_learning(of(*many[:2]), tmp_path / "small.png")
    with Image.open(tmp_path / "one.png") as all_of_them, Image.open(tmp_path / "small.png") as two:
        assert all_of_them.height > 3 * two.height
        assert all_of_them.info["Description"].endswith(found.alt)


def test_the_board_has_it_on_page_and_site_and_a_record_its_epochs(tmp_path):
    Store(tmp_path).save(a_record("rabc", 0.7, a_stage(0.5123, 0.6)))
    built = build(tmp_path)
    root = tmp_path / "v1"
    names = [path.relative_to(root).as_posix() for path in built.paths]
    (plot,) = [name for name in names if name.endswith("-learning.png")]
    assert f"]({plot})" in (root / "leaderboard.md").read_text()
    site = Page.of(root / "site" / "index.html")
    assert next(each["alt"] for each in site.images if each["src"] == plot).startswith("1 panel")
    assert "0.512" in (root / "site" / "records" / "rabc.html").read_text()
