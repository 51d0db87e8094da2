"""What a comparison says: a sentence, a table, files."""

from pathlib import Path

import pandas as pd

from benchmark.common.files import atomic_path
from benchmark.common.wording import counted
from benchmark.comparison.plots import deciding_images, difference_plot
from benchmark.comparison.sides import Comparison, Side
from benchmark.data.dataset import Dataset
from benchmark.metrics.names import title
from benchmark.show import headline as described

# Of each side, in the picture and on the screen.
DECIDING = 8


def sentence(found: Comparison) -> str:
    """Which is better by how much, and how sure that is."""
    test, metric = found.difference, title(found.headline)
    one, other = (found.metrics.at[found.headline, side] for side in ("first", "second"))
    answer = found.sides[0].answers[0]
    if pd.isna(test.p):
        return f"{metric} {one:.3f} and {other:.3f}: not defined in enough resamples to be compared"
    seeds = [len(side.records) for side in found.sides]
    if test.p >= 0.05:
        verdict = "no difference is shown"
    else:
        verdict = f"the {'first' if test.value > 0 else 'second'} is better"
    groups = len(set(answer.groups))
    told = (
        f"{metric} {one:.3f} and {other:.3f}: {verdict}; difference {test.value:+.3f},"
        f" 95 % interval {test.low:+.3f} to {test.high:+.3f}, p = {test.p:.2g} (paired bootstrap"
        f" over {counted(groups, 'group')} of {counted(len(answer.images), 'image')};"
        f" {counted(seeds[0], 'seed')} and {seeds[1]})"
    )
    if min(seeds) == 1:
        told += (
            ". Of one seed it is known how the trained network does on these images, not how far"
            " another seed would fall from it"
        )
    return told


def sides_table(found: Comparison) -> pd.DataFrame:
    """Which runs are compared: a row per run."""
    rows = [
        {"": name, "run": described(record)}
        for name, side in zip(("first", "second"), found.sides, strict=True)
        for record in side.records
    ]
    return pd.DataFrame(rows).set_index("")


def metrics_table(found: Comparison) -> pd.DataFrame:
    """The metrics side by side as text, those that are resampled with their test."""
    rows = {}
    for name, row in found.metrics.iterrows():
        tested = pd.notna(row["low"])
        rows[title(str(name))] = {
            "first": _number(row["first"]),
            "second": _number(row["second"]),
            "difference": f"{row['first'] - row['second']:+.3f}"
            if pd.notna(row["first"] - row["second"])
            else "-",
            "95 % interval": f"{row['low']:+.3f} to {row['high']:+.3f}" if tested else "-",
            "p": f"{row['p']:.2g}" if tested else "-",
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("metric")


def write(found: Comparison, folder: Path, photographs: Dataset | None) -> list[Path]:
    """Write metrics.csv, images.csv and the pictures; returns the files.

    Args:
        found: what is told.
        folder: where to.
        photographs: the data set with its images, where they are at hand.

    Raises:
        UserError: the folder cannot be written.
    """
    ordered = found.images.sort_values("influence", ascending=False, kind="stable")
    files = []
    for name, table in (("metrics", found.metrics), ("images", ordered)):
        files.append(folder / f"{name}.csv")
        with atomic_path(files[-1]) as temporary:
            table.to_csv(temporary, float_format="%.6g", lineterminator="\n")
    files.append(difference_plot(found, sentence(found), folder / "difference.png"))
    if photographs is not None:
        files.append(deciding_images(found, photographs, DECIDING, folder / "deciding-images.png"))
    return files


def folder_name(found: Comparison) -> str:
    """The name of the folder of a comparison: both sides by their first runs."""
    return "-against-".join(_called(side) for side in found.sides)


def _called(side: Side) -> str:
    more = f"-and-{len(side.records) - 1}" if len(side.records) > 1 else ""
    return f"{side.records[0].run_id}{more}"


def _number(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.3f}"
