"""Metrics: numpy in, numbers out. No framework, no files, no plots."""
