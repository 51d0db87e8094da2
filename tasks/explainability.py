"""Explainability: does the network look where dermatologists look?"""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmark import pictures
from benchmark.data.dataset import Dataset
from benchmark.errors import DataError
from benchmark.metrics import classification, maps
from benchmark.records.record import Metric
from tasks.base import (
    Outputs,
    Score,
    Task,
    Trial,
    diagnosis_metrics,
    draw_confusion,
    mean_metric,
    truth,
)

FUZZY = ("f1", "sensitivity", "specificity", "precision", "iou", "npv")
# Images in each of the three pictures: best, median and worst.
SHOWN_IMAGES = 4


class Explainability(Task):
    """Grad-CAM of the true class against the experts' maps, by the DermXDB benchmark's rule.

    Reference map: the sum of all single masks of all annotators, divided by its maximum. Grad-CAM:
    upscaled to the masks' size (bicubic) and min-max normalised; no threshold. Scores are fuzzy
    (minimum and maximum in place of intersection and union) and averaged over the correctly
    diagnosed test images (arXiv 2302.12084, code; for these the true class is the predicted one).

    Ours: the score is differentiated at the logit, the layer is the catalogue's, the map keeps
    float precision; `all_images_f1` averages over every test image; the floor `gaussian_f1` (a
    centred Gaussian) and the ceiling `annotators_f1` (one annotator against the others fused by the
    same rule) are averaged over the images that enter `explainability_f1`.
    """

    name = "explainability"
    version = "1"
    summary = "Grad-CAM against the experts' own maps"
    headline = "explainability_f1"
    needs = frozenset({"masks"})
    maps = True
    shown = (
        "explainability_f1",
        "explainability_sensitivity",
        "explainability_specificity",
        "gaussian_f1",
        "annotators_f1",
        "all_images_f1",
        "macro_f1",
        "macro_auc",
    )

    def trials(self, dataset: Dataset) -> list[Trial]:
        """The data set's split; only test images that somebody marked are scored."""
        marked = set(dataset.masks["id"])
        trials = []
        for trial in super().trials(dataset):
            test = tuple(i for i in trial.test if i in marked)
            if not test:
                raise DataError(f"{dataset.root}: no test image of {dataset.name} has a mask")
            trials.append(Trial(trial.name, trial.train, trial.validation, test))
        return trials

    def score(self, dataset: Dataset, trial: Trial, outputs: Outputs) -> Score:
        """Fuzzy scores of every test image, then their means."""
        if outputs.maps is None:
            raise ValueError("the explainability task scores maps and was given none")
        labels, groups = truth(dataset, outputs.ids)
        table = pd.DataFrame(
            [
                _score_image(dataset, sample, cam)
                for sample, cam in zip(outputs.ids, outputs.maps, strict=True)
            ],
            index=pd.Index(outputs.ids, name="id"),
        )
        predicted = classification.predicted_classes(outputs.probabilities)
        table.insert(0, "correct", predicted == labels)
        correct = table["correct"].to_numpy()
        metrics = {
            f"explainability_{name}": mean_metric(
                table[f"network_{name}"].to_numpy()[correct], groups[correct]
            )
            for name in FUZZY
        }
        metrics["gaussian_f1"] = mean_metric(
            table["gaussian_f1"].to_numpy()[correct], groups[correct]
        )
        metrics["annotators_f1"] = _ceiling(
            table["annotators_f1"].to_numpy()[correct], groups[correct]
        )
        metrics["all_images_f1"] = mean_metric(table["network_f1"].to_numpy(), groups)
        metrics |= diagnosis_metrics(dataset, outputs)
        return Score(metrics, {"per_image": table})

    def draw(self, dataset: Dataset, outputs: Outputs, score: Score, folder: Path) -> list[Path]:
        """Overlays of the best, median and worst explained images, and the confusion matrix."""
        ranked = score.tables["per_image"]["network_f1"].sort_values(ascending=False).index
        middle = max((len(ranked) - SHOWN_IMAGES) // 2, 0)
        choices = {
            "best": ranked[:SHOWN_IMAGES],
            "median": ranked[middle : middle + SHOWN_IMAGES],
            "worst": ranked[::-1][:SHOWN_IMAGES],
        }
        drawn = []
        for name, ids in choices.items():
            rows = [_panel(dataset, outputs, score, sample) for sample in ids]
            drawn.append(folder / f"explanations-{name}.png")
            pictures.explanations(rows, drawn[-1])
        return [*drawn, draw_confusion(dataset, outputs, folder)]


def explanation(cam: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A Grad-CAM map (h, w) as the metric sees it: (H, W) float in [0, 1] at the masks' size."""
    return maps.normalise(maps.upscale(cam, size))


def reference(dataset: Dataset, sample: str) -> np.ndarray:
    """The experts' map of an image: (H, W) float in [0, 1], the authors' rule."""
    return maps.fuse(dataset.mask_stack(sample), "sum")


def _score_image(dataset: Dataset, sample: str, cam: np.ndarray) -> dict[str, float]:
    expert = reference(dataset, sample)
    network = maps.fuzzy_scores(expert, explanation(cam, expert.shape))
    scores = {f"network_{name}": float(network[name]) for name in FUZZY}
    floor = maps.fuzzy_scores(expert, maps.centred_gaussian(expert.shape))
    scores["gaussian_f1"] = float(floor["f1"])
    scores["annotators_f1"] = _agreement(dataset, sample)
    return scores


def _agreement(dataset: Dataset, sample: str) -> float:
    """Mean over annotators of one against the others; NaN where only one marked the image."""
    rows = dataset.mask_rows(sample)
    stack = dataset.mask_stack(sample)
    by_annotator = {
        name: stack[(rows["annotator"] == name).to_numpy()] for name in rows["annotator"].unique()
    }
    if len(by_annotator) < 2:
        return float("nan")
    scores = maps.leave_one_out_agreement(by_annotator, "sum")
    return float(np.mean([each["f1"] for each in scores.values()]))


def _ceiling(values: np.ndarray, groups: np.ndarray) -> Metric:
    found = mean_metric(values, groups)
    if found.value is None:
        return found.model_copy(update={"note": "no image has two annotators"})
    return found


def _panel(dataset: Dataset, outputs: Outputs, score: Score, sample: str) -> pictures.Explanation:
    position = outputs.ids.index(sample)
    assert outputs.maps is not None
    expert = reference(dataset, sample)
    row = score.tables["per_image"].loc[sample]
    true = dataset.classes[dataset.table.at[sample, "label"]]
    said = dataset.classes[int(outputs.probabilities[position].argmax())]
    verdict = "correct" if row["correct"] else f"network says {said}"
    return pictures.Explanation(
        photograph=dataset.image(sample),
        expert=expert,
        network=explanation(outputs.maps[position], expert.shape),
        title=f"{sample}: {true}\n{verdict}",
        caption=f"F1 {row['network_f1']:.2f}, Gaussian {row['gaussian_f1']:.2f}",
    )
