"""The preparation of datasets: what the data stages of dvc.yaml do.

There is one module for each data stage, whose `prepare(section, folder)` reads or
generates the data that a section of params.yaml describes and writes them into an empty
folder. The modules share `sources.py` and `remote_files.py` (fetching files),
`folders.py` (what is below a folder), `table_sources.py` and `table_rows.py` (tables of
files, and where their rows are), `separate_test.py` (files of test rows), `columns.py`
and `targets.py` (of a table), `image_files.py` and `image_folders.py` (reading images),
`text_sources.py`, `labelled_texts.py` and `series.py` (reading texts and time series),
`missing.py` (rows that lack a value), `similar.py` (names that look alike), `notes.py`
(what a stage says), `splits.py` and `table_splits.py`, `fold_counts.py` (the folds that
a table allows) and `stage.py` (the run of a stage).

This package may import ftml, `pipelines.cluster`, `pipelines.params` and
`pipelines.common`. Begin reading in `stage.py`, and then in `tables.py`, the simplest
data stage.
"""
