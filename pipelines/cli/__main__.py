"""Runs the command `ftml` as `python -m pipelines.cli`, without an installation."""

from pipelines.cli.app import main

main()
