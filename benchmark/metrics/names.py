"""What the name of a metric tells, and how people write it."""

import re
from functools import lru_cache

# Ends a metric's name: what it is with the temperature, and of which disease.
SCALED, OF_DISEASE = "_scaled", "_of_"
# As in sensitivity_at_90_specificity.
_SHARE = re.compile(r" at (\d+) ")
# As in accuracy_at_coverage_80.
_COVERAGE = re.compile(r"_at_coverage_(\d+)$")
# As in macro_f1_at_2.5.
_LABELS = re.compile(r" at (\d+(?:\.\d+)?)$")
_WORDS = {
    **{"auc": "AUC", "f1": "F1", "iou": "IoU", "npv": "NPV", "dermxdb": "DermXDB"},
    **{"ece": "ECE", "aurc": "AURC", "classwise": "class-wise"},
}
_TITLES = {
    "explainability_auprc": "pixel AUPRC",
    "explainability_auroc": "pixel AUROC",
    "explainability_pointing_game": "pointing game",
    "explainability_relevance_mass": "relevance mass",
    "explainability_relevance_rank": "relevance rank",
    "explainability_best_iou": "IoU at the best threshold",
    "dermxdb_2023_all_images_f1": "DermXDB 2023 F1, all images",
    "correct_only_f1": "correct-only F1",
    "common_correct_f1": "common-correct F1",
    "predicted_class_f1": "predicted-class F1",
    "discrimination_f1": "F1 above the other classes' maps",
    "randomised_similarity": "similarity to randomised network",
    "g_mean": "G-mean",
    "hard_label_auc": "hard-label AUC",
    "brier": "Brier score",
    "negative_log_likelihood": "negative log-likelihood",
    "quadratic_kappa": "quadratic-weighted kappa",
    "referable_auc": "referable-disease AUC",
}


def measure(metric: str) -> str:
    """What a metric measures, of whatever disease: "ece_scaled_of_DR" and "ece" are "ece"."""
    return metric.partition(OF_DISEASE)[0].removesuffix(SCALED)


@lru_cache(maxsize=4096)
def title(metric: str) -> str:
    """A metric's name as people write it: macro_auc is "macro AUC"."""
    name, _, disease = metric.partition(OF_DISEASE)
    plainly = _COVERAGE.sub(r"_at_\1_coverage", name.removesuffix(SCALED))
    parts = plainly.replace("_shot_", "-shot_").split("_")
    words = _TITLES.get(plainly) or " ".join(_WORDS.get(w, w) for w in parts)
    words = _LABELS.sub(r" at \1 % of the labels", _SHARE.sub(r" at \1 % ", words))
    words += f" of {disease}" if disease else ""
    return f"{words}, temperature-scaled" if name.endswith(SCALED) else words
