"""The pictures of one run: numpy in, PNG files out. `leaderboard.plots` draws many records.

The page that shows every test image is `benchmark.gallery`.
"""

from benchmark.pictures.charts import confusion, curves, history, randomisation
from benchmark.pictures.exhibit import Exhibit
from benchmark.pictures.frequency import sensitivity_by_frequency
from benchmark.pictures.levels import Level, levels
from benchmark.pictures.reliability import reliability_diagram, risk_coverage
from benchmark.pictures.sheets import explanations

__all__ = [
    "Exhibit",
    "Level",
    "confusion",
    "curves",
    "explanations",
    "history",
    "levels",
    "randomisation",
    "reliability_diagram",
    "risk_coverage",
    "sensitivity_by_frequency",
]
