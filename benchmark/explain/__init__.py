"""Explainers: which pixels a trained network's decision rests on, one file each."""
