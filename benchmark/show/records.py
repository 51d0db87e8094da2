"""What `list records` and `describe` print of runs and submissions."""

from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.metrics.names import title
from benchmark.records.authored import About
from benchmark.records.index import head_of, opened
from benchmark.records.store import Store
from benchmark.show import headline, metric_row
from benchmark.submissions import keep
from benchmark.submissions.board import find, submitted


def record_ids(out: str | Path) -> list[str]:
    """The ids of all runs and submissions, readable or not."""
    return [*Store(out).run_ids(), *keep.names(out)]


def unreadable_records(out: str | Path = "results") -> tuple[str, ...]:
    """One sentence for each record or submission that is damaged or of another version."""
    with opened(out) as index:
        return (*index.problems, *submitted(out, index).problems)


def record_listing(out: str | Path) -> pd.DataFrame:
    """A row for each run and submission: what it is, and its headline score."""
    with opened(out) as index:
        sent = [head_of(record, "") for record in submitted(out, index).records]
        rows = [
            {
                "run": head.run_id,
                "task": head.task,
                "arch": head.arch,
                "framework": head.framework,
                "method": head.method,
                "dataset": head.dataset,
                "seed": "submitted" if head in sent else head.seed,
                title(head.headline): "-" if head.value is None else f"{head.value:.3f}",
            }
            for head in (*index.heads, *sent)
        ]
    return pd.DataFrame(rows).fillna("-")


def record_facts(prefix: str, out: str | Path) -> dict[str, Any]:
    """What is known of the run or submission whose id begins so, every metric included.

    Raises:
        UserError: none begins with it, several do, or its files are damaged.
    """
    record = find(out, prefix)
    metrics = {
        key: " ".join(str(part) for part in metric_row(metric).values())
        for key, metric in record.metrics.items()
    }
    if record.submission is None:
        return {"run": headline(record), "created": record.created, **metrics}
    return {
        "submission": headline(record),
        "accepted": record.created,
        "flags": " ".join(record.submission.flags) or "none",
        **{f"authors: {key}": value for key, value in _said(record.submission.about).items()},
        **metrics,
    }


def _said(about: About) -> dict[str, Any]:
    """What the authors of a submission say, as far as they say it."""
    told = about.model_dump(exclude={"method", "architecture", "framework"}, exclude_none=True)
    told["authors"] = ", ".join(about.authors)
    return {key.replace("_", " "): value for key, value in told.items() if value != ""}
