"""Every Ray Tune call: one Tune run trains the trials of all studies of a stage.

The layers of pipelines are, from the top: cli, stages, report, tracking, tuning, study,
datasets, cluster, params, common; imports point down only. This package uses `cluster`,
`study`, `common` and `ftml`. It never imports MLflow: `pipelines/stages/run_study.py`
passes a function that logs the trials.

Begin with `queue.py`, the searches of all studies and the next trial batch; then read
`driver.py`, which runs the batches as Tune trials and writes the records,
`coordinator.py`, the actor from which workers read, `worker.py`, the process of a
worker, and `training.py`, how it trains a batch. `messages.py` has the types of what
driver and workers send one another, `waiting.py` says which trials the driver waits
for, `lost_fits.py` starts final fits whose checkpoints are lost again, and
`ray_internals.py` holds what is known of the undocumented parts of Tune.
"""
