"""torch's undocumented operations on lists of tensors do what single operations do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from ftml.optim import foreach
from tests.conftest import ROOT

OPERATIONS: dict[str, tuple[tuple[Any, ...], Callable[..., Tensor]]] = {
    "add": (("b", {"alpha": 0.5}), lambda a, b: a + 0.5 * b),
    "add_": ((2.0,), lambda a: a + 2.0),
    "addcmul_": (("b", "b", 0.5), lambda a, b, _: a + 0.5 * b * b),
    "copy_": (("b",), lambda a, b: b),
    "div": (("b",), lambda a, b: a / b),
    "div_": ((2.0,), lambda a: a / 2.0),
    "lerp": (("b", 0.25), lambda a, b: a + 0.25 * (b - a)),
    "lerp_": (("b", 0.25), lambda a, b: a + 0.25 * (b - a)),
    "mul_": ((3.0,), lambda a: 3.0 * a),
    "norm": ((), lambda a: (a**2).sum().sqrt()),
    "sqrt": ((), lambda a: a**0.5),
    "sub": (("b",), lambda a, b: a - b),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_on_a_list_is_that_on_each_tensor(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    a = [torch.rand(size, generator=generator) + 0.5 for size in ((3,), (2, 4))]
    b = [torch.rand(each.shape, generator=generator) + 0.5 for each in a]
    given, single = OPERATIONS[name]
    positional = [
        b if each == "b" else each for each in given if not isinstance(each, dict)
    ]
    keywords = next((each for each in given if isinstance(each, dict)), {})
    lists = [each for each in positional if isinstance(each, list)]
    expected = [single(*parts) for parts in zip(a, *lists, strict=True)]
    found = getattr(foreach, name)(a, *positional, **keywords)
    for x, y in zip(a if name.endswith("_") else found, expected, strict=True):
        torch.testing.assert_close(x, y)


def test_every_operation_is_tested_and_no_other_module_names_torchs_own() -> None:
    named = {name for name in vars(foreach) if not name.startswith("_")}
    # The fused Adam is compared with torch's in the tests of the optimizers.
    assert named - {"annotations", "fused_adam_"} == set(OPERATIONS)
    users = [
        path.name
        for path in (ROOT / "ftml").rglob("*.py")
        if "torch._" in path.read_text() or "_foreach" in path.read_text()
    ]
    assert users == ["foreach.py"]
