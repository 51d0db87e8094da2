"""How far annotators agree with each other, from the masks alone: `raters`."""

from benchmark.raters.agreement import Agreement, raters

__all__ = ["Agreement", "raters"]
