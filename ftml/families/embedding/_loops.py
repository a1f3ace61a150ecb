"""Compiled loops over the entries of a symmetric sparse matrix, and over its rows.

Row i is `start[i] : start[i + 1]` of col and of the parallel arrays. Axes: V words, d
dimensions, m entries. Random numbers are splitmix64's: `random[0]` is the state.
"""

from __future__ import annotations

import math

import numpy as np

from ftml.compiled import compiled, compiled_fast


@compiled
def next_random(random):
    """Return 64 random bits and move the state."""
    random[0] += np.uint64(0x9E3779B97F4A7C15)
    h = random[0]
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return h ^ (h >> np.uint64(31))


@compiled
def symmetrise(row, col, weight, start, to_col, to_weight):
    """Write the entries C_ij = C_ji = weight and C_ii = 2 weight, each row sorted.

    start (V + 1,) must be zero. The table is sorted by (row, col), row <= col: so the
    smaller neighbours of a word come before its own row is reached.
    """
    V = len(start) - 1
    for at in range(len(row)):
        start[row[at] + 1] += 1
        if row[at] != col[at]:
            start[col[at] + 1] += 1
    for i in range(V):
        start[i + 1] += start[i]
    for at in range(len(row)):
        i, j = row[at], col[at]
        to_col[start[i]] = j
        to_weight[start[i]] = weight[at] if i != j else 2 * weight[at]
        start[i] += 1
        if i != j:
            to_col[start[j]] = i
            to_weight[start[j]] = weight[at]
            start[j] += 1
    for i in range(V, 0, -1):
        start[i] = start[i - 1]
    start[0] = 0


@compiled
def make_alias(start, col, weight, table):
    """Write the alias tables of all rows (Walker, Vose), (m, 3) uint32.

    For a uniformly random entry e of a row and a uniform r < 2^32: the column is
    table[e, 1] if r <= table[e, 0], else table[e, 2].
    """
    longest = 0
    for i in range(len(start) - 1):
        longest = max(longest, start[i + 1] - start[i])
    scaled = np.empty(longest)
    small, large = np.empty(longest, np.int64), np.empty(longest, np.int64)
    for i in range(len(start) - 1):
        begin, n = start[i], start[i + 1] - start[i]
        total = 0.0
        for e in range(n):
            total += weight[begin + e]
        n_small = n_large = 0
        for e in range(n):
            scaled[e] = weight[begin + e] * n / total
            # The remainder by rounding is assigned to its own column.
            table[begin + e, 0] = 0xFFFFFFFF
            table[begin + e, 1] = table[begin + e, 2] = col[begin + e]
            if scaled[e] < 1:
                small[n_small] = e
                n_small += 1
            else:
                large[n_large] = e
                n_large += 1
        while n_small and n_large:
            n_small -= 1
            e, f = small[n_small], large[n_large - 1]
            table[begin + e, 0] = np.uint32(scaled[e] * 0xFFFFFFFF)
            table[begin + e, 2] = col[begin + f]
            scaled[f] -= 1 - scaled[e]
            if scaled[f] < 1:
                n_large -= 1
                small[n_small] = f
                n_small += 1


@compiled
def draw(table, start, end, random):
    """Return a random column of the row start:end of alias tables, by weight."""
    h = next_random(random)
    n = np.uint64(end - start)
    at = np.uint64(start) + ((h >> np.uint64(32)) * n >> np.uint64(32))
    below = (h & np.uint64(0xFFFFFFFF)) <= table[at, 0]
    return np.int64(table[at, 1] if below else table[at, 2])


@compiled
def touch(Z, ids):
    """Read one value of each cache line of some rows, to prefetch them together."""
    total = np.float32(0)
    for j in ids:
        for c in range(0, Z.shape[1], 16):
            total += Z[j, c]
    return total


@compiled_fast
def pull(x, z, g, rate, target):
    """Move z towards x (target 1) or away from it (0), by the gradient of the log of
    s(+-x'z); add the same for x to g.
    """
    dot = np.float32(0)
    for c in range(len(x)):
        dot += x[c] * z[c]
    a = np.float32(rate * (target - 1 / (1 + math.exp(-dot))))
    for c in range(len(x)):
        g[c] += a * z[c]
        z[c] += a * x[c]


@compiled_fast
def skipgram_visits(
    X, Z, start, rows, centres, noise, positives, negatives, k, rate, visits, random
):
    """Visit random centres by weight: sample neighbours and noise, and take an ascent
    step.

    rows, centres, noise: alias tables; start: of the rows. rate: (2,), at the first
    visit and after the last, between them linear. A noise word has the weight k *
    positives / negatives.
    """
    V, D = X.shape
    x, g = np.empty(D, np.float32), np.empty(D, np.float32)
    ids = np.empty(positives + negatives, np.int64)
    weight, seen = k * positives / negatives, np.float32(0)
    for visit in range(visits):
        step = rate[0] + (rate[1] - rate[0]) * visit / visits
        i = draw(centres, 0, V, random)
        for b in range(positives):
            ids[b] = draw(rows, start[i], start[i + 1], random)
        for b in range(positives, positives + negatives):
            ids[b] = draw(noise, 0, V, random)
        seen += touch(Z, ids)
        for c in range(D):
            x[c] = X[i, c]
            g[c] = 0
        for b in range(positives):
            pull(x, Z[ids[b]], g, step, 1.0)
        for b in range(positives, positives + negatives):
            pull(x, Z[ids[b]], g, step * weight, 0.0)
        for c in range(D):
            X[i, c] += g[c]
    return seen


@compiled
def log_logistic(t):
    return min(t, 0.0) - math.log1p(math.exp(-abs(t)))


@compiled_fast
def inner(x, z):
    dot = np.float32(0)
    for c in range(len(x)):
        dot += x[c] * z[c]
    return dot


@compiled_fast
def positive_part(X, Z, start, col, weight, first, end, out):
    """Write sum_j C_ij log s(x_i'z_j) of the rows first:end to out."""
    for i in range(first, end):
        total = 0.0
        for at in range(start[i], start[i + 1]):
            total += weight[at] * log_logistic(inner(X[i], Z[col[at]]))
        out[i] = total


@compiled_fast
def noise_part(X, Z, noise, n_noise, seed, first, end, out):
    """Write the mean of log s(-x_i'z_v) over n_noise[i] noise words v to out, for the
    rows first:end; a row's noise words depend on the seed and the row only.
    """
    random, V = np.empty(1, np.uint64), len(X)
    for i in range(first, end):
        random[0] = np.uint64(seed) + np.uint64(i) * np.uint64(0xD1342543DE82EF95)
        total = 0.0
        for _ in range(n_noise[i]):
            total += log_logistic(-inner(X[i], Z[draw(noise, 0, V, random)]))
        out[i] = total / n_noise[i]


@compiled_fast
def multiply(start, col, value, Q, first, end, out):
    """Write rows first:end of the product of a sparse matrix and Q (V, d) to out."""
    for i in range(first, end):
        y = out[i]
        y[:] = 0
        for at in range(start[i], start[i + 1]):
            q, v = Q[col[at]], value[at]
            for c in range(len(y)):
                y[c] += v * q[c]


@compiled_fast
def glove_visits(
    X, Z, X_squares, Z_squares, row, col, target, weight, order, learning_rate
):
    """Take a step of AdaGrad for each entry in order; return the sum of the losses
    before them.

    X, Z: (V, d + 2): the last but one column of X is the bias of a word, with 1 in that
    of Z, and the last of Z that of a neighbour, with 1 in that of X. The columns of
    ones have squares of infinity, so that they never change.
    """
    total, D, rate = 0.0, X.shape[1], np.float32(learning_rate)
    for e in order:
        x, z = X[row[e]], Z[col[e]]
        x_squares, z_squares = X_squares[row[e]], Z_squares[col[e]]
        error = inner(x, z) - target[e]
        slope = np.float32(weight[e] * error)
        total += weight[e] * error * error
        for c in range(D):
            in_x, in_z = slope * z[c], slope * x[c]
            x[c] -= rate * in_x / np.sqrt(x_squares[c])
            z[c] -= rate * in_z / np.sqrt(z_squares[c])
            x_squares[c] += in_x * in_x
            z_squares[c] += in_z * in_z
    return total
