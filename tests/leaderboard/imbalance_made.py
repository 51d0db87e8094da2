"""Records of the imbalance task, with nothing in them but what a test is about."""

import hashlib
import importlib
import json
import sys
from pathlib import Path

from benchmark.records.record import Metric

sys.path.insert(0, str(Path(__file__).parent.parent / "records"))
records_made = importlib.import_module("records_made")

LEAK = (
    "2 of 9 test images show a lesion or patient that is also in train: allowed by --allow-leaks."
)


def a_record(score=0.5, imbalance="50", positive=None, notes=(), fields=None, **config):
    """A record of the imbalance task; `fields` are the record's own, the rest its settings."""
    options = {"imbalance": imbalance, "positive": positive}
    config = {
        "arch": "Xception",
        "framework": "torch",
        "task": "imbalance",
        "method": "cross-entropy",
        "image_size": [96, 128],
        "budget": "quick",
        "recipe": {"epochs": 9, "learning_rate": 0.001},
        "seed": 0,
        "task_options": options,
        "method_options": {},
        "allow_leaks": False,
    } | config
    value = score and Metric(value=score, low=score - 0.05, high=score + 0.05, n=100, groups=90)
    metrics = {"macro_f1": value or Metric(value=None, n=0, groups=0)}
    told = json.dumps([score, config, repr(fields)])
    return records_made.record(
        "r" + hashlib.sha256(told.encode()).hexdigest()[:12],
        "macro_f1",
        metrics,
        config,
        **{
            "task": "imbalance",
            # Another ratio is another training set.
            "trials": (records_made.trial(metrics, split=json.dumps(options)),),
            "notes": notes,
        }
        | (fields or {}),
    )


def on(split, test="t" * 64):
    """Fields of a record whose one trial has these fingerprints."""
    return {"trials": (records_made.trial({}, split=split, test=test),)}


def measured(ratio):
    return f"9 training images; the largest class has {ratio} times the images of the rarest"
