"""The recursive network: by heights as by recursion, its formulas, what it learns."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ftml.core import fit
from ftml.data import Trees
from ftml.data.formulas import formulas
from ftml.data.trees import Forest, read_brackets
from ftml.families.tree import recursive_net
from ftml.nn.tree_networks import RecursiveNet, levels
from ftml.tasks import classification

TREES = formulas("boolean", n=30, most=5, seed=0)


def network(composition: str, d: int = 3) -> RecursiveNet:
    generator = torch.Generator().manual_seed(0)
    n = len(TREES.vocabulary)
    options: Any = {"n_symbols": n, "d": d, "dropout": 0.0, "n_classes": 2}
    made = RecursiveNet(**options, composition=composition, generator=generator)
    return made.double()


def recursion(net: RecursiveNet, forest: Forest, node: int) -> Tensor:
    """Return the state of one node, (1, ...), by recursion over its children."""
    left, right = forest.children()[node].tolist()
    if left < 0:
        return net.embedding(torch.tensor([forest.symbols[node]]))
    return net.node(recursion(net, forest, left), recursion(net, forest, right))


CHAIN = "( and ( a ( a ( and ( b a ) ) ) ) )"
MIXED = read_brackets(
    ["a", CHAIN, f"( {CHAIN} ( a {CHAIN} ) )", "( a b )"], ("a", "and", "b", "x", "y")
)


@pytest.mark.parametrize(
    ("d", "forest"), [(3, TREES.X.rows(np.arange(8))), (11, MIXED)]
)
@pytest.mark.parametrize("composition", ["dense", "lstm"])
def test_nodes_of_one_height_at_once_are_recursion(
    composition: str, d: int, forest: Forest
) -> None:
    net = network(composition, d)
    together = net.states(forest)
    alone = [recursion(net, forest, node) for node in range(len(forest.symbols))]
    torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=1e-10)
    roots = torch.cat([alone[root] for root in forest.roots()])
    one = torch.autograd.grad(net(forest).square().sum(), list(net.parameters()))
    other = torch.autograd.grad(
        net.classify(roots).square().sum(), list(net.parameters())
    )
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)


def test_children_stand_below_their_parent() -> None:
    forest = read_brackets(["( a ( b ( a b ) ) )", "b"], ("a", "b"))
    order, children = levels(forest)
    assert order.tolist() == [1, 3, 5, 6, 7, 4, 2, 0]
    assert [each.tolist() for each in children] == [[[2, 3]], [[1, 5]], [[0, 6]]]


def test_a_tree_by_hand() -> None:
    """One number a state: h = tanh(2 h_left - h_right + 0.5), of 1 and -1 at leaves."""
    net = network("dense", d=1)
    with torch.no_grad():
        net.embedding.weight[:2, 0] = torch.tensor([1.0, -1.0])
        net.compose.weight[:] = torch.tensor([[2.0, -1.0]])
        net.compose.bias[:] = 0.5
    vocabulary = TREES.vocabulary
    a, b = vocabulary[:2]
    forest = read_brackets([f"( {a} ( {b} {a} ) )"], vocabulary)
    inner = np.tanh(2 * -1 - 1 + 0.5)
    expected = np.tanh(2 * 1 - inner + 0.5)
    found = net.states(forest)[forest.roots()[0]].item()
    assert found == pytest.approx(expected, rel=1e-14)


def test_a_tree_lstm_keeps_what_its_gates_say() -> None:
    net = network("lstm", d=1)
    with torch.no_grad():
        net.compose.weight[:] = 0
        net.compose.bias[:] = torch.tensor([0.0, 1.0, -1.0, 2.0, 0.5])
    left, right = torch.tensor([[0.1, 3.0]]), torch.tensor([[0.2, -2.0]])
    h, c = net.node(left.double(), right.double())[0].tolist()

    def s(z: float) -> float:
        return float(1 / (1 + np.exp(-z)))

    expected = s(0) * np.tanh(0.5) + s(1) * 3.0 + s(-1) * -2.0
    assert c == pytest.approx(expected, rel=1e-12)
    assert h == pytest.approx(s(2) * np.tanh(expected), rel=1e-12)


def test_formulas_are_learnt() -> None:
    data = formulas("boolean", n=150, most=3, seed=1)
    model = fit(recursive_net.Config(n_epochs=25), data).model
    assert classification.evaluate(model, data)["accuracy"] > 0.98
    alone = np.concatenate(
        [model.predict_proba(data.X.rows(np.array([i]))) for i in range(9)]
    )
    np.testing.assert_allclose(model.predict_proba(data.X)[:9], alone, atol=1e-6)


def test_another_vocabulary_is_refused() -> None:
    model = fit(recursive_net.Config(n_epochs=1), TREES).model
    other: Trees = dataclasses.replace(TREES, vocabulary=("x", *TREES.vocabulary[1:]))
    with pytest.raises(ValueError, match="fitted on another, of 6"):
        model.predict_proba(other.X)


def test_batches_of_trees_of_one_leaf_are_trained_on() -> None:
    symbols = np.arange(6) % 2
    leaves = Trees(
        symbols, np.full(6, -1), np.arange(7), symbols, ("no", "yes"), ("a", "b")
    )
    for composition in ("dense", "lstm"):
        config = recursive_net.Config(
            n_epochs=20,
            batch_size=4,
            dimension=4,
            composition=composition,
            learning_rate=0.1,
        )
        model = fit(config, leaves).model
        assert classification.evaluate(model, leaves)["accuracy"] == 1.0


def saved_numbers(n: int) -> int:
    """Return how many bytes are kept for the gradient of a chain of n leaves."""
    forest = read_brackets(["( a " * (n - 1) + "b" + " )" * (n - 1)], ("a", "b"))
    found: dict[int, int] = {}

    def keep(x: Tensor) -> Tensor:
        found[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    net = network("dense")
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        loss = net(forest).sum()
    (gradient,) = torch.autograd.grad(loss, [net.compose.bias])
    assert torch.isfinite(gradient).all()
    return sum(found.values())


def test_memory_of_a_chain_grows_with_its_leaves_and_not_with_their_square() -> None:
    assert saved_numbers(400) < 2.5 * saved_numbers(200)
