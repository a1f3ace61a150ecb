"""What several layers share: errors and exit statuses (`errors.py`), writing of files
(`files.py`), locks that end with their process (`locks.py`), repair of dvc.lock
(`dvc_lock.py`), the code of each stage (`stage_code.py`), numbers and texts as a reader
sees them (`formatting.py`), and figures (`figures.py`).

This is the lowest layer: it imports `ftml` and nothing of pipelines. Each module can be
read on its own.
"""
