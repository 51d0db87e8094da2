"""What a run of task grading refuses, in one line and before anything is trained."""

import shutil
from pathlib import Path

import pytest

from benchmark.data.layouts import idrid
from benchmark.registry import METHODS

JOINTLY = [name for name in METHODS.names() if METHODS.get(name).joint]
TABLE = Path(idrid.TOP) / idrid.TABLES / idrid.TRUTHS["train"]


@pytest.fixture
def own_photographs(photographs, tmp_path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(photographs, tmp_path / "idrid"))


@pytest.mark.parametrize("method", JOINTLY)
def test_a_joint_method_is_for_several_diseases(refusal, tmp_path, photographs, method):
    said = refusal(tmp_path, photographs, "--method", method, task="diagnosis")
    assert (
        f"method {method} trains one network for several diseases: it is for task grading" in said
    )


@pytest.mark.parametrize("method", JOINTLY)
def test_a_joint_method_is_not_pretrained_on_one_thing(refusal, tmp_path, photographs, method):
    more = ("--method", method, "--pretrain-on", "synthetic")
    said = refusal(tmp_path, photographs, *more)
    assert f"--pretrain-on: method {method} has a head for each disease" in said
    assert "give --weights FILE instead" in said


@pytest.mark.parametrize(
    ("grade", "fault"),
    [
        ("7", "is not from 0 to 4: correct it or remove the row"),
        ("-1", "is not from 0 to 4: correct it or remove the row"),
        ("1.5", "is not a whole number: give whole grades from 0 to 4"),
        ("mild", "is not a whole number: give whole grades from 0 to 4"),
        ("", "Retinopathy grade"),
    ],
)
def test_a_faulty_grade_is_named_with_its_line(refusal, tmp_path, own_photographs, grade, fault):
    path = own_photographs / TABLE
    lines = path.read_text().splitlines()
    image, _, *others = lines[3].split(",")
    lines[3] = ",".join([image, grade, *others])
    path.write_text("\n".join(lines))
    said = refusal(tmp_path, own_photographs)
    assert TABLE.name in said
    assert "line 4" in said
    assert fault in said


def test_a_grade_that_nobody_in_train_has_stops_the_run(refusal, tmp_path, own_photographs):
    path = own_photographs / TABLE
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([header, *(row for row in rows if row.split(",")[1] != "4")]))
    for row in rows:
        if row.split(",")[1] == "4":
            for image in own_photographs.rglob(f"a. Training Set/{row.split(',')[0]}.jpg"):
                image.unlink()
    said = refusal(tmp_path, own_photographs)
    assert "no image of the train part keeps the DR grade proliferative" in said


@pytest.mark.parametrize("method", JOINTLY)
@pytest.mark.parametrize(
    ("weights", "fault"),
    [("AMD=1", "no disease 'AMD', only DR, DME"), ("DR=0,DME=0", "nothing is left to train")],
)
def test_weights_that_fit_no_disease_are_refused_before_anything_is_divided(
    refusal, tmp_path, photographs, method, weights, fault
):
    more = ("--method", method, "--method-option", f"head_weights={weights}")
    assert fault in refusal(tmp_path, photographs, *more)
    assert not list(tmp_path.rglob("*.csv"))
