"""`python -m pipelines.cli` is `ftml`, where nothing is installed."""

from pipelines.cli.app import main

main()
