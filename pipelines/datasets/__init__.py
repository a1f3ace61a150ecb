"""The preparation of datasets: what the data stages of dvc.yaml do.

There is one module for each data stage, whose `prepare(section, folder)` reads or
generates the data that a section of params.yaml describes and writes them into an empty
folder. The modules share `sources.py` (fetching files), `columns.py` (features of a
table), `image_files.py` (reading images), `splits.py` (random splits) and `stage.py`
(the run of a stage).

This package may import ftml, `pipelines.cluster`, `pipelines.params` and
`pipelines.common`. Begin reading in `stage.py`, and then in `tables.py`, the simplest
data stage.
"""
