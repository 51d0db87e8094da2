"""Our numbers beside those of the official scorer of the ISIC challenges, on the same predictions.

What its code does (isic-challenge-scoring, `ClassificationScore`), and what of ours compares:

- `aggregate.balanced_accuracy` goes by the largest probability; where several classes share it,
  the image is wrong for every class. It is our `balanced_accuracy`, always.
- `auc` and `ap` of a category go by its column alone. They are our one-vs-rest AUC and
  `binary.average_precision`, always; `macro_average` is their plain mean.
- `accuracy`, `sensitivity`, `specificity`, `dice` and `ppv` of a category call an image positive
  when its probability is above 0.5; at exactly 0.5 it is negative. Ours go by the predicted class.
  Both call the same images where each image has a class above 0.5 or is undecided with none above
  it, which two probabilities that sum to 1 always do, and seven need not.
"""

import numpy as np
import pandas as pd
import pytest

from benchmark.metrics import binary, classification

scoring = pytest.importorskip(
    "isic_challenge_scoring", reason="the official scorer is in the extra test-isic"
)
scoring_metrics = pytest.importorskip("isic_challenge_scoring.metrics")

CLASSES = ["MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"]
# Images of each class in the training set of ISIC 2018, Task 3.
COUNTS = np.array([1113, 6705, 514, 327, 1099, 115, 142])
SEEDS = range(4)
EQUAL = 1e-12

# Of pandas and NumPy, to the scorer and to a package that it uses.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:isic_challenge_scoring", "ignore::DeprecationWarning:rdp"
)


@pytest.fixture
def official(tmp_path, monkeypatch):
    """The official score of labels (N,) and probabilities (N, C), through files of its form."""
    if not hasattr(pd.DataFrame, "applymap"):
        # Its release for Python 3.11 calls it by the name that pandas 3 dropped.
        monkeypatch.setattr(pd.DataFrame, "applymap", pd.DataFrame.map, raising=False)

    def score(labels, probabilities, classes=CLASSES, first=24306):
        images = [f"ISIC_{number:07d}" for number in range(first, first + len(labels))]
        truth, prediction = tmp_path / "truth.csv", tmp_path / "prediction.csv"
        for values, target in ((np.eye(len(classes))[labels], truth), (probabilities, prediction)):
            table = pd.DataFrame(values, columns=classes, index=pd.Index(images, name="image"))
            # A submission may list the images in any order.
            (table[::-1] if target is prediction else table).to_csv(target)
        return scoring.ClassificationScore.from_file(
            truth, prediction, scoring.ClassificationMetric.BALANCED_ACCURACY
        )

    return score


def long_tailed(generator, images=300):
    """Labels as unequal as those of ISIC 2018, every class among them."""
    drawn = generator.choice(7, size=images - 7, p=COUNTS / COUNTS.sum())
    return generator.permutation(np.append(drawn, np.arange(7)))


def softmax(generator, labels, classes=7, sharpness=1.0):
    """Float32, as networks give them; right more often than not."""
    logits = generator.normal(size=(len(labels), classes))
    logits[np.arange(len(labels)), labels] += 1
    powers = np.exp(sharpness * logits)
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def smooth(generator, labels):
    """No ties."""
    return softmax(generator, labels)


def coarse(generator, labels):
    """Tenths: tied scores in a class, several largest, exact halves."""
    return generator.multinomial(10, softmax(generator, labels).astype(float)) / 10


def confident(generator, labels):
    """A class above 0.5 in most images, in the others two that share the largest at most 0.5."""
    probabilities = 0.45 * softmax(generator, labels).astype(float)
    probabilities[np.arange(len(labels)), probabilities.argmax(axis=1)] += 0.55
    undecided = generator.random(len(labels)) < 0.2
    for row in np.flatnonzero(undecided):
        first, second = generator.choice(7, size=2, replace=False)
        probabilities[row] = (1 - 2 * (half := generator.choice([0.3, 0.5]))) / 5
        probabilities[row, [first, second]] = half
    return probabilities


def ours(labels, probabilities, classes=CLASSES):
    """Our table of classes and our scores."""
    table = classification.per_class(labels, probabilities, classes)
    # Of images right for a class: its own that were found, and the others that were let go.
    others = len(labels) - table["n"]
    table["accuracy"] = table["sensitivity"] * table["n"] + table["specificity"] * others
    table["accuracy"] /= len(labels)
    table["average_precision"] = [
        binary.average_precision(labels == c, probabilities[:, c]) for c in range(len(classes))
    ]
    return table, classification.scores(labels, probabilities)


def assert_same(mine, theirs):
    """Two columns, class by class."""
    assert mine.tolist() == pytest.approx(theirs.tolist(), abs=EQUAL)


def assert_same_by_predicted_class(table, found, theirs):
    """All that the two count by the predicted class."""
    for name, their_name in {
        "accuracy": "accuracy",
        "sensitivity": "sensitivity",
        "specificity": "specificity",
        "f1": "dice",
    }.items():
        assert_same(table[name], theirs.per_category[their_name])
    for name, their_name in {
        "balanced_accuracy": "sensitivity",
        "macro_sensitivity": "sensitivity",
        "macro_specificity": "specificity",
        "macro_f1": "dice",
    }.items():
        assert found[name] == pytest.approx(theirs.macro_average[their_name], abs=EQUAL)


def test_coarse_predictions_tie_in_every_way():
    generator = np.random.default_rng(0)
    labels = long_tailed(generator)
    probabilities = coarse(generator, labels)
    undecided = classification.predicted_classes(probabilities) == classification.UNDECIDED
    assert undecided.sum() > 30
    assert (probabilities.max(axis=1) == 0.5).sum() > 30
    assert (probabilities[undecided] == 0.5).any()
    for c in range(7):
        of_class, others = probabilities[labels == c, c], probabilities[labels != c, c]
        assert np.isin(of_class, others).any()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("made", [smooth, coarse, confident])
def test_balanced_accuracy_auc_and_average_precision_equal_the_scorers(official, made, seed):
    generator = np.random.default_rng(seed)
    labels = long_tailed(generator)
    probabilities = made(generator, labels)
    theirs, (table, found) = official(labels, probabilities), ours(labels, probabilities)
    expected = theirs.aggregate.balanced_accuracy
    assert found["balanced_accuracy"] == pytest.approx(expected, abs=EQUAL)
    assert theirs.overall == expected
    assert_same(table["auc"], theirs.per_category["auc"])
    assert found["macro_auc"] == pytest.approx(theirs.macro_average.auc, abs=EQUAL)
    assert_same(table["average_precision"], theirs.per_category["ap"])
    macro = table["average_precision"].mean()
    assert macro == pytest.approx(theirs.macro_average.ap, abs=EQUAL)


@pytest.mark.parametrize("seed", SEEDS)
def test_scores_of_predicted_classes_equal_the_scorers_where_the_winner_is_above_half(
    official, seed
):
    generator = np.random.default_rng(seed)
    labels = long_tailed(generator)
    probabilities = confident(generator, labels)
    winner = probabilities.max(axis=1)
    undecided = classification.predicted_classes(probabilities) == classification.UNDECIDED
    assert (undecided & (winner == 0.5)).any()
    assert ((winner > 0.5) | undecided).all()
    assert_same_by_predicted_class(*ours(labels, probabilities), official(labels, probabilities))


@pytest.mark.parametrize("seed", SEEDS)
def test_every_score_of_two_classes_equals_the_scorers(official, seed):
    generator = np.random.default_rng(seed)
    labels = np.append((generator.random(298) < 0.05).astype(int), [0, 1])
    positive = np.round(softmax(generator, labels, classes=2)[:, 1].astype(float), 2)
    positive[generator.random(300) < 0.1] = 0.5
    probabilities = np.stack([1 - positive, positive], axis=1)
    classes = ["benign", "malignant"]
    table, found = ours(labels, probabilities, classes)
    theirs = official(labels, probabilities, classes)
    assert_same_by_predicted_class(table, found, theirs)
    assert_same(table["precision"], theirs.per_category["ppv"])
    assert_same(table["auc"], theirs.per_category["auc"])
    expected = theirs.aggregate.balanced_accuracy
    assert found["balanced_accuracy"] == pytest.approx(expected, abs=EQUAL)
    assert binary.scores(labels == 1, positive)["average_precision"] == pytest.approx(
        theirs.per_category.ap["malignant"], abs=EQUAL
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_with_no_class_above_half_the_scorer_calls_none_and_we_call_the_largest(official, seed):
    generator = np.random.default_rng(seed)
    labels = long_tailed(generator)
    probabilities = coarse(generator, labels)
    theirs, (table, _) = official(labels, probabilities), ours(labels, probabilities)
    assert (table["sensitivity"] > theirs.per_category["sensitivity"]).any()
    # Ours become the scorer's when the largest is forgotten wherever it is not above 0.5.
    called = np.where(probabilities > 0.5, probabilities, 0)
    forgotten, _ = ours(labels, called)
    for name, their_name in {
        "accuracy": "accuracy",
        "sensitivity": "sensitivity",
        "specificity": "specificity",
        "f1": "dice",
    }.items():
        assert_same(forgotten[name], theirs.per_category[their_name])


def test_precision_of_a_class_never_predicted_is_one_to_the_scorer_and_zero_to_us(official):
    generator = np.random.default_rng(0)
    labels = long_tailed(generator)
    probabilities = confident(generator, labels)
    probabilities[probabilities[:, 6] > 0.5] = np.eye(7)[1]
    theirs, (table, _) = official(labels, probabilities), ours(labels, probabilities)
    assert theirs.per_category.ppv["VASC"] == 1
    assert table.loc["VASC", "precision"] == 0
    assert_same(table["precision"].drop("VASC"), theirs.per_category.ppv.drop("VASC"))


def test_macro_accuracy_of_the_scorer_counts_true_negatives_and_is_not_our_accuracy(official):
    generator = np.random.default_rng(0)
    labels = long_tailed(generator)
    probabilities = softmax(generator, labels, sharpness=50.0)
    probabilities = np.where(probabilities > 0.5, 1.0, 0.0)
    decided = probabilities.any(axis=1)
    labels, probabilities = labels[decided], probabilities[decided]
    theirs, (_, found) = official(labels, probabilities), ours(labels, probabilities)
    # A wrong image is wrong for two of the seven categories: its own and the predicted one.
    expected = 1 - 2 / 7 * (1 - found["accuracy"])
    assert theirs.macro_average.accuracy == pytest.approx(expected, abs=EQUAL)
    assert found["accuracy"] < theirs.macro_average.accuracy


def test_the_scorer_leaves_out_one_image_of_2018_that_we_score(official):
    generator = np.random.default_rng(0)
    labels = long_tailed(generator)
    probabilities = smooth(generator, labels)
    left_out = 100
    theirs = official(labels, probabilities, first=35068 - left_out)
    table, found = ours(np.delete(labels, left_out), np.delete(probabilities, left_out, axis=0))
    expected = theirs.aggregate.balanced_accuracy
    assert found["balanced_accuracy"] == pytest.approx(expected, abs=EQUAL)
    assert_same(table["auc"], theirs.per_category["auc"])
    every, _ = ours(labels, probabilities)
    assert every["auc"].tolist() != pytest.approx(table["auc"].tolist(), abs=1e-6)


def test_a_class_without_images_does_not_enter_the_balanced_accuracy_of_either():
    # Only its balanced accuracy: the whole score of such a file ends in an error.
    generator = np.random.default_rng(0)
    labels = long_tailed(generator)
    labels[labels == 6] = 1
    probabilities = coarse(generator, labels)
    assert (classification.predicted_classes(probabilities) == 6).any()
    expected = scoring_metrics.balanced_multiclass_accuracy(
        pd.DataFrame(np.eye(7)[labels], columns=CLASSES),
        pd.DataFrame(probabilities, columns=CLASSES),
        pd.Series(np.ones(len(labels))),
    )
    found = classification.scores(labels, probabilities)["balanced_accuracy"]
    assert found == pytest.approx(expected, abs=EQUAL)
