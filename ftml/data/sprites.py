"""Sprites whose colour predicts the class in each training domain, and misleads in the
test.

Axes: n samples, N training domains, H x W pixels, B images rendered at once.

Each image is a square or an ellipse on black: the shape is the class, 0 or 1. Each
training domain has two colours of its own, one for each class. The domain `test` has
the colours of all of them, independent of the class. So the colour is the easy rule
within each domain, a rule of 2N colours over all of them, and of no use in the test;
the shape is the only rule that holds everywhere.

The paper's CdSprites-N does this to the squares and ellipses of dSprites, 64 x 64
pixels, 491520 / (N + 2) of them per domain; its two further domains, validation and
test, have random colours. This module differs: the shapes have any size, position and
angle, and a square and an ellipse of one size have equal area; the colours are 2N hues
at equal distances; there is no validation domain of random colours, because selecting
by it means using the test distribution. (The paper's code never gives the test the
colours of domain N.)

Source: Shi et al. 2022, "Gradient matching for domain generalization", CdSprites-N.
"""

from __future__ import annotations

import numpy as np

from ftml.data.domains import Domains

RADIUS = (0.15, 0.25)
"""Radius of a disc with the area of the sprite, as a fraction of the image's shorter
side.
"""
FINE = 4
"The coverage of a pixel is measured at FINE x FINE points of it."
CHUNK = 1024
"Number of images rendered at once."


def sprites(
    *,
    n_domains: int,
    n_per_domain: int,
    image_size: tuple[int, int] = (16, 16),
    colour_agreement: float = 1.0,
    test_colour_agreement: float = 0.5,
    seed: int = 0,
) -> Domains:
    """Return the training domains "1" to "N" and the domain "test", all of one size.

    n_domains: N >= 1. n_per_domain: samples of each, half of each class. image_size:
    (H, W), each >= 8. colour_agreement: probability, in [0, 1], that a sprite has the
    colour of its class and not the other colour of its domain. test_colour_agreement:
    that of the test domain, where each sprite takes the colours of a random training
    domain; 1/2 is the paper's, 0 flips every colour. Raises ValueError for an argument
    out of its range.
    """
    if min(image_size) < 8 or n_domains < 1 or n_per_domain < 2:
        raise ValueError(
            "expected images of 8 x 8 at least, one domain and two samples in it, got "
            f"{image_size[0]} x {image_size[1]}, {n_domains} and {n_per_domain}"
        )
    rng = np.random.default_rng(seed)
    palette = draw_palette(n_domains, rng)
    domain = np.repeat(np.arange(n_domains + 1), n_per_domain)
    y = np.arange(len(domain)) % 2
    trained = domain < n_domains
    agreement = np.where(trained, colour_agreement, test_colour_agreement)
    agrees = rng.random(len(y)) < agreement
    pair = np.where(trained, domain, rng.integers(n_domains, size=len(y)))
    colour = palette[pair, np.where(agrees, y, 1 - y)]
    return Domains(
        draw(y, colour, image_size=image_size, rng=rng),
        y,
        domain,
        (*(str(s + 1) for s in range(n_domains)), "test"),
        ("square", "ellipse"),
    )


def draw_palette(n_domains: int, rng: np.random.Generator) -> np.ndarray:
    """Return the colours (N, 2, 3) of each domain's classes, 0 to 255."""
    from matplotlib.colors import hsv_to_rgb

    hues = rng.permutation(2 * n_domains) / (2 * n_domains)
    bright = np.column_stack([hues, np.ones((len(hues), 2))])
    return 255 * hsv_to_rgb(bright).reshape(n_domains, 2, 3)


def draw(
    shape: np.ndarray,
    colour: np.ndarray,
    *,
    image_size: tuple[int, int],
    rng: np.random.Generator,
) -> np.ndarray:
    """Return images (n, H, W, 3) uint8 of squares (0) and ellipses (1).

    shape: (n,). colour: (n, 3), 0 to 255. Size, position and angle are random; every
    sprite is completely inside its image.
    """
    height, width = image_size
    radius = rng.uniform(*RADIUS, size=len(shape)) * min(image_size)
    angle = rng.uniform(0, np.pi, size=len(shape))
    margin = np.sqrt(2) * radius  # the ellipse's longer half-axis
    centre = rng.uniform(margin, np.array([[height], [width]]) - margin)  # (2, n)
    x = np.empty((len(shape), height, width, 3), np.uint8)
    for start in range(0, len(shape), CHUNK):
        part = slice(start, start + CHUNK)
        covered = cover(
            shape[part], radius[part], angle[part], centre[:, part], image_size
        )
        x[part] = np.rint(covered[..., None] * colour[part, None, None])
    return x


def cover(
    shape: np.ndarray,
    radius: np.ndarray,
    angle: np.ndarray,
    centre: np.ndarray,
    image_size: tuple[int, int],
) -> np.ndarray:
    """Return the fraction (B, H, W) of each pixel that lies in the sprite."""
    height, width = image_size
    each = np.stack([shape, radius, np.cos(angle), np.sin(angle), *centre])
    kind, r, cos, sin, i, j = each.astype(np.float32)[:, :, None, None]
    down = _points(height)[:, None] - i  # (B, H FINE, 1)
    right = _points(width) - j  # (B, 1, W FINE)
    u, v = cos * right + sin * down, cos * down - sin * right
    # Of area pi r^2: a square of side sqrt(pi) r, half-axes sqrt(2) r and r / sqrt(2).
    square = np.maximum(abs(u), abs(v)) <= np.float32(np.sqrt(np.pi) / 2) * r
    inside = np.where(kind == 0, square, u * u / 2 + 2 * v * v <= r * r)
    return inside.reshape(-1, height, FINE, width, FINE).mean(axis=(2, 4))


def _points(n: int) -> np.ndarray:
    """Return the positions of the measured points along n pixels."""
    return ((np.arange(n * FINE) + 0.5) / FINE).astype(np.float32)
