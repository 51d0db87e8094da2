"""One is one: what counts things in words."""

import pytest

from benchmark.common.wording import counted, out_option


@pytest.mark.parametrize(
    ("count", "told"),
    [(0, "0 epochs"), (1, "1 epoch"), (2, "2 epochs"), ("1,204", "1,204 epochs")],
)
def test_one_has_no_plural(count, told):
    assert counted(count, "epoch") == told


def test_words_that_change_with_the_noun_are_given():
    assert counted(1, "image has", "images have") == "1 image has"
    assert counted(3, "image has", "images have") == "3 images have"


def test_a_command_names_the_results_folder_unless_it_is_the_usual_one(tmp_path):
    assert out_option("results") == ""
    assert out_option(tmp_path) == f" --out {tmp_path}"
