"""How many threads the numerical libraries of this process use.

BLAS and OpenMP split sums among threads, so the last bits of a result depend on the
number of threads. It is set by this module alone: one thread in every process of the
pipeline (`pipelines/__init__.py` sets VARIABLES before numpy is imported), and in a
worker as many as the study's `resources: {cpu: ...}` says. What the environment of a
user, a node or a scheduler says (OMP_NUM_THREADS and the like) has no effect.
"""

from __future__ import annotations

import os
import sys

from pipelines import THREAD_VARIABLES


def use_threads(count: int) -> None:
    """Use that many threads in the BLAS and OpenMP libraries and in torch.

    Libraries that are loaded already are set now; one that is loaded later reads the
    environment variables. OpenMP keeps the number for each thread, so call this in the
    thread that computes.
    """
    from threadpoolctl import threadpool_limits

    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(count)))
    threadpool_limits(limits=count)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(count)
