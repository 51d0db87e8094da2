"""Which metrics a page shows of a section; `table.csv` has all."""

from fnmatch import fnmatchcase

import pandas as pd

from benchmark.errors import UserError
from benchmark.leaderboard.columns import COLUMNS, COMMON
from benchmark.leaderboard.table import leading
from benchmark.registry import TASKS

# What a page shows ("*" is any text) of a task that measures more; `table.csv` has everything.
_ON_PAGE = {
    "diagnosis": (
        *("macro_auc", "macro_f1", "balanced_accuracy", "accuracy", "macro_sensitivity"),
        *("macro_specificity", "macro_precision", "ece", "ece_scaled", "accuracy_at_coverage_80"),
    ),
    "explainability": (
        "explainability_f1",
        "explainability_skill",
        "dermxdb_2023_f1",
        "dermxdb_2023_all_images_f1",
        "correct_only_f1",
        COMMON,
        "explainability_auprc",
        "explainability_pointing_game",
        "insertion_auc",
        "deletion_auc",
        "randomised_similarity",
        "macro_auc",
        "ece",
        "ece_scaled",
    ),
    "grading": (
        *("quadratic_kappa_of_*", "macro_auc_of_*", "referable_auc_of_*"),
        *("mean_absolute_grade_error_of_*", "ece_of_*", "ece_scaled_of_*"),
    ),
    "imbalance": (
        "macro_f1",
        "balanced_accuracy",
        "macro_auc",
        "many_shot_sensitivity",
        "medium_shot_sensitivity",
        "few_shot_sensitivity",
        "g_mean",
        "auc",
        "average_precision",
        "sensitivity_at_90_specificity",
        "ece",
        "ece_scaled",
    ),
    # The scores at each fraction stand by the curve.
    "semi-supervised": ("macro_f1_area", "balanced_accuracy_area", "macro_auc_area"),
}


def shown_metrics(section: pd.DataFrame) -> list[str]:
    """The metrics to show for a section, headline first, of those that some leading row has.

    The page has a list of its own for a task that measures more than it holds; else the task says
    which (`Task.shown`); of a task that is not installed here, all are shown. COMMON is shown even
    without a value: a note says what it lacks.
    """
    rows = leading(section)
    have = [c for c in rows.columns if f"{c}_low" in rows.columns and rows[c].notna().any()]
    task = rows[COLUMNS.task].iloc[0]
    try:
        wanted = _ON_PAGE[task] if task in _ON_PAGE else TASKS.get(task).shown
    except UserError:
        wanted = have
    have = [*have, *({COMMON} & set(rows.columns))]
    found = [name for each in wanted for name in have if fnmatchcase(name, each)]
    return list(dict.fromkeys([rows[COLUMNS.headline].iloc[0], *found]))
