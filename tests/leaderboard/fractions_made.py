"""Records of the semi-supervised task, with nothing in them but what a test is about."""

import hashlib
import importlib
import json
import sys
from pathlib import Path

import numpy as np

from benchmark.leaderboard.fractions import label_curves
from benchmark.leaderboard.table import build_table, rows_of
from benchmark.records.record import Metric

sys.path.insert(0, str(Path(__file__).parent.parent / "records"))
records_made = importlib.import_module("records_made")

HALF = 0.05
FULL = {"5": 0.4, "20": 0.6, "100": 0.8}
FEW = {"5": 0.4, "20": 0.6}


def a_metric(value):
    if value is None:
        return Metric(value=None, n=0, groups=0)
    return Metric(value=value, low=value - HALF, high=value + HALF, n=100, groups=90)


def area(scores):
    """The mean height over log fraction, None where a score is missing."""
    places, heights = np.log([float(f) for f in scores]), list(scores.values())
    if None in heights:
        return None
    return float(np.trapezoid(heights, places) / np.ptp(places)) if len(places) > 1 else heights[0]


def a_record(scores, method="supervised", seed=0, fields=None, unlabelled=None, **config):
    """A record with a macro F1 by fraction, such as {"5": 0.4, "100": 0.8}, in rising order.

    `fields` are the record's own, the rest its settings.
    """
    config = {
        "arch": "MobileNetV2",
        "framework": "torch",
        "task": "semi-supervised",
        "method": method,
        "image_size": [96, 96],
        "budget": "quick",
        "recipe": {"epochs": 8, "learning_rate": 0.001},
        "seed": seed,
        "task_options": {"label_fractions": ",".join(scores), "unlabelled": unlabelled},
        "method_options": {},
    } | config
    each = {f: {"macro_f1": a_metric(value)} for f, value in scores.items()}
    metrics = {"macro_f1_area": a_metric(area(scores))}
    metrics |= {f"macro_f1_at_{f}": each[f]["macro_f1"] for f in scores}
    told = json.dumps([scores, config, repr(fields)])
    return records_made.record(
        "r" + hashlib.sha256(told.encode()).hexdigest()[:12],
        "macro_f1_area",
        metrics,
        config,
        **{
            "task": "semi-supervised",
            # As the task has it: which images are labelled is no part of the split.
            "trials": tuple(records_made.trial(each[f], name=f"labels-{f}") for f in scores),
        }
        | (fields or {}),
    )


def drawn(*records):
    """The curves that these records make."""
    counted = [record for seeds in rows_of(records) for record in seeds]
    return label_curves(build_table(counted), counted)
