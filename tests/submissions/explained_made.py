"""A run of task explainability that was never trained: rendered photographs, maps made by hand."""

import bundles_made
import numpy as np
import records_made

from benchmark.config import configure, run_id
from benchmark.data import load
from benchmark.records import predictions, splits
from benchmark.records.predictions import Predictions
from benchmark.records.record import UNTRAINED, Baseline, DataUsed, Metric
from benchmark.records.store import Store
from benchmark.rescoring import question_of, scored, sheet_of
from tasks.explainability import Explainability

# The second is of the images that one network diagnoses correctly.
_SCORED = {
    name: Metric(value=0.25, n=9, groups=9) for name in ("explainability_f1", "correct_only_f1")
}
_FLOOR = Baseline(kind="floor", metrics=_SCORED)
OPTIONS = {"images": 54, "size": 64, "annotators": 2}


def run(out):
    """The record of a run whose maps are `maps(0)`, and its data set; all files are below `out`."""
    config = configure("MobileNetV2", "explainability", dataset_options=OPTIONS)
    dataset, task = load("synthetic", None, **config.dataset_options), Explainability()
    parts = {t.name: {p: getattr(t, p) for p in splits.PARTS} for t in task.trials(dataset)}
    given = (task.name, task.version, config.question)
    splits.frozen(out, dataset, *given, lambda: parts).keep()
    (trial,) = task.trials(dataset)
    data = DataUsed(name="synthetic", fingerprint=dataset.fingerprint, classes=dataset.classes)
    record = records_made.record(
        run_id(config, {}),
        task.headline,
        {},
        config.public(),
        task=task.name,
        task_version=task.version,
        data=data,
        trials=(records_made.trial({}, trial.name, trial.fingerprint, trial.test_fingerprint),),
        baselines={"centred Gaussian": _FLOOR, UNTRAINED: _FLOOR},
    )
    scores = task.map_scores(dataset, trial.test, maps(trial.test))
    values = {name: each.astype(np.float32) for name, each in scores.items()}
    said = Predictions(trial.test, _probabilities(dataset, trial.test), values)
    predictions.save(out, record.run_id, [said])
    overall, (own,) = scored(sheet_of(out, question_of(record)), [said], [None])
    trials = (record.trials[0].model_copy(update={"metrics": own.metrics}),)
    record = record.model_copy(update={"metrics": overall.metrics, "trials": trials})
    Store(out).save(record)
    return record, dataset


def maps(ids, seed=0):
    """(N, 6, 8) float32 from 0 to 1, one for each id."""
    return np.random.default_rng(seed).random((len(ids), 6, 8), np.float32)


def _probabilities(dataset, ids):
    said = np.random.default_rng(1).random((len(ids), len(dataset.classes)), np.float32)
    return said / said.sum(axis=1, keepdims=True)


def write(path, ids, values):
    """Maps as an author has them."""
    np.savez_compressed(path, ids=np.array(ids), maps=values)
    return path


def files(folder, results, record):
    """An author's predictions, with noise, and manifest."""
    table = bundles_made.tables(results, record, noise=0.2)["main"]
    (folder / "m.toml").write_text(bundles_made.ABOUT)
    return bundles_made.write(table, folder / "p.npz"), folder / "m.toml"
