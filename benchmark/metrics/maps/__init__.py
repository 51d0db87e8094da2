"""How well a map matches the experts' masks: the one place where maps become scores.

Making a network's maps is the business of `benchmark.explain`, reading masks that of
`benchmark.data`, and which scores of which images a benchmark reports that of `tasks`.
"""

from benchmark.metrics.maps.dermxdb_2023 import published_map, published_reference
from benchmark.metrics.maps.floors import centred_gaussian, constant, edge_map, mean_map
from benchmark.metrics.maps.fuzzy import FUZZY_SCORES, fuzzy_scores
from benchmark.metrics.maps.heatmap import Upscaling, finite, normalise, upscale
from benchmark.metrics.maps.localisation import (
    LOCALISATION_SCORES,
    auprc,
    auroc,
    best_iou,
    localisation_scores,
    pointing_game,
    relevance_mass,
    relevance_rank,
)
from benchmark.metrics.maps.reference import (
    FuseRule,
    fuse,
    leave_one_out_agreement,
    pairwise_agreement,
)

__all__ = [
    "FUZZY_SCORES",
    "LOCALISATION_SCORES",
    "FuseRule",
    "Upscaling",
    "auprc",
    "auroc",
    "best_iou",
    "centred_gaussian",
    "constant",
    "edge_map",
    "finite",
    "fuse",
    "fuzzy_scores",
    "leave_one_out_agreement",
    "localisation_scores",
    "mean_map",
    "normalise",
    "pairwise_agreement",
    "pointing_game",
    "published_map",
    "published_reference",
    "relevance_mass",
    "relevance_rank",
    "upscale",
]
