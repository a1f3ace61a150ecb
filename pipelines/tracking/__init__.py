"""Every MLflow call of the stages: the store, the runs of studies, trials, final fits
and claims, views and descriptions, the served model, and the migration of a store.

The layers of pipelines are, from the top: cli, stages, report, tracking, tuning, study,
datasets, cluster, params, common; imports point down only. This package uses `study`,
`params`, `common` and `ftml`. It imports no Ray, and workers never import it: the
driver alone writes to MLflow.

Begin with `client.py`, the store and retries, and `ownership.py`, whose runs a driver
writes to and which are stale; `local_store.py` says where the store is, and finds a
model in one without MLflow, `new_store.py` creates a local store, `database_check.py`
says what is wrong with one. Then `study_run.py`, the run of a study, and
`child_runs.py`, the runs of its trials and final fits, `model_version.py`, its model in
the registry, and `comparison_run.py`; `claim_runs.py` is the same for claims.
`recorded.py` finds what a store has of a study, `log_again.py` logs what it
lacks from the results on disk, and `champion.py` decides who is the champion.
`views.py` and `descriptions.py` hold what MLflow's pages show, `mlflow_ui.py` what is
known of the undocumented format of views, and `mlflow_internals.py` what is used of
MLflow's undocumented code. `serving.py` is the model that MLflow loads, and
`migrate.py` moves a store to a server.
"""
