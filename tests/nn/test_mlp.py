from __future__ import annotations

import pytest
import torch
from torch.func import functional_call

from ftml.nn.mlp import MLP


def network(*sizes: int, seed: int = 0) -> MLP:
    return MLP(sizes, generator=torch.Generator().manual_seed(seed))


def test_outputs_are_those_of_the_formula() -> None:
    mlp, x = network(3, 5, 4, 2), torch.randn(7, 3, generator=torch.Generator())
    (W1, b1), (W2, b2), (W3, b3) = ((each.weight, each.bias) for each in mlp.layers)
    hidden = (x @ W1.T + b1).clamp(min=0)
    hidden = (hidden @ W2.T + b2).clamp(min=0)
    # float32: sums of five products differ by their order.
    torch.testing.assert_close(mlp(x), hidden @ W3.T + b3)


def test_two_sizes_make_a_linear_model() -> None:
    mlp, x = network(3, 2), torch.randn(7, 3, generator=torch.Generator())
    torch.testing.assert_close(
        mlp(x) - mlp(torch.zeros(1, 3)), x @ mlp.layers[0].weight.T
    )


def test_gradients_agree_with_differences() -> None:
    mlp = network(3, 5, 2).double()
    names = [name for name, _ in mlp.named_parameters()]
    x = torch.randn(
        4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )

    def outputs(*values: torch.Tensor) -> torch.Tensor:
        return functional_call(mlp, dict(zip(names, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(
        outputs, [p.detach().requires_grad_() for p in mlp.parameters()]
    )


def test_weights_are_uniform_as_torch_draws_them() -> None:
    layer = network(100, 400).layers[0]
    for values in (layer.weight, layer.bias):
        assert values.abs().max() <= 0.1
    # The variance of a uniform on +-a is a^2 / 3; of 40,000 draws 5 sigma are 2.3%.
    torch.testing.assert_close(
        layer.weight.var(), torch.tensor(0.01 / 3), rtol=0.023, atol=0
    )


def test_one_generator_state_gives_one_network_and_global_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    first, second, other = network(3, 4, 2), network(3, 4, 2), network(3, 4, 2, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    for a, b, c in zip(*(n.parameters() for n in (first, second, other)), strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)


def test_weights_applied_to_a_shape_give_the_same_outputs() -> None:
    mlp, x = network(3, 5, 2), torch.ones(4, 3)
    shape = MLP((3, 5, 2))
    assert torch.equal(functional_call(shape, mlp.state_dict(), (x,)), mlp(x))


@pytest.mark.parametrize("sizes", [(3, 2), (3, 5, 4, 2)])
def test_head_makes_the_outputs_of_the_features(sizes: tuple[int, ...]) -> None:
    mlp, x = network(*sizes), torch.ones(4, 3)
    assert mlp.features(x).shape == (4, sizes[-2])
    assert torch.equal(mlp.head(mlp.features(x)), mlp(x))


@pytest.mark.parametrize("sizes", [(3,), (3, 0, 2)])
def test_sizes_that_make_no_network_are_refused(sizes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="sizes: expected two or more"):
        network(*sizes)
