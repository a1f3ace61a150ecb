"""Training data that several families of this chapter refuse."""

from __future__ import annotations

import pytest

from ftml import family
from ftml.data import Splits
from tests.families.domain_generalization.checks import blobs


@pytest.mark.parametrize("batch_size", [64, None])
@pytest.mark.parametrize("name", ["coral", "fishr"])
def test_domain_of_one_row_is_refused_at_every_batch_size(
    name: str, batch_size: int | None
) -> None:
    kind, data = family(name), Splits(blobs((9, 1, 8, 1)))
    with pytest.raises(ValueError, match="or more, got 1 of domain b, 1 of domain d"):
        next(kind.train(kind.Config(batch_size=batch_size), data, None))
