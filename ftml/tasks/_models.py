"""What the models of each task can do: the methods that its functions call.

X of type Any is of the data kind that the family is trained on. Methods that only some
families of a task have are asked for where they are called.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ftml.data.ragged import Ragged


class Regressor(Protocol):
    def predict(self, X: np.ndarray, /) -> np.ndarray: ...


class ConditionalDensity(Regressor, Protocol):
    def variance(self, X: np.ndarray, /) -> np.ndarray: ...
    def log_density(self, X: np.ndarray, y: np.ndarray, /) -> np.ndarray: ...
    def cdf(self, X: np.ndarray, y: np.ndarray, /) -> np.ndarray: ...


class Density(Protocol):
    def log_density(self, X: np.ndarray, /) -> np.ndarray: ...


class Classifier(Protocol):
    def predict_proba(self, X: Any, /) -> np.ndarray: ...


@runtime_checkable
class Reconstruction(Protocol):
    def reconstruct(self, X: np.ndarray, /) -> np.ndarray: ...


class Autoencoder(Reconstruction, Protocol):
    def transform(self, X: Any, /) -> np.ndarray: ...


@runtime_checkable
class LinearDecomposition(Autoencoder, Protocol):
    @property
    def components(self) -> np.ndarray: ...


@runtime_checkable
class Decoder(Protocol):
    @property
    def n_code(self) -> int: ...
    def decode(self, z: np.ndarray, /) -> np.ndarray: ...


class Generator(Protocol):
    def sample(self, n: int, /, *, seed: int) -> np.ndarray: ...


class Transducer(Protocol):
    @property
    def source_symbols(self) -> Sequence[str]: ...
    @property
    def target_symbols(self) -> Sequence[str]: ...
    def decode(self, X: Ragged, /) -> list[np.ndarray]: ...


class LanguageModel(Protocol):
    @property
    def vocabulary(self) -> tuple[str, ...]: ...
    def log_prob(self, X: Ragged, /) -> np.ndarray: ...


class Embedding(Protocol):
    @property
    def words(self) -> Sequence[str]: ...
    def embed(self, words: Sequence[str], /) -> np.ndarray: ...
    def nearest(self, word: str, n: int) -> list[tuple[str, float]]: ...
    def pair_score(self, rows: np.ndarray, cols: np.ndarray, /) -> np.ndarray: ...
