"""Access to a Ray cluster and to storage that its nodes share.

May import `params`, `common` and `ftml`; `tuning`, `datasets` and `stages` build on it.
Begin with `connect.py`, which connects to the cluster of RAY_ADDRESS or starts Ray on
this machine. `resources.py` checks that some node can run a trial, `storage.py` writes
to FTML_STORAGE, `parallel_map.py` maps a function over threads or Ray tasks,
`processes.py` calls one in processes of this machine, and `job.py` runs stages as a job
of a cluster that only its job server makes reachable.
"""
