"""The report: HTML pages, report.md, CSV files and the metrics for `dvc metrics show`.

The package reads the result files of studies (`experiments/`) and of claims
(`claims/`), and writes `reports/`. It trains nothing and needs neither a Ray cluster
nor an MLflow server; MLflow's pages are only linked to.

Layers of `pipelines`, from the top: cli, stages, report, tracking, tuning, study,
datasets, cluster, params, common. Imports point down only. Of the layers below, this
package imports tracking (`views`, for links), study, params and common.

Begin with `render.main`, which writes all files. `dataset_pages`, `study_result` and
`claim_pages` hold the content that the templates show, `drawings` the figures that
compare studies.
"""
