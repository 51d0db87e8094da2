"""Methods for several diseases: their losses against numpy and published vectors, their stages.

No network is built: a stub says the same of every image in every stage. See test_joint_training.py
for what is trained.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import loss_references as reference

from architectures.network import Forward
from benchmark.config import configure
from benchmark.data.dataset import UNLABELLED
from benchmark.errors import UserError
from benchmark.methods import distillation, grading_losses, sall
from benchmark.methods.base import Batch, Context, Part
from benchmark.recipe import Recipe
from benchmark.registry import METHODS
from benchmark.training.frameworks import select_backend

RNG = np.random.default_rng(8)
PARTS = (Part("DR", slice(0, 3)), Part("DME", slice(3, 5)))
# The first three images have a grade of DR, the next two of DME, the last of both.
LABELS = np.array([[0, -1], [2, -1], [1, -1], [-1, 1], [-1, 0], [2, 1]])
DR, DME = LABELS[:, 0] != UNLABELLED, LABELS[:, 1] != UNLABELLED
LOGITS, FEATURES = 2 * RNG.normal(size=(6, 5)), RNG.normal(size=(6, 4))
# What a teacher says, and another.
TAUGHT = [(2 * RNG.normal(size=(6, 5)), RNG.normal(size=(6, 4))) for _ in PARTS]
RECIPE = Recipe(epochs=4, batch_size=3, optimiser="sgd", learning_rate=0.1, schedule="constant")
JOINT = ("multi-task", "distillation", "sall")
NOT_TAUGHT = {"semantic_weight": 0.0, "feature_weight": 0.0}


@pytest.fixture(scope="module", autouse=True)
def losses(framework):
    select_backend(framework)
    from benchmark.methods import losses

    return losses


@pytest.fixture(scope="session")
def vectors(real_data):
    file = real_data.parent / "reference" / "method_vectors.json"
    if not file.is_file():
        pytest.skip("no reference/method_vectors.json beside the folder of real images")
    return json.loads(file.read_text())


class Answers:
    """A survey that gives each teacher's answers in turn, and counts them."""

    def __init__(self):
        self.asked = -1

    def logits(self):
        self.asked += 1
        return TAUGHT[self.asked][0].astype(np.float32)

    def features(self):
        return TAUGHT[self.asked][1].astype(np.float32), np.empty((0, 4), np.float32)


def _stages(name, labels=LABELS, **options):
    method = METHODS.get(name)
    context = Context(
        labels=labels,
        classes=("DR 0", "DR 1", "DR 2", "DME 0", "DME 1"),
        recipe=RECIPE,
        features=4,
        survey=Answers(),
        parts=PARTS,
    )
    return list(method(method.Options(**options)).stages(context))


def _loss(stage, rows=slice(None), logits=LOGITS, labels=LABELS):
    """Of these rows, as float64."""
    from keras import ops

    batch = Batch(
        (ops.convert_to_tensor(np.zeros((1, 2, 2, 3), np.uint8)),),
        ops.convert_to_tensor(labels[rows]),
        {name: ops.convert_to_tensor(array[rows]) for name, array in stage.beside.items()},
    )
    said = Forward(ops.convert_to_tensor(FEATURES[rows]), ops.convert_to_tensor(logits[rows]))
    return float(ops.convert_to_numpy(stage.loss(lambda images: said, batch)))


def _cross_entropies(rows=slice(None)):
    """Of the images with a grade, in numpy: (DR, DME)."""
    return tuple(
        reference.cross_entropy(LOGITS[rows][known[rows], part.logits], column[rows][known[rows]])
        for part, known, column in zip(PARTS, (DR, DME), LABELS.T, strict=True)
    )


def _softly(temperature):
    """Of the images without a grade: (DR, DME), each by its own teacher."""
    return tuple(
        reference.distillation(
            LOGITS[~known, part.logits], taught[~known, part.logits], temperature
        )
        for part, known, (taught, _) in zip(PARTS, (DR, DME), TAUGHT, strict=True)
    )


def _heads(sizes, weight=1.0):
    ends = np.cumsum(sizes).tolist()
    return [
        grading_losses.Head(str(number), number, slice(end - size, end), weight)
        for number, (size, end) in enumerate(zip(sizes, ends, strict=True))
    ]


def _equals(value):
    return pytest.approx(value, rel=1e-6)


def test_soft_labels_of_three_heads_are_those_of_the_vectors(framework, vectors):
    group = vectors["sall_soft_label_heads"]
    names, temperature = ("dr", "amd", "arterio"), group["T"]
    student = np.concatenate([group["student_logits"][name] for name in names])[None]
    teacher = np.concatenate([group["teacher_logits"][name] for name in names])[None]
    heads, unknown = _heads((5, 4, 2)), np.full((1, 3), UNLABELLED)

    def loss(logits):
        return grading_losses.softly_graded(heads, logits, teacher, unknown, temperature)

    from keras import ops

    # Of the vectors no term has the factor T^2.
    found = float(loss(ops.convert_to_tensor(student))) / temperature**2
    assert found == pytest.approx(group["total_equal_weights"], abs=1e-6)
    slopes = reference.gradient(framework, loss, student)[0] / temperature**2
    expected = np.concatenate([group["grad_wrt_student_logits"][name] for name in names])
    np.testing.assert_allclose(slopes, expected, atol=1e-6)
    for head, name in zip(heads, names, strict=True):
        soft = reference.softmax(head.said(teacher) / temperature)[0]
        assert soft.sum() == pytest.approx(1)
        np.testing.assert_allclose(soft, group["soft_targets"][name], atol=1e-6)
        answer = reference.softmax(head.said(student) / temperature)[0]
        np.testing.assert_allclose(slopes[head.logits], (answer - soft) / temperature, atol=1e-6)


def test_distillation_of_one_head_is_that_of_the_vectors(vectors):
    group = vectors["hinton_kd"]
    found = distillation.distilled(
        _heads((5,)),
        np.array([group["student"]]),
        np.array([group["teacher"]]),
        np.array([[group["label"]]]),
        group["T"],
        group["lam"],
    )
    assert float(found) == pytest.approx(group["value"], abs=1e-6)


def _soft_loss(student, teacher, temperature):
    unknown = np.full((len(student), 1), UNLABELLED)
    heads = _heads((student.shape[1],))
    found = grading_losses.softly_graded(heads, student, teacher, unknown, temperature)
    return float(found) / temperature**2


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_soft_labels_cost_their_entropy_at_least_and_that_where_the_student_agrees(temperature):
    for student, teacher in RNG.normal(size=(20, 2, 1, 5)) * 3:
        soft = reference.softmax(teacher / temperature)
        entropy = -np.sum(soft * np.log(soft))
        assert _soft_loss(student, teacher, temperature) > entropy
        assert _soft_loss(teacher + 7, teacher, temperature) == _equals(entropy)


def test_soft_labels_of_an_endless_temperature_are_uniform():
    student, teacher = RNG.normal(size=(2, 4, 5))
    assert _soft_loss(student, teacher, 1e7) == _equals(np.log(5))


def test_a_temperature_does_not_change_the_weight_of_soft_labels(framework):
    """Hinton's T^2: the slope nears (student - teacher) / K, whatever the temperature is."""
    student, teacher = RNG.normal(size=(2, 1, 5))
    centred = (student - student.mean()) - (teacher - teacher.mean())
    unknown = np.full((1, 1), UNLABELLED)
    for temperature in (100.0, 1000.0):

        def loss(logits, temperature=temperature):
            heads = _heads((5,))
            return grading_losses.softly_graded(heads, logits, teacher, unknown, temperature)

        slope = reference.gradient(framework, loss, student)
        np.testing.assert_allclose(slope, centred / 5, rtol=0.05)


def test_multi_task_weighs_the_mean_of_each_diseases_own_images():
    (stage,) = _stages("multi-task", head_weights="DME=0.25")
    dr, dme = _cross_entropies()
    assert _loss(stage) == _equals(dr + 0.25 * dme)


def test_distillation_hears_each_teacher_on_its_own_images():
    *_, stage = _stages("distillation", head_weights="DR=2", temperature=4.0, share=0.3)
    dr, dme = (
        reference.knowledge_distillation(
            LOGITS[known, part.logits], taught[known, part.logits], column[known], 4.0, 0.3
        )
        for part, known, column, (taught, _) in zip(PARTS, (DR, DME), LABELS.T, TAUGHT, strict=True)
    )
    assert _loss(stage) == _equals(2 * dr + dme)


def test_sall_adds_soft_labels_and_relations_to_the_grades():
    options = {"temperature": 2.0, "semantic_weight": 0.5, "feature_weight": 0.7}
    *_, stage = _stages("sall", head_weights="DME=3", **options)
    own, soft = _cross_entropies(), _softly(2.0)
    relations = np.mean([reference.relation_consistency(FEATURES, f) for _, f in TAUGHT])
    expected = own[0] + 3 * own[1] + 0.5 * 4 * (soft[0] + 3 * soft[1]) + 0.7 * relations
    assert _loss(stage) == _equals(expected)


@pytest.mark.parametrize("name", ["multi-task", "distillation"])
def test_an_image_without_a_grade_says_nothing_of_that_disease(name):
    *_, stage = _stages(name)
    other = LOGITS.copy()
    other[np.ix_(~DR, [0, 1, 2])] += RNG.normal(size=((~DR).sum(), 3))
    assert _loss(stage, logits=other) == _loss(stage)
    other[0, 0] += 1
    assert _loss(stage, logits=other) != _loss(stage)


def test_in_sall_an_image_without_a_grade_hears_the_teacher_alone():
    *_, stage = _stages("sall", feature_weight=0.0)
    *_, untaught = _stages("sall", **NOT_TAUGHT)
    other = LOGITS.copy()
    other[3, :3] += RNG.normal(size=3)
    assert _loss(untaught, logits=other) == _loss(untaught)
    assert _loss(stage, logits=other) != _loss(stage)
    # The teacher's word on an image with a grade is not heard.
    before = _loss(stage)
    stage.beside["taught"][0, :3] += 1
    assert _loss(stage) == before
    stage.beside["taught"][3, :3] += RNG.normal(size=3)
    assert _loss(stage) != before


@pytest.mark.parametrize("name", JOINT)
def test_a_batch_without_a_graded_image_of_a_disease_adds_nothing_for_it(framework, name):
    options = NOT_TAUGHT if name == "sall" else {}
    *_, stage = _stages(name, **options)
    *_, alone = _stages(name, head_weights="DME=0", **options)
    only_dr = slice(0, 3)
    assert _loss(stage, only_dr) == _loss(alone, only_dr) > 0

    def loss(logits):
        from keras import ops

        inputs = {n: ops.convert_to_tensor(array[only_dr]) for n, array in stage.beside.items()}
        batch = Batch((None,), ops.convert_to_tensor(LABELS[only_dr]), inputs)
        return stage.loss(lambda images: Forward(logits, logits), batch)

    slopes = reference.gradient(framework, loss, LOGITS[only_dr])
    assert np.isfinite(slopes).all()
    assert slopes[:, :3].all()
    assert not slopes[:, 3:].any()


def test_no_gradient_reaches_the_teachers(framework):
    student = LOGITS.copy()

    def through(loss):
        found = reference.gradient(framework, loss, TAUGHT[0][0])
        return found is not None and found.any()

    heads = _heads((3, 2))
    assert not through(lambda t: grading_losses.softly_graded(heads, student, t, LABELS, 3.0))
    assert not through(lambda t: distillation.distilled(heads, student, t, LABELS, 3.0, 0.5))
    assert not through(lambda t: sall.relations(FEATURES, [t]))


@pytest.mark.parametrize("name", ["distillation", "sall"])
def test_a_teacher_learns_its_own_grades_at_the_weight_of_a_single_task(name):
    *teachers, _ = _stages(name, head_weights="DR=5")
    assert [_loss(stage) for stage in teachers] == [_equals(each) for each in _cross_entropies()]


def test_a_single_task_is_the_cross_entropy_of_every_grade():
    method = METHODS.get("single-task")()
    (stage,) = method.stages(Context(LABELS[DR, 0], ("0", "1", "2"), RECIPE, 4))
    found = _loss(stage, DR, LOGITS[:, :3], LABELS[:, 0])
    assert found == _equals(_cross_entropies()[0])
    assert not method.joint
    assert all(METHODS.get(name).joint for name in JOINT)


def _told(stages):
    return [
        (s.name, s.judged_by, None if s.of is None else s.of.tolist(), sorted(s.beside))
        for s in stages
    ]


OF_DR, OF_DME, OF_ANY = [0, 1, 2, 5], [3, 4, 5], [0, 1, 2, 3, 4, 5]
TEACHERS = [("teacher-DR", (0,), OF_DR, []), ("teacher-DME", (1,), OF_DME, [])]
BOTH = (0, 1)
RELATED = ["taught", "taught-features-DME", "taught-features-DR"]


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("multi-task", {}, [("train", BOTH, OF_ANY, [])]),
        ("multi-task", {"head_weights": "DR=0"}, [("train", (1,), OF_DME, [])]),
        ("distillation", {}, [*TEACHERS, ("train", BOTH, OF_ANY, ["taught"])]),
        (
            "distillation",
            {"head_weights": "DME=0"},
            [TEACHERS[0], ("train", (0,), OF_DR, ["taught"])],
        ),
        ("sall", {}, [*TEACHERS, ("train", BOTH, None, RELATED)]),
        ("sall", {"feature_weight": 0}, [*TEACHERS, ("train", BOTH, None, ["taught"])]),
        ("sall", {"semantic_weight": 0}, [*TEACHERS, ("train", BOTH, None, RELATED)]),
        (
            "sall",
            {"head_weights": "DR=0", "feature_weight": 0},
            [TEACHERS[1], ("train", (1,), None, ["taught"])],
        ),
        ("sall", NOT_TAUGHT, [("train", BOTH, OF_ANY, [])]),
        ("sall", {"head_weights": "DME=0", **NOT_TAUGHT}, [("train", (0,), OF_DR, [])]),
    ],
)
def test_only_what_is_of_use_is_trained_and_read(name, options, expected):
    stages = _stages(name, **options)
    assert _told(stages) == expected
    # What comes after a teacher starts as the teacher did.
    assert all(stage.new_network for stage in stages[1:])


def test_where_every_image_has_every_grade_sall_makes_no_soft_label():
    graded = np.where(LABELS == UNLABELLED, 0, LABELS)
    (stage,) = _stages("sall", graded, feature_weight=0.0)
    assert _told([stage]) == [("train", BOTH, OF_ANY, [])]


@pytest.mark.parametrize("name", ["distillation", "sall"])
def test_soft_labels_are_each_diseases_own_teachers(name):
    *_, stage = _stages(name)
    own = [taught[:, part.logits] for part, (taught, _) in zip(PARTS, TAUGHT, strict=True)]
    np.testing.assert_array_equal(stage.beside["taught"], np.hstack(own).astype(np.float32))
    assert stage.beside["taught"].dtype == np.float32


@pytest.mark.parametrize(
    "text",
    ["DR", "DR=", "=1", "DR=-1", "DR=nan", "DR=inf", "DR=one", "DR=1,", "DR=1,DR=2", "DR 1"],
)
def test_weights_that_are_spelt_wrong_are_refused(text):
    with pytest.raises(UserError, match=r"--method-option head_weights .*: write it as DR=1,DME="):
        configure("MobileNet", "diagnosis", method="sall", method_options={"head_weights": text})


@pytest.mark.parametrize("name", JOINT)
def test_weights_of_unknown_diseases_or_of_none_are_refused(name):
    with pytest.raises(UserError, match="there is no disease 'AMD', only DR, DME"):
        _stages(name, head_weights="DR=1, AMD=1")
    with pytest.raises(UserError, match="nothing is left to train: give one of DR, DME more"):
        _stages(name, head_weights="DR=0,DME=0")


def test_weights_are_by_name_and_1_where_not_named():
    heads = grading_losses.heads(
        Context(LABELS, (), RECIPE, 4, parts=PARTS),
        grading_losses.HeadOptions(head_weights=" DME = 2.5 "),
    )
    assert [(h.name, h.number, h.logits, h.weight) for h in heads] == [
        ("DR", 0, slice(0, 3), 1.0),
        ("DME", 1, slice(3, 5), 2.5),
    ]
