"""The stages of dvc.yaml, one module each: `ls pipelines/stages` shows the pipeline.

DVC runs a stage as `python -m pipelines.stages.<stage> KEY`, a person as `ftml stage
<stage> KEY`; both call `main` of the module. A stage is short: it reads params.yaml and
calls the package that does the work. A stage starts often and mostly finds its results
up to date, so it imports Ray and MLflow only where it needs them.

May import every package of pipelines but `cli`. Begin with `tables.py`, which prepares
a dataset; then `experiment.py`, which runs the studies of a dataset, and `compare.py`,
its second half. `run_stage` in `pipelines/common/errors.py` is the `main` block of all.
"""
