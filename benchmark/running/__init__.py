"""The steps of a run, which `benchmark.run` puts one after the other."""
