"""Explainability: does the network look where dermatologists look?

`task` is the question and its protocol, `image` scores one image, `summary` averages, `exhibits`
shows.
"""

from tasks.explainability.task import Explainability

__all__ = ["Explainability"]
