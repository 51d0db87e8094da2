"""Resolving what the user said into a configuration."""

import pytest

import architectures
from benchmark.config import BUDGETS, configure, run_id
from benchmark.errors import UserError
from benchmark.recipe import Augmentation

PROTOCOL = {"task_version": "1", "data": "f00"}


@pytest.mark.parametrize("arch", architectures.names())
@pytest.mark.parametrize("budget", BUDGETS)
def test_every_architecture_has_every_budget_the_paper_gives(arch, budget):
    if (arch, budget) == ("DenseNet121", "paper"):
        with pytest.raises(UserError, match="was not found"):
            configure(arch, "diagnosis", budget=budget)
        return
    config = configure(arch, "diagnosis", budget=budget)
    assert config.recipe.epochs >= 1


def test_the_paper_budget_is_the_published_one():
    config = configure("Xception", "explainability", budget="paper")
    recipe = config.recipe
    assert config.image_size == (400, 300)
    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate) == (50, 64, 1e-3)
    assert (recipe.optimiser, recipe.freeze, recipe.class_weights) == ("adam", "paper", True)
    assert recipe.augmentation.brightness == (0.5, 1.5)
    assert recipe.augmentation.border == "nearest"


def test_what_the_user_says_wins_over_the_budget():
    config = configure("xception", "diagnosis", image_size=(96, 128), epochs=3, seed=5)
    assert config.arch == "Xception"
    assert config.image_size == (96, 128)
    assert config.recipe.epochs == config.pretrain_epochs == 3
    assert config.seed == 5


def test_the_run_id_depends_on_what_decides_the_result():
    def identify(**settings):
        return run_id(configure("Xception", "diagnosis", **settings), PROTOCOL)

    base = identify()
    assert base == identify()
    for change in ({"seed": 1}, {"framework": "keras"}, {"epochs": 3}, {"image_size": 160}):
        assert identify(**change) != base
    assert run_id(configure("Xception", "diagnosis"), {**PROTOCOL, "data": "bar"}) != base


def test_the_run_id_does_not_depend_on_where_things_lie():
    here, there = (
        configure("Xception", "diagnosis", dataset="isic2018", data_dir=folder, device=device)
        for folder, device in (("/a", "cpu"), ("/b", "auto"))
    )
    assert run_id(here, PROTOCOL) == run_id(there, PROTOCOL)


def test_nobodys_paths_are_published_nor_decide_the_run_id(tmp_path):
    here, there = (
        configure(
            "Xception",
            "diagnosis",
            dataset="dermxdb",
            data_dir=f"{root}/dermxdb",
            dataset_options={"images": f"{root}/photographs"},
            pretrain_on=f"isic2018:{root}/isic",
            weights=f"{root}/best.safetensors",
        )
        for root in ("/home/anna", "/data")
    )
    assert "anna" not in str(here.public())
    assert here.public()["pretrain_on"] == ["isic2018:isic"]
    assert run_id(here, PROTOCOL) == run_id(there, PROTOCOL)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"seed": -1}, "--seed -1"),
        ({"device": "tpu"}, "--device tpu"),
        ({"epochs": -2}, "--epochs -2"),
        ({"image_size": 70}, "at least 71"),
        ({"pretrain_on": "isic2018"}, "NAME:DIR"),
        ({"pretrain_on": "isic:/data"}, "did you mean"),
    ],
)
def test_impossible_settings_are_named(settings, said):
    with pytest.raises(UserError, match=said):
        configure("Xception", "diagnosis", **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "--weights FILE"),
        ({"weights": "imagenet"}, "--weights FILE"),
        ({"weights": "net.keras", "epochs": 3}, "leave out --epochs"),
        ({"weights": "net.keras", "pretrain_on": "synthetic"}, "and --pretrain-on"),
        ({"weights": "net.keras", "seed": 1}, "leave out --seed"),
    ],
)
def test_a_method_that_does_not_train_takes_a_file_and_nothing_of_training(settings, message):
    with pytest.raises(UserError, match=message):
        configure("Xception", "diagnosis", method="checkpoint", **settings)


def test_a_method_that_does_not_train_has_no_epochs():
    config = configure("Xception", "diagnosis", method="checkpoint", weights="net.keras")
    assert config.recipe.epochs == 0


def test_every_setting_of_task_and_method_is_in_the_configuration():
    config = configure(
        "MobileNetV2",
        "imbalance",
        method="ldam-drw",
        task_options={"imbalance": "50"},
        method_options={"beta": 0.999},
    )
    assert config.task_options == {"imbalance": "50", "positive": None}
    assert config.method_options == {"max_margin": 0.5, "beta": 0.999, "deferred": 0.8}
    assert config.recipe.head == "cosine"


def test_the_run_id_depends_on_the_settings_of_task_and_method():
    ids = [
        run_id(configure("MobileNetV2", "imbalance", **settings), PROTOCOL)
        for settings in (
            {"method": "focal"},
            {"method": "focal", "method_options": {"gamma": 1}},
            {"method": "focal", "task_options": {"positive": "MEL"}},
            {"method": "focal", "allow_leaks": True},
        )
    ]
    assert len(set(ids)) == 3
    # It refuses or does not: it changes nothing.
    assert ids[0] == ids[3]


@pytest.mark.parametrize(
    ("task", "settings", "message"),
    [
        ("imbalance", {"task_options": {"imbalance": "20"}}, "--imbalance 20: .*'100'"),
        (
            "diagnosis",
            {"task_options": {"positive": "MEL"}},
            "--positive: task diagn.* imbalance",
        ),
        ("diagnosis", {"method": "focal", "method_options": {"alpha": 1}}, "it takes gamma"),
        (
            "diagnosis",
            {"method": "focal", "method_options": {"gamma": -1}},
            "--method-option gamma -1: .*greater than or equal to 0",
        ),
    ],
)
def test_settings_that_a_task_or_method_lacks_are_named(task, settings, message):
    with pytest.raises(UserError, match=message):
        configure("MobileNetV2", task, **settings)


def test_a_method_with_a_paper_of_its_own_has_its_own_paper_budget():
    config = configure("ResNet50", "imbalance", method="supercon", budget="paper")
    recipe = config.recipe
    assert config.image_size == (224, 224)
    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate) == (100, 128, 0.003)
    assert (recipe.optimiser, recipe.nesterov, recipe.weight_decay) == ("sgd", False, 5e-5)
    assert (recipe.schedule, recipe.head) == ("thirds", "plain")
    # The paper's number of epochs for this one was not found, but SuperCon's has its own.
    assert configure("DenseNet121", "imbalance", method="supercon", budget="paper")


def test_a_data_set_with_settings_of_its_own_has_them_for_its_paper_budget():
    """MedMNIST's code, with its images enlarged."""
    config = configure("ResNet50", "diagnosis", dataset="medmnist", budget="paper")
    recipe = config.recipe
    assert config.image_size == (224, 224)
    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate) == (100, 128, 1e-3)
    assert (recipe.optimiser, recipe.weight_decay, recipe.bn_momentum) == ("adam", 0, 0.9)
    assert (recipe.schedule, recipe.head) == ("half-then-quarter", "plain")
    assert recipe.augmentation == Augmentation()
    # A method's own paper says more of what it needs.
    ours = configure("ResNet50", "diagnosis", dataset="medmnist", budget="paper", method="supercon")
    assert (ours.recipe.schedule, ours.recipe.optimiser) == ("thirds", "sgd")
    quick = configure("ResNet50", "diagnosis", dataset="medmnist")
    assert quick.recipe.schedule == "cosine"


@pytest.mark.parametrize(
    "wrong",
    [{"crop": (0.0, 1.0)}, {"crop": (0.5, 1.2)}, {"blur": (2.0, 1.0)}, {"jitter": (0, 0, 0, 0.6)}],
)
def test_an_augmentation_out_of_range_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Augmentation(**wrong)


def test_what_follows_from_the_recipe_is_resolved_and_recorded():
    config = configure("MobileNetV2", "imbalance", method="crt", epochs=10)
    assert config.method_options == {"classifier_epochs": 3, "classifier_rate": 1e-3}
    config = configure("MobileNetV2", "imbalance", method="supercon", epochs=10)
    assert config.method_options["classifier_epochs"] == 10
    paper = configure("ResNet50", "imbalance", method="supercon", budget="paper", epochs=8)
    assert paper.method_options["classifier_epochs"] == 5
    assert paper.method_options["classifier_rate"] == 5e-4


def test_class_weights_stand_only_where_they_are_heeded():
    weighted = {
        method: configure("Xception", "diagnosis", budget="paper", method=method).recipe
        for method in ("cross-entropy", "focal")
    }
    assert weighted["cross-entropy"].class_weights
    assert not weighted["focal"].class_weights


@pytest.mark.parametrize(("method", "name"), [("supercon", "temperature"), ("focal", "gamma")])
def test_infinity_is_no_setting(method, name):
    with pytest.raises(UserError, match=f"--method-option {name} inf: "):
        configure("MobileNetV2", "imbalance", method=method, method_options={name: float("inf")})
