"""The numbers of the board on the front page are those of its table."""

import re
import sys
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).parent))
from documents import ROOT

_METRICS = {
    "macro AUC": ("diagnosis", "macro_auc"),
    "explainability F1": ("explainability", "explainability_f1"),
}
_FRAMEWORKS = {"PyTorch": "torch", "Keras": "keras"}


def _cells():
    """Of the front page: (architecture, column, cell) of the board's table."""
    page = (ROOT / "README.md").read_text("utf-8")
    section = page.partition("## The first board\n")[2].partition("\n## ")[0]
    lines = [line.strip("| \n").split("|") for line in section.splitlines() if line[:1] == "|"]
    head, _, *rows = [[cell.strip() for cell in line] for line in lines]
    for arch, *cells in rows:
        for column, cell in zip(head[1:], cells, strict=True):
            yield arch, column, cell


def test_every_cell_is_what_the_table_has():
    table = pd.read_csv(ROOT / "results" / "v1" / "table.csv")
    runs = table[(table["kind"] == "run") & (table["submitted"] != "yes")]
    cells = list(_cells())
    assert len(cells) > 30
    for arch, column, cell in cells:
        name, _, framework = column.partition(", ")
        task, metric = _METRICS[name]
        ours = runs["task"].eq(task) & runs["dataset"].eq("isic2018") & runs["arch"].eq(arch)
        found = runs[ours & runs["framework"].eq(_FRAMEWORKS[framework])]
        if cell == "-":
            assert found.empty
            continue
        (row,) = found.to_dict("records")
        told = [float(number) for number in re.findall(r"\d\.\d{3}", cell)]
        assert told == [round(row[f"{metric}{end}"], 3) for end in ("", "_low", "_high")], cell
