"""The preparation of datasets: what the data stages of dvc.yaml do.

There is one module for each data stage, whose `prepare(section, folder)` reads or
generates the data that a section of params.yaml describes and writes them into an empty
folder. The modules share `sources.py` (fetching files), `folders.py` (what is below a
folder), `columns.py` (features of a table), `image_files.py` and `image_folders.py`
(reading images), `text_sources.py`, `labelled_texts.py` and `series.py` (reading texts
and time series), `missing.py` (rows that lack a value), `notes.py` (what a stage says),
`splits.py` (random splits) and `stage.py` (the run of a stage).

This package may import ftml, `pipelines.cluster`, `pipelines.params` and
`pipelines.common`. Begin reading in `stage.py`, and then in `tables.py`, the simplest
data stage.
"""
