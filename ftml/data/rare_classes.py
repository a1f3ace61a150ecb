"""Training by scikit-learn on classes that have few samples each."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def rare_classes() -> Iterator[None]:
    """Leave out scikit-learn's warning that labels of more different values than half
    of the samples could be a regression target: labels of a data kind are classes.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The number of unique classes is")
        yield
