"""`python -m pipelines.commands` is `ftml`, where nothing is installed."""

from pipelines.commands.app import main

main()
