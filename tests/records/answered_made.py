"""Runs without training: a data set, a frozen split, predictions of a chosen skill, a record."""

import numpy as np
import pandas as pd
import records_made

from benchmark.config import configure, run_id
from benchmark.data.dataset import Dataset, Disease
from benchmark.records import predictions, splits
from benchmark.records.predictions import Predictions
from benchmark.records.record import DataUsed, DiseaseUsed
from benchmark.records.store import Store
from benchmark.registry import TASKS
from tasks.given import Outputs, Trial

CLASSES = ("bcc", "mel", "nv")
DISEASES = (Disease("DR", ("0", "1", "2"), 1), Disease("DME", ("0", "1"), 1))


def dataset(root, images=240, seed=0) -> Dataset:
    """Two images a lesion, three classes, two diseases; nothing can be looked at."""
    generator = np.random.default_rng(seed)
    ids = [f"i{number:04d}" for number in range(images)]
    labels = np.repeat(generator.permutation(np.arange(images // 2) % len(CLASSES)), 2)
    table = pd.DataFrame(
        {"path": "", "label": labels, "group": [f"g{n // 2:04d}" for n in range(images)]},
        index=pd.Index(ids, name="id"),
    ).assign(split="")
    for disease in DISEASES:
        table[disease.column] = labels % len(disease.grades)
    return Dataset("hand", root, table, CLASSES, diseases=())


def run(out, task="diagnosis", skill=2.0, data=None, stray=0, **settings):
    """The record of a run that was never trained; all its files are written below `out`.

    `skill` is how far the true class's logit stands above the noise; `stray` draws other noise.
    """
    data = data or dataset(out)
    config = configure("MobileNetV2", task, dataset="folder", data_dir="hand", **settings)
    of_task = TASKS.get(task)
    asked = of_task(of_task.Options(**config.task_options))
    if asked.graded:
        data = Dataset(data.name, data.root, data.table, data.classes, diseases=DISEASES)
    prepared = asked.prepare(data)

    def draw():
        trials = asked.trials_of(data, config.seed)
        return {t.name: {part: getattr(t, part) for part in splits.PARTS} for t in trials}

    own = config.seed if asked.seeded else None
    split = splits.frozen(
        *(out, prepared, asked.name, asked.version, config.question, draw, own),
        lambda name: asked.of_trial(prepared, name),
    )
    split.keep()
    generator = np.random.default_rng([config.seed, stray])
    results = []
    for trial in (Trial(name, **parts) for name, parts in split.trials.items()):
        view = asked.of_trial(prepared, trial.name)
        outputs = Outputs(trial.test, _said(view, trial.test, skill, generator))
        results.append((trial, outputs, asked.score(view, trial, outputs)))
    overall = asked.overall(prepared, results)
    made_of = {"data": prepared.fingerprint, "skill": skill, "stray": stray}
    record = records_made.record(
        run_id(config, made_of),
        asked.headline,
        overall.metrics,
        config.public(),
        task=asked.name,
        task_version=asked.version,
        data=DataUsed(
            name=data.name,
            fingerprint=prepared.fingerprint,
            classes=prepared.classes,
            diseases=tuple(DiseaseUsed(**vars(one)) for one in prepared.diseases),
        ),
        trials=tuple(_trial(trial, score) for trial, _, score in results),
    )
    said = [Predictions(outputs.ids, outputs.probabilities) for _, outputs, _ in results]
    predictions.save(out, record.run_id, said)
    Store(out).save(record)
    return record


def _said(view, ids, skill, generator):
    labels = view.table.loc[list(ids), "label"].to_numpy()
    logits = generator.normal(size=(len(ids), len(view.classes)))
    logits[np.arange(len(ids)), labels] += skill
    said = np.exp(logits)
    return np.float32(said / said.sum(axis=1, keepdims=True))


def _trial(trial, score):
    made = records_made.trial(score.metrics, trial.name, trial.fingerprint, trial.test_fingerprint)
    counts = {"n_train": len(trial.train), "n_test": len(trial.test)}
    return made.model_copy(update=counts)
