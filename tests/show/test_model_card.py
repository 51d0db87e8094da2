"""A model card says what the record says, and nothing that it does not."""

import pytest
import yaml
from clinic import write_images

from benchmark.cli import main
from benchmark.errors import UserError
from benchmark.run import run
from benchmark.show.model_card import model_card


@pytest.fixture(scope="module")
def made(framework, tmp_path_factory):
    home = tmp_path_factory.mktemp("card")
    write_images(home / "clinic", 0)
    settings = {"framework": framework, "budget": "smoke", "dataset": "folder"}
    return home, run(
        "MobileNetV2", "diagnosis", **settings, data_dir=home / "clinic", out=home / "results"
    )


def test_it_has_the_scores_with_their_intervals_and_a_command(made, capsys):
    home, record = made
    assert main(["card", record.run_id[:6], "--out", str(home / "results")]) == 0
    card = capsys.readouterr().out
    auc = record.metrics["macro_auc"]
    assert f"| macro AUC | {auc.value:.3f} | {auc.low:.3f} to {auc.high:.3f} | {auc.n} |" in card
    assert "a logit for each of dark, light" in card
    assert "started from: random weights" in card
    assert "Not a medical device" in card
    assert "python -m benchmark run --arch MobileNetV2 --task diagnosis" in card
    header = yaml.safe_load(card.split("---")[1])
    assert header["pipeline_tag"] == "image-classification"


def test_every_limit_of_the_record_is_in_it_and_none_can_be_markup(made):
    _, record = made
    told = record.model_copy(
        update={"leaks": ("6 test images leak.",), "notes": ("<b>bold</b> | cell\n# title",)}
    )
    card = model_card(told)
    assert "- 6 test images leak." in card
    assert "&lt;b>bold&lt;/b> \\| cell # title" in card


def test_a_submission_has_none(made):
    _, record = made
    with pytest.raises(UserError, match="is a submission"):
        model_card(record.model_copy(update={"submission": object()}))
