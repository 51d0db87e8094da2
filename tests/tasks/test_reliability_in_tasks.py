"""Every task that classifies says whether the confidence can be trusted, and draws it."""

import dataclasses
import importlib
import sys
from pathlib import Path

import cv2
import pytest

from benchmark.config import configure
from benchmark.metrics import calibration
from benchmark.metrics.names import title
from benchmark.records.record import Metric
from benchmark.show import metrics_table
from tasks.diagnosis import Diagnosis
from tasks.explainability import Explainability
from tasks.given import Trial
from tasks.imbalance import Imbalance
from tasks.reliability import AS_TRAINED, RELIABILITY, SHOWN
from tasks.semi_supervised import SemiSupervised

sys.path.insert(0, str(Path(__file__).parent.parent / "records"))
records_made = importlib.import_module("records_made")

TASKS = [Diagnosis, Explainability, Imbalance, SemiSupervised]
PICTURES = {"reliability.png", "risk-coverage.png"}


@pytest.fixture(params=TASKS, ids=lambda task: task.name)
def task(request):
    return request.param()


@pytest.fixture
def asked(task, trial) -> Trial:
    """The trial, named as the task names its own."""
    return dataclasses.replace(trial, name="labels-50") if task.seeded else trial


@pytest.fixture
def outputs(outputs_of, trial):
    """Right but for one image, too sure of both: fitted, the confidence 0.8 is softer."""
    return dataclasses.replace(outputs_of(trial.test, wrong=trial.test[:1]), temperature=2.0)


def test_a_score_holds_every_metric_of_the_test_images(task, dataset, asked, outputs):
    found = task.score(dataset, asked, outputs).metrics
    labels = dataset.table.loc[list(asked.test), "label"].to_numpy()
    softened = calibration.scaled(outputs.probabilities, 2.0)
    for probabilities, end in ((outputs.probabilities, ""), (softened, "_scaled")):
        for name, value in calibration.scores(labels, probabilities).items():
            if f"{name}{end}" in RELIABILITY:
                assert found[f"{name}{end}"].value == value
                assert found[f"{name}{end}"].n == len(labels)
    assert found["ece"].value == pytest.approx(5 / 6 - 0.8)


def test_without_a_temperature_nothing_is_scaled_and_all_else_is_the_same(
    task, dataset, asked, outputs
):
    both = task.score(dataset, asked, outputs)
    plain = task.score(dataset, asked, dataclasses.replace(outputs, temperature=None))
    scaled = {name for name in RELIABILITY if name.endswith("_scaled")}
    assert set(both.metrics) - set(plain.metrics) == scaled
    assert {name: both.metrics[name] for name in plain.metrics} == plain.metrics
    note = f"{asked.name}: temperature 2, fitted on the validation images"
    assert both.notes == (*plain.notes, note)


@pytest.mark.parametrize(
    ("temperature", "told"), [(19.99, "20,"), (20.0, "20, a bound of the search,")]
)
def test_the_note_says_where_the_search_ended(dataset, trial, outputs, temperature, told):
    found = Diagnosis().score(dataset, trial, dataclasses.replace(outputs, temperature=temperature))
    assert found.notes == (f"main: temperature {told} fitted on the validation images",)


def test_tables_stand_beside_the_tasks_own(task, dataset, asked, outputs):
    tables = task.score(dataset, asked, outputs).tables
    series = tables["reliability"]["outputs"].unique().tolist()
    assert series == [AS_TRAINED, "temperature 2"]
    assert tables["reliability"].loc[9, "n"].tolist() == [6, 0]
    assert tables["risk_coverage"]["accuracy"].iloc[-1] == pytest.approx(5 / 6)
    assert len(tables) > 2


def test_the_diagram_and_the_curve_are_drawn(task, dataset, asked, outputs, tmp_path):
    score = task.score(dataset, asked, outputs)
    drawn = {path.name: path for path in task.draw(dataset, outputs, score, tmp_path)}
    assert set(drawn) >= PICTURES
    for name in PICTURES:
        assert cv2.imread(str(drawn[name])).std() > 5


def test_a_run_of_several_label_fractions_has_it_per_trial_only(dataset, trial, outputs):
    task = SemiSupervised()
    results = []
    for percent in (50, 100):
        one = dataclasses.replace(trial, name=f"labels-{percent}")
        results.append((one, outputs, task.score(dataset, one, outputs)))
    overall = task.overall(dataset, results)
    measured = {name.partition("_at_")[0] for name in overall.metrics}
    assert not measured & (set(RELIABILITY) | {"accuracy_at_coverage"})
    assert sum("temperature 2" in note for note in overall.notes) == 2


@pytest.mark.parametrize("task", [Diagnosis, Explainability, Imbalance], ids=lambda t: t.name)
def test_a_few_are_shown_before_and_after(task):
    assert [name for name in task.shown if name in RELIABILITY] == list(SHOWN)
    assert set(SHOWN) <= set(RELIABILITY)


@pytest.mark.parametrize("known", [(), ("ece",), SHOWN])
def test_what_a_record_lacks_is_left_out_of_what_is_printed(known):
    """Of records from before there was reliability, and of those without a temperature."""
    config = configure("MobileNetV2", "diagnosis", budget="smoke").public()
    metrics = {name: Metric(value=0.5, n=9, groups=9) for name in ("macro_auc", *known)}
    record = records_made.record("r1", "macro_auc", metrics, config)
    table = metrics_table(record)
    assert list(table.index) == [title(name) for name in ("macro_auc", *known)]
