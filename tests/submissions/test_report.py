"""The report: safe wherever it is shown, whatever a bundle says of itself."""

import re

import bundles_made
import pytest

from benchmark.submissions import report
from benchmark.submissions.faults import BundleError, shown
from benchmark.submissions.verify import verify

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "a | b | c",
    "[x](javascript:alert(1))",
    "![x](https://example.org/track.png)",
    "**bold** `code` # heading ~~struck~~",
    "&lt;script&gt; $x$ @everyone",
    "=HYPERLINK(1)",
)
_FREE = re.compile(r"(?<!\\)[<>\[\]|`]")


def _about(text):
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return re.sub(
        r'"(Zoo|ResNet.*|the training part|none|CC.*)"', f'"{quoted}"', bundles_made.ABOUT
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_of_a_manifest_is_markup(made, tmp_path, text):
    said = bundles_made.tables(*made, noise=0.5)
    path = bundles_made.bundle(tmp_path, *made, said, about=_about(text))
    told = report.accepted("a.zip", verify(path, made[0]))
    rows = [line for line in told.splitlines() if line.startswith(("| method ", "| licence"))]
    assert len(rows) == 2
    for row in rows:
        cells = row.removeprefix("|").removesuffix("|")
        # The one sign of markup that is left is the border between the two cells.
        assert _FREE.findall(cells) == ["|"]
    assert "<script" not in told.replace("\\<", "")


def test_a_link_is_shown_as_one_and_no_address_means_none(made, bundle):
    told = report.accepted("a.zip", verify(bundle, made[0]))
    assert "<https://example.org/paper_1>" in told
    assert re.search(r"\| code +\| - ", told)


def test_the_first_line_tells_what_became_of_it(made, bundle):
    told = report.accepted("a_b.zip", verify(bundle, made[0]))
    assert told.splitlines()[0] == r"# Accepted: a\_b.zip"
    assert "macro AUC **0." in told
    told = report.rejected("<b>.zip", BundleError("p.csv, line 3", "<b>|x\n# y", "mend it"))
    lines = told.splitlines()
    assert lines[0] == r"# Rejected: \<b\>.zip"
    # An indented block, in which nothing is markup.
    assert lines[2] == "    p.csv, line 3: <b>|x # y: mend it"


def test_scores_stand_beside_the_best_rows(made, bundle):
    told = report.accepted("a.zip", verify(bundle, made[0]))
    value = made[1].metrics["macro_auc"]
    (row,) = [line for line in told.splitlines() if line.startswith("| macro AUC")]
    assert f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]" in row
    assert f"MobileNetV2, torch, cross-entropy, seed 0 (run {made[1].run_id})" in told


@pytest.mark.parametrize(
    "text", ["\x1b[2J", "\x9b31m", "a\nb", "\u202eevil", "\u2028", "\x00", "\x07"]
)
def test_what_is_shown_in_a_sentence_has_no_control_characters(text):
    assert shown(text).isprintable()
    assert len(shown(text * 1000)) < 1000
