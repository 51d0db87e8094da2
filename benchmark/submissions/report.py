"""What `verify` says, as Markdown that is pleasant in a terminal and safe in a browser.

Whatever a bundle chose is escaped, or stands in an indented block, where nothing is markup.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from tabulate import tabulate

from benchmark.common.wording import plain
from benchmark.leaderboard.columns import COLUMNS, metric_columns
from benchmark.leaderboard.markdown import cell, escape
from benchmark.leaderboard.table import heading
from benchmark.metrics.names import title
from benchmark.records.authored import About
from benchmark.records.record import Metric
from benchmark.submissions.check import TOLERANCE
from benchmark.submissions.faults import BundleError
from benchmark.submissions.verify import Verified

_NEXT = (
    "Mend it, make the bundle anew with `python -m benchmark submit`, which makes the same checks,"
    " and verify that one. Checking stops at the first fault: there may be more."
)


def rejected(name: str, fault: BundleError) -> str:
    """The report on a bundle that is refused; `name` is its file's."""
    return f"# Rejected: {escape(name)}\n\n{_literal(str(fault))}\n\n{_NEXT}\n"


def accepted(name: str, verified: Verified) -> str:
    """The report on a bundle that is acceptable; `name` is its file's."""
    flags = verified.flags
    told = f", with {len(flags)} flag{'s' * (len(flags) > 1)}" if flags else ""
    task = verified.matched.sheet.task
    first = verified.score.metrics.get(task.headline)
    scored = "-" if first is None else _metric(first)
    parts = [
        f"# Accepted{told}: {escape(name)}",
        f"Submission `{verified.name}`: {escape(verified.manifest.about.method)},"
        f" {escape(title(task.headline))} **{scored}**. Every score below was computed here"
        " from the predictions.",
    ]
    if flags:
        parts.append("## Flags\n\nTo be looked at by a person; none of them refuses a bundle.")
        parts.append(_list(flags))
    parts += ["## Scores", _scores(verified), "## What was checked", _list(_checks(verified))]
    parts += ["## What the authors say", _about(verified.manifest.about)]
    if verified.remarks:
        parts += ["## Remarks", _list(verified.remarks)]
    return "\n\n".join(parts) + "\n"


def _scores(verified: Verified) -> str:
    """The metrics that the task shows, beside those of the board's best row."""
    metrics, best = verified.score.metrics, verified.best
    shown = [
        n for each in verified.matched.sheet.task.shown for n in metrics if fnmatchcase(n, each)
    ]
    names = list(dict.fromkeys(shown))
    columns = {
        "metric": [escape(heading(name)) for name in names],
        "this submission": [_metric(metrics[name]) for name in names],
    }
    about = "Brackets hold the 95 % interval, by bootstrap over groups of the test images."
    if best is None:
        about += " No run of this question is on the board to compare with."
    else:
        columns["best row"] = [
            cell(*(best[column] for column in metric_columns(name))) if name in best else "-"
            for name in names
        ]
        seeds = f"seed{'s' if best[COLUMNS.n_seeds] > 1 else ''} {best[COLUMNS.seeds]}"
        settings = [best[c] for c in (COLUMNS.arch, COLUMNS.framework, COLUMNS.method)]
        about += (
            f" The best row is {escape(', '.join([*settings, seeds]))}"
            f" (run {escape(best[COLUMNS.run_ids].replace(' ', ', '))})."
        )
    rows = tabulate(columns, headers="keys", tablefmt="github", disable_numparse=True)
    return f"{rows}\n\n{about}"


def _checks(verified: Verified) -> list[str]:
    question, sheet = verified.matched.question, verified.matched.sheet
    options = ", ".join(f"{n} {v}" for n, v in question.options.items() if v is not None)
    seed = "" if question.seed is None else f", seed {question.seed}"
    asked = f"task {question.task} version {question.version}{f', {options}' if options else ''}"
    mapped = any(trial.maps for trial in verified.manifest.question.trials)
    checks = [
        "The bundle is a plain zip file of a manifest and, for each trial, a file of predictions"
        f"{' and one of maps' if mapped else ''}; nothing in it was unpickled, run or written to"
        " disk.",
        f"The question is that of {len(verified.matched.records)} of our records: {asked}{seed}, on"
        f" {question.data.name} {question.data.fingerprint[:8]}, the same split and classes.",
    ]
    for trial in sheet.trials:
        classes = len(sheet.task.of_trial(sheet.dataset, trial.name).classes)
        checks.append(
            f"Trial {trial.name}, split {trial.fingerprint[:8]}: each of the {len(trial.test):,}"
            f" test images once, {classes} probabilities from 0 to 1 that sum to 1 ± {TOLERANCE}"
            f"{', and a map with finite values from 0 to 1' if mapped else ''}."
        )
    return checks


def _about(about: About) -> str:
    told = {
        "method": escape(about.method),
        "authors": escape(", ".join(about.authors)),
        "architecture": escape(about.architecture),
        "framework": escape(about.framework),
        "paper": _link(about.paper),
        "code": _link(about.code),
        "explainer": escape(about.explainer or ""),
        "training data": escape(about.training_data),
        "extra data": escape(about.extra_data),
        "licence of the predictions": escape(about.licence),
        "contact": escape(about.contact or ""),
        "parameters": "" if about.parameters is None else f"{about.parameters:,}",
        "seconds per image": ""
        if about.seconds_per_image is None
        else f"{about.seconds_per_image:g}",
    }
    rows = [(name, value or "-") for name, value in told.items()]
    return tabulate(rows, headers=("", "not verified"), tablefmt="github", disable_numparse=True)


def _link(url: str) -> str:
    # The manifest lets through no sign that could end a link.
    return f"<{url}>" if url else ""


def _metric(metric: Metric) -> str:
    missing = float("nan")
    return cell(*(missing if n is None else n for n in (metric.value, metric.low, metric.high)))


def _list(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {escape(sentence)}" for sentence in sentences)


def _literal(text: str) -> str:
    """A line as it is: in an indented block nothing is markup."""
    return f"    {plain(text)}"
