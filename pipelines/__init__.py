"""The pipeline: the only code that knows paths, DVC, Ray and MLflow. One module a
stage.
"""

import os

# Set before numpy is imported: parallel work here is processes, each with one thread.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pipelines.common.errors import shorten_interrupts

shorten_interrupts()
