"""Grids: what is combined, and what is left out and why."""

import pytest

from benchmark.errors import UserError
from benchmark.sweep.cost import Costs
from benchmark.sweep.grid import Grid, make

SMALL = {"budget": "smoke", "dataset_options": {"images": 54, "size": 64}}


def _grid(**changes):
    usual = {
        "archs": ["MobileNetV2"],
        "frameworks": ["torch"],
        "tasks": ["diagnosis"],
        "methods": ["cross-entropy"],
        "datasets": [],
        "seeds": [0],
        "settings": SMALL,
    }
    return Grid(**{**usual, **changes})


def _names(grid):
    return [run.name for run in make(grid, Costs())[0]]


def test_everything_is_combined_with_everything_in_a_fixed_order():
    grid = _grid(archs=["mobilenet*"], frameworks=["all"], seeds=[0, 1])
    names = _names(grid)
    assert names == _names(grid)
    assert names[:3] == [
        "MobileNet/torch/diagnosis/cross-entropy/synthetic/0",
        "MobileNet/torch/diagnosis/cross-entropy/synthetic/1",
        "MobileNet/keras/diagnosis/cross-entropy/synthetic/0",
    ]
    assert len(set(names)) == 8


@pytest.mark.parametrize(
    ("pattern", "left"), [("VGG16", 2), ("*/keras/*", 2), ("VGG16/keras/*", 3), ("mobile*", 2)]
)
def test_patterns_exclude(pattern, left):
    grid = _grid(archs=["MobileNetV2", "VGG16"], frameworks=["all"], exclude=[pattern])
    assert len(_names(grid)) == left


def test_a_pattern_that_means_nothing_is_refused():
    with pytest.raises(UserError, match="--exclude ResNet50 matches no run"):
        make(_grid(exclude=["ResNet50"]), Costs())
    with pytest.raises(UserError, match="matches no architecture"):
        make(_grid(archs=["Xzep*"]), Costs())
    with pytest.raises(UserError, match="did you mean focal"):
        make(_grid(methods=["focl"]), Costs())


def test_what_cannot_run_is_left_out_by_name_with_the_reason():
    grid = _grid(
        tasks=["diagnosis", "explainability"],
        methods=["cross-entropy", "sall", "supercon-as-released"],
        seeds=[0, 1],
    )
    runs, left_out = make(grid, Costs())
    assert len(runs) == 6
    told = {each.reason: each.told() for each in left_out}
    (of_sall,) = [lines for reason, lines in told.items() if "task grading" in reason]
    assert of_sall == [
        "MobileNetV2/torch/diagnosis/sall/synthetic/0,1",
        "MobileNetV2/torch/explainability/sall/synthetic/0,1",
    ]
    (of_maps,) = [lines for reason, lines in told.items() if "map is of one image" in reason]
    assert of_maps == ["MobileNetV2/torch/explainability/supercon-as-released/synthetic/0,1"]


def test_a_task_that_the_data_cannot_answer_is_left_out(tmp_path):
    for name in ("benign", "malignant"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.png").write_bytes(_png())
    settings = {"budget": "smoke", "data_dir": str(tmp_path)}
    grid = _grid(tasks=["diagnosis", "explainability"], datasets=["folder"], settings=settings)
    runs, (masks,) = make(grid, Costs())
    assert [run.config.task for run in runs] == ["diagnosis"]
    assert "needs experts' masks" in masks.reason


def test_data_that_are_not_there_leave_nothing():
    settings = {"budget": "smoke", "data_dir": "nowhere"}
    with pytest.raises(UserError, match=r"nothing of this grid can run: .*nowhere"):
        make(_grid(datasets=["folder"], settings=settings), Costs())


def test_each_data_set_has_a_folder_of_its_own():
    datasets = ["isic2018:/a", "folder:/b"]
    asked = list(_grid(datasets=datasets, settings={"budget": "smoke"}).combinations())
    assert [(each.dataset, each.data_dir) for each in asked] == [
        ("isic2018", "/a"),
        ("folder", "/b"),
    ]
    with pytest.raises(UserError, match="NAME:DIR"):
        list(_grid(datasets=datasets, settings={"data_dir": "/c"}).combinations())


def _png() -> bytes:
    import cv2
    import numpy as np

    return cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
