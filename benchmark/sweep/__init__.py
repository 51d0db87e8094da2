"""Grids of runs: planned as a file, run by processes of their own, continued after anything.

`grid` makes the runs of a grid, `plan` is their file, `cost` what they may cost; `states` and
`retries` say what may happen to a run, `ledger` is what is kept of each; `scheduler` decides who
runs when, `local` starts processes, and `child` is what runs in one. What a single run does is
`benchmark.run`.
"""
