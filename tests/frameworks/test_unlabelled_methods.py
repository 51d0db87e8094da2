"""What the methods that look at unlabelled images ask for, and how much these images weigh."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import loss_references as reference
import unlabelled_tables as tables
from unlabelled_tables import EPOCHS, LABELLED, LABELS, RECIPE, STUDENT, VIEWS, WEIGHTS, supervised

from benchmark.methods import consistency, rates
from benchmark.methods.fixmatch import FixMatch, fixmatch_stage
from benchmark.recipe import Augmentation
from benchmark.training.frameworks import select_backend

METHODS_HERE = (
    "pseudo-label",
    "mean-teacher",
    "fixmatch",
    "src-mt",
    "srcl-joint",
    "srcl-pretrain",
)


# ---- the weight of the unlabelled part


def _unlabelled_part(framework, stage, epoch):
    return tables.loss(framework, stage, epoch) - float(supervised(STUDENT))


@pytest.mark.parametrize("options", [{"threshold": 0.5}, {}], ids=["pseudo-label", "mean-teacher"])
def test_the_unlabelled_part_grows_for_two_fifths_of_the_epochs(framework, options):
    name = "pseudo-label" if options else "mean-teacher"
    (stage,) = tables.stages(name, options | {"unlabelled_weight": 1.0})
    whole = _unlabelled_part(framework, stage, EPOCHS - 1)
    assert whole > 0.05
    for epoch in range(EPOCHS):
        share = np.exp(-5 * (1 - min(epoch / 4, 1)) ** 2)
        found = _unlabelled_part(framework, stage, epoch)
        assert found == pytest.approx(share * whole, rel=1e-4)


def test_fixmatch_has_its_whole_weight_from_the_first_step(framework):
    (stage,) = tables.stages("fixmatch")
    assert stage.inputs is None
    weak, strong = (STUDENT["logits"][view] for view in VIEWS[:2])
    expected = supervised(STUDENT) + reference.fixmatch_of_strong(strong, weak, 0.95)
    assert tables.loss(framework, stage) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", ["src-mt", "srcl-pretrain"])
def test_before_its_start_the_loss_is_the_supervised_one_exactly(framework, name):
    select_backend(framework)
    from benchmark.methods import losses

    stage = tables.stages(name)[-1]
    alone = tables.stages(name, {"unlabelled_weight": 0.0})[-1]
    weighted = losses.cross_entropy(STUDENT["logits"][LABELLED], LABELS, WEIGHTS, normalised=True)
    assert tables.loss(framework, stage) == tables.loss(framework, alone) == float(weighted)
    assert tables.loss(framework, stage, EPOCHS - 1) > float(weighted) + 1e-3


def test_src_mt_starts_and_grows_as_in_its_code():
    (stage,) = tables.stages("src-mt", context=tables.context_of(epochs=100))
    rng = np.random.default_rng(0)
    found = [float(stage.inputs(epoch, 5, rng)["weight"][0]) for epoch in range(100)]
    assert found[:21] == [0.0] * 21
    assert found[21:] == pytest.approx([rates.sigmoid_rampup(e, 30) for e in range(21, 100)])
    assert found[21] == pytest.approx(0.63762815)
    assert found[30:] == [1.0] * 70


@pytest.mark.parametrize("name", METHODS_HERE[:-1])
def test_weights_of_zero_leave_the_supervised_stage(framework, name):
    (plain,) = tables.stages("supervised")
    zero = {"unlabelled_weight": 0.0} | ({"contrast_weight": 0.0} if name == "srcl-joint" else {})
    (stage,) = tables.stages(name, zero)
    weighted = name.startswith("src")
    assert stage.teacher is None
    assert stage.unlabelled_views == ()
    assert (stage.parameters, stage.inputs) == ({}, None)
    assert (stage.name, stage.recipe, stage.views) == ("train", plain.recipe, plain.views)
    expected = supervised(STUDENT, WEIGHTS if weighted else None)
    assert tables.loss(framework, stage) == pytest.approx(expected, rel=1e-6)
    if not weighted:
        assert tables.loss(framework, stage) == tables.loss(framework, plain)


def test_supervised_is_cross_entropy_to_the_bit(framework):
    (ours,), (plain,) = tables.stages("supervised"), tables.stages("cross-entropy")
    assert (ours.name, ours.recipe, ours.unlabelled_views) == (plain.name, plain.recipe, ())
    assert tables.loss(framework, ours) == tables.loss(framework, plain)


def test_mean_teachers_consistency_is_not_zero_and_teaches_the_student(framework):
    """In USB's code, whose teacher is asked about the same view twice, it is 0 in every step."""
    (stage,) = tables.stages("mean-teacher")
    assert stage.teacher.training
    assert _unlabelled_part(framework, stage, EPOCHS - 1) > 0.1
    found = tables.gradient(framework, stage, "student", "logits")
    assert np.abs(found[VIEWS[0]]).max() > 0.01
    agreeing = {"logits": STUDENT["logits"].copy(), "features": STUDENT["features"]}
    agreeing["logits"][VIEWS[1]] = agreeing["logits"][VIEWS[0]]
    same = tables.loss(framework, stage, EPOCHS - 1, teacher=agreeing)
    assert same == pytest.approx(supervised(STUDENT), rel=1e-6)


def test_an_alignment_decides_the_label_and_who_is_sure(framework):
    shift = np.array([-6.0, 0.0, 3.0])
    seen = []

    def align(network, logits):
        seen.append((network, logits))
        return logits + shift

    stage = fixmatch_stage(
        tables.context_of(), FixMatch.Options(), name="generation-1", align=align
    )
    weak, strong = (STUDENT["logits"][view] for view in VIEWS[:2])
    taught = reference.fixmatch_of_strong(strong, weak + shift, 0.95)
    assert abs(taught - reference.fixmatch_of_strong(strong, weak, 0.95)) > 0.1
    assert tables.loss(framework, stage) == pytest.approx(supervised(STUDENT) + taught, rel=1e-6)
    (network, logits) = seen[0]
    assert isinstance(network, tables.Tables)
    np.testing.assert_allclose(np.asarray(logits), weak)
    assert stage.name == "generation-1"


# ---- what the stages ask for


def test_methods_ask_for_the_views_of_their_source():
    weak = RECIPE.augmentation
    strong = consistency.strong(weak)
    asked = {
        name: [stage.unlabelled_views for stage in tables.stages(name)] for name in METHODS_HERE
    }
    assert asked == {
        "pseudo-label": [(weak,)],
        "mean-teacher": [(weak, weak)],
        "fixmatch": [(weak, strong)],
        "src-mt": [(weak, weak)],
        "srcl-joint": [(weak, weak, strong)],
        "srcl-pretrain": [(weak, strong), (weak, weak)],
    }
    for name in METHODS_HERE:
        for stage in tables.stages(name, {"unlabelled_ratio": 3}):
            assert stage.unlabelled_ratio == 3


def test_teachers_are_judged_or_only_teach():
    found = {}
    for name in METHODS_HERE:
        teachers = [stage.teacher for stage in tables.stages(name, {})]
        found[name] = [t and (t.training, t.judged) for t in teachers]
    assert found == {
        "pseudo-label": [None],
        "mean-teacher": [(True, True)],
        "fixmatch": [(False, True)],
        "src-mt": [(True, False)],
        "srcl-joint": [(True, False)],
        "srcl-pretrain": [None, (True, False)],
    }


@pytest.mark.parametrize("name", ["mean-teacher", "fixmatch", "src-mt", "srcl-joint"])
def test_a_teacher_keeps_what_its_rate_says(name):
    (stage,) = tables.stages(name, {"ema_limit": 0.9})
    assert [stage.teacher.keeps(step) for step in (0, 1, 3, 9, 10, 500)] == [
        rates.ema_rate(step, 0.9) for step in (0, 1, 3, 9, 10, 500)
    ]
    assert stage.teacher.keeps(500) == 0.9


def test_a_strong_view_is_the_weak_one_and_more():
    weak = Augmentation(rotation=30, horizontal_flip=True, brightness=(0.9, 1.1))
    strong = consistency.strong(weak)
    assert strong == Augmentation.model_validate(strong.model_dump())
    assert strong.model_dump().items() >= weak.model_dump(exclude_defaults=True).items()
    assert strong.cutout == (0.0, 0.5)


@pytest.mark.parametrize(
    ("epochs", "share", "expected"),
    [(10, 0.5, (5, 5)), (8, 0.25, (2, 6)), (2, 0.9, (1, 1)), (1, 0.5, (1, 1)), (3, 0.01, (1, 2))],
)
def test_srcl_shares_the_epochs_between_contrast_and_training(epochs, share, expected):
    context = tables.context_of(epochs=epochs, warmup_epochs=0.5)
    contrast, train = tables.stages("srcl-pretrain", {"contrast_share": share}, context)
    assert (contrast.recipe.epochs, train.recipe.epochs) == expected
    for stage in (contrast, train):
        of_run = context.recipe.warmup_epochs / context.recipe.epochs
        assert stage.recipe.warmup_epochs == pytest.approx(of_run * stage.recipe.epochs)
    assert (contrast.name, contrast.choose) == ("contrast", False)
    assert (train.name, train.choose, train.new_network) == ("train", True, False)
    assert contrast.parameters
    assert not train.parameters


def test_joint_srcl_without_its_contrast_is_src_mt(framework):
    (stage,) = tables.stages("srcl-joint", {"contrast_weight": 0.0})
    (src_mt,) = tables.stages("src-mt")
    assert (stage.unlabelled_views, stage.parameters) == (src_mt.unlabelled_views, {})
    last = EPOCHS - 1
    assert tables.loss(framework, stage, last) == tables.loss(framework, src_mt, last)
