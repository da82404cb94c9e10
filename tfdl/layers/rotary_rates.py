r"""The speeds of rotary positions, also stretched to longer texts."""

import math

import numpy as np

SCALINGS = ("none", "linear", "llama3")
"""Ways to stretch rotary positions."""


def rotary_rates(
    head_dim: int,
    base: float,
    scaling: str = "none",
    factor: float = 1.0,
    low_frequency_factor: float = 1.0,
    high_frequency_factor: float = 4.0,
    original_length: int = 8192,
) -> np.ndarray:
    r"""Computes the angle $r_i$ by which pair $i$ of a head turns at each position.

    Without scaling $r_i = b^{-2i / d}$ (Su et al., 2021). With ``linear`` it is $r_i / f$, as if positions were closer
    together (Chen et al., 2023, https://arxiv.org/abs/2306.15595). With ``llama3`` only slow pairs are slowed down
    (Dubey et al., 2024, https://arxiv.org/abs/2407.21783). With $n_i = L\, r_i / 2 \pi$, the number of turns in a text
    of the original length $L$:

    $$r'_i = \left(\frac{1 - s_i}{f} + s_i\right) r_i \qquad
      s_i = \min\left(1, \max\left(0, \frac{n_i - l}{h - l}\right)\right)$$

    Args:
        head_dim: $d$, even.
        base: $b$.
        scaling: ``none``, ``linear`` or ``llama3``.
        factor: $f$.
        low_frequency_factor: $l$.
        high_frequency_factor: $h$, above $l$.
        original_length: $L$, in tokens.

    Returns:
        Float64 ``(head_dim / 2,)``, in radians for each position.

    Raises:
        ValueError: unknown scaling.
    """
    if scaling not in SCALINGS:
        raise ValueError(f"rotary scaling={scaling!r}, expected one of {', '.join(SCALINGS)}")
    rates: np.ndarray = base ** (-np.arange(0, head_dim, 2) / head_dim)
    if scaling == "none":
        return rates
    if scaling == "linear":
        return rates / factor
    turns = original_length * rates / (2 * math.pi)
    share = np.clip((turns - low_frequency_factor) / (high_frequency_factor - low_frequency_factor), 0.0, 1.0)
    return ((1 - share) / factor + share) * rates
