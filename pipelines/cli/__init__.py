"""The command `ftml`: the entry point for everything that a person types.

This is the top layer: it may import every other package of pipelines (from the top:
cli, stages, report, tracking, tuning, study, datasets, cluster, params, common;
imports point down only), and nothing imports it. Begin with `app.py`, which lists the
commands; `commands_*.py` declare their arguments, and the other modules produce what
the commands print. Modules that import torch, Ray or MLflow are imported when a command
runs, so that `ftml --help` is fast.
"""
