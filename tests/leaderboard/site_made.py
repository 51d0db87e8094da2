"""Records with whole configurations, and a small results folder, for the tests of the site."""

import importlib
import sys
from pathlib import Path

from benchmark.config import configure
from benchmark.pictures.figure import drawing
from benchmark.records.folder import RunFolder
from benchmark.records.record import Baseline, DataUsed, Metric
from benchmark.records.store import Store

sys.path.insert(0, str(Path(__file__).parent.parent / "records"))
records_made = importlib.import_module("records_made")

HOSTILE = (
    "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    ' " onmouseover="alert(3)" \' javascript:alert(4) \x1b[31m \u202etxet {{ 7 * 7 }}'
)


def a_metric(value, half=0.05):
    if value is None:
        return Metric(value=None, n=0, groups=0, note="no image")
    return Metric(value=value, low=value - half, high=value + half, n=1000, groups=900)


def a_record(run_id, auc=0.8, arch="Xception", extra=None, fields=None, **settings):
    """A diagnosis record on isic2018 whose settings are those of a run that can be made."""
    settings = {"dataset": "isic2018", "data_dir": "/data/isic2018"} | settings
    config = configure(arch, "diagnosis", **settings).public()
    metrics = {"macro_auc": a_metric(auc)} | {k: a_metric(v) for k, v in (extra or {}).items()}
    data = DataUsed(name=config["dataset"], fingerprint="d" * 64, classes=("MEL", "NV"))
    return records_made.record(
        run_id, "macro_auc", metrics, config, **{"data": data, **(fields or {})}
    )


def hostile_record(run_id="hostile"):
    """A record in which whatever may hold any text holds `HOSTILE`."""
    metrics = {"macro_auc": a_metric(0.5), HOSTILE: a_metric(0.5)}
    settings = {
        **{"arch": HOSTILE, "framework": HOSTILE, "method": HOSTILE, "weights": HOSTILE},
        **{"image_size": HOSTILE, "budget": HOSTILE, "recipe": {"epochs": HOSTILE}, "seed": 0},
    }
    return records_made.record(
        run_id,
        "macro_auc",
        metrics,
        settings,
        created=HOSTILE,
        benchmark_version=HOSTILE,
        data=DataUsed(name=HOSTILE, fingerprint=HOSTILE, classes=(HOSTILE,), notes=(HOSTILE,)),
        packages={HOSTILE: HOSTILE},
        hardware={HOSTILE: HOSTILE},
        trials=(records_made.trial(metrics, name=HOSTILE, split=HOSTILE),),
        baselines={HOSTILE: Baseline(kind="floor", metrics={"macro_auc": a_metric(0.3)})},
        leaks=(HOSTILE,),
        notes=(HOSTILE,),
    )


def save(results, *records):
    for record in records:
        Store(results).save(record)


def run_folder(results, record, pictures=("confusion", "history-train")):
    """Make a run's folder with a table by class and some pictures; returns it."""
    folder = RunFolder.of_record(results, record).path
    (folder / "main" / "plots").mkdir(parents=True)
    (folder / "main" / "per_class.csv").write_text(
        "class,n,sensitivity,auc\nMEL,68,0.5735294,0.8563412\nNV,361,0.872,\n"
    )
    for name in pictures:
        with drawing(folder / "main" / "plots" / f"{name}.png", 2, 2, f"{name} in words") as figure:
            figure.subplots()
    return folder


def files(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }
