"""The command on a record's page: the real command line takes it and resolves it to the run."""

import shlex
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import site_made

from benchmark import cli
from benchmark.config import RunConfig, configure
from benchmark.leaderboard.site.reproduce import reproduction


def asked_by(command, monkeypatch):
    """What the command line passes on to `run`."""
    asked = {}

    class _EnoughError(Exception):
        pass

    def run(arch, task, *, out, overwrite, display, **settings):
        asked.update(arch=arch, task=task, **settings)
        raise _EnoughError

    monkeypatch.setattr("benchmark.run.run", run)
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "benchmark"]
    with pytest.raises(_EnoughError):
        cli.main(words[3:])
    return asked


def of_config(config):
    record = site_made.a_record("r1")
    return reproduction(record.model_copy(update={"config": config, "task": config["task"]}))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"framework": "keras", "seed": 7, "budget": "smoke"},
        {"epochs": 3, "image_size": (96, 128), "temperature_scaling": True, "allow_leaks": True},
        {"weights": "imagenet", "pretrain_on": ["isic2018:/data/a b", "synthetic"]},
        {"weights": "/data/my weights.h5", "dataset": "folder", "data_dir": "/data/it's here"},
        {"method": "ldam-drw", "budget": "paper", "arch": "ResNet50"},
        {"method": "focal", "method_options": {"gamma": 1.5}},
        {"method": "supercon", "budget": "paper"},
        {"dataset_options": {"images": 72, "size": 96}, "device": "cpu"},
        {"dataset_options": {"classes": "-a,b"}, "dataset": "medmnist", "data_dir": "/d/x.npz"},
        {"task": "imbalance", "task_options": {"imbalance": "50", "positive": "MEL"}},
        {"task": "grading", "method": "sall", "task_options": {"grades": "all"}},
        {"task": "explainability", "explainer": "layercam", "framework": "keras"},
        {
            "task": "semi-supervised",
            "method": "isdl",
            "task_options": {"label_fractions": "5,10", "unlabelled": "/data/more"},
        },
    ],
)
def test_the_command_is_taken_and_resolves_to_the_settings_of_the_record(settings, monkeypatch):
    given = {"arch": "MobileNetV2", "task": "diagnosis"} | settings
    config = configure(**given)
    found = of_config(config.public())
    assert "the same version gives the run this name" in found.about
    asked = asked_by(found.command, monkeypatch)
    assert configure(**asked).identity() == config.identity()


def test_folders_and_files_have_placeholders_that_say_which(monkeypatch):
    config = configure(
        *("Xception", "diagnosis"),
        dataset="isic2018",
        data_dir="/home/me/isic2018",
        weights="/home/me/net.h5",
    )
    asked = asked_by(of_config(config.public()).command, monkeypatch)
    assert asked["data_dir"] == "/path/to/isic2018"
    assert asked["weights"] == "/path/to/net.h5"


def test_a_setting_that_no_option_gives_is_named_and_shown_as_json():
    config = configure("Xception", "diagnosis").public()
    config["recipe"]["learning_rate"] = 0.5
    config["probed_images"] = 3
    found = of_config(config)
    assert found.command == ""
    assert "probed_images, recipe.learning_rate" in found.about
    assert '"learning_rate": 0.5' in found.settings


def test_settings_of_another_version_are_shown_as_json():
    config = configure("Xception", "diagnosis").public() | {"colour": "red"}
    found = of_config(config)
    assert found.command == ""
    assert "another version" in found.about
    assert '"colour": "red"' in found.settings


def test_names_that_this_version_does_not_know_are_said():
    found = of_config(configure("Xception", "diagnosis").public() | {"method": "from-elsewhere"})
    assert found.command == ""
    assert "from-elsewhere" in found.about


def test_a_setting_that_cannot_be_shown_makes_no_command():
    config = configure("Xception", "diagnosis", data_dir="x").public() | {"data_dir": "a\u202eb\n"}
    found = of_config(config)
    assert found.command == ""
    assert "\\u202e" in found.settings


def test_a_shell_takes_hostile_text_as_one_word(monkeypatch):
    hostile = "a; rm -rf $HOME `id` '\" && b"
    config = configure("Xception", "diagnosis", data_dir="x").public() | {"data_dir": hostile}
    asked = asked_by(of_config(config).command, monkeypatch)
    assert asked["data_dir"] == f"/path/to/{hostile}"


def test_a_record_from_before_a_setting_existed_has_its_command(monkeypatch):
    config = configure("Xception", "diagnosis").public()
    for newer in ("explainer", "temperature_scaling", "allow_leaks"):
        del config[newer]
    found = of_config(config)
    assert RunConfig.model_validate(config).explainer == "gradcam"
    assert asked_by(found.command, monkeypatch)["arch"] == "Xception"
