"""Notes of a run: when a network answers every test image alike, and which trials it is said of."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.running.notes import same_answer, undecided_notes

ALIKE = np.tile(np.array([0.2, 0.3, 0.5], np.float32), (5, 1))


def result(name, probabilities):
    outputs = SimpleNamespace(probabilities=probabilities)
    return SimpleNamespace(trial=SimpleNamespace(name=name), outputs=outputs)


def test_answers_that_differ_by_rounding_are_the_same():
    rounded = ALIKE.copy()
    rounded[1] = np.nextafter(rounded[1], np.float32(1))
    assert not np.array_equal(rounded[0], rounded[1])
    assert same_answer(rounded)


@pytest.mark.parametrize(
    "probabilities",
    [
        np.array([[0.2, 0.8], [0.20001, 0.79999]], np.float32),
        # Saturated: what ranks the images is far below 1e-6 itself.
        np.array([[1, 1e-9], [1, 2e-9]], np.float32),
        np.array([[0.4, 0.6]], np.float32),
    ],
    ids=["apart", "saturated", "one image"],
)
def test_answers_that_rank_images_are_not_the_same(probabilities):
    assert not same_answer(probabilities)


def test_the_note_names_the_trials_where_there_are_several():
    told = np.eye(3, dtype=np.float32)
    assert undecided_notes([result("main", told)], 1) == ()
    (note,) = undecided_notes([result("main", ALIKE)], 1)
    assert note.startswith("every test image got the same answer, so nothing can be told apart")
    assert note.endswith("train for more than 1 epoch (--budget, --epochs)")
    several = [result("DR", ALIKE), result("DME", told), result("AMD", ALIKE)]
    (note,) = undecided_notes(several, 8)
    assert note.startswith("DR, AMD: every test image")
    assert "8 epochs" in note


def test_a_network_that_was_not_trained_here_is_not_told_to_train_longer():
    (note,) = undecided_notes([result("main", ALIKE)], 0)
    assert "train" not in note
