"""A record with nothing in it but what a test is about."""

from benchmark.records.record import DataUsed, Record, TrialRecord, WeightsUsed

CREATED = "2025-03-01T12:00:00+00:00"


def trial(metrics, name="main", split="s" * 64, test="t" * 64):
    """One trial of three images; `test` is "" in a record from before there was one."""
    return TrialRecord(
        name=name,
        split_fingerprint=split,
        test_fingerprint=test,
        n_train=1,
        n_validation=1,
        n_test=1,
        stages=(),
        metrics=metrics,
    )


def record(run_id, headline, metrics, config, **fields):
    """A record of the diagnosis task; `fields` are the record's others."""
    defaults = {
        "benchmark_version": "0.1.0",
        "created": CREATED,
        "task": "diagnosis",
        "task_version": "1",
        "data": DataUsed(name="synthetic", fingerprint="d" * 64, classes=("a", "b")),
        "weights": WeightsUsed(kind="none"),
        "seeds": {"run": 0},
        "packages": {},
        "hardware": {},
        "seconds": {},
        "peak_memory_bytes": {},
        "parameters": 1000,
        "trials": (trial(metrics),),
    }
    named = {"run_id": run_id, "headline": headline, "metrics": metrics, "config": config}
    return Record(**(defaults | named | fields))
