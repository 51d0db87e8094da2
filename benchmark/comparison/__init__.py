"""Two rows of the board side by side: the paired difference, the metrics, the deciding images."""

from benchmark.comparison.sides import Comparison, compare

__all__ = ["Comparison", "compare"]
