"""Schemas of params.yaml, the reading of it, and the keys of studies and claims.

A schema (`TableSchema`, `StudySchema`, ...) is a pydantic class; a section is the part
of params.yaml that it describes, and its instance. `kinds/` has one record for each
data kind, from which the other modules learn what data kinds there are; `data_kind.py`
says what a record holds. `keys.py` computes the hash of everything that a result
depends on.

This package may import ftml and `pipelines.common`. Begin reading in `read.py`, with
`read_params`; `plan.py` holds what it returns, `read_study.py` reads the section of a
study. Then read `data_kind.py`.
"""
