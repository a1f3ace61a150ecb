"""The logic of a study, without Ray and without MLflow.

The package decides what a study trains (`plan`, `folds`, `cross_validation`), which
trials are pruned (`pruning`, `decisions`), what is recorded while it runs (`record`,
`progress`, `workspace`), and what its results are (`results`, `metrics`, `figures`,
`comparison`). `measurements` holds the results of claims.

Layers of `pipelines`, from the top: cli, stages, report, tracking, tuning, study,
datasets, cluster, params, common. Imports point down only. This package imports
cluster (`storage`, for paths of shared storage), params and common; it never imports
Ray or MLflow, so that its functions run and are tested in one process.

Begin with `plan`, which turns a section of params.yaml into trials; then read
`results`, which turns the records of the trials into the files in `experiments/`.
"""
