r"""The speeds of rotary positions, also stretched to longer texts."""

import math

import numpy as np

SCALINGS = ("none", "linear", "llama3", "yarn")
"""Ways to stretch rotary positions."""
# Turns in the original length above which yarn keeps a rotation, and below which it slows it down by the whole factor.
_YARN_FAST = 32
_YARN_SLOW = 1


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

    ``yarn`` (Peng et al., 2023, https://arxiv.org/abs/2309.00071) has $s_i$ fall from 1 to 0 evenly over the pairs,
    from the last pair with at least 32 turns to the first one with at most 1.

    Args:
        head_dim: $d$, even.
        base: $b$.
        scaling: ``none``, ``linear``, ``llama3`` or ``yarn``.
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
    if scaling == "yarn":
        share = _yarn_share(head_dim, base, original_length)
    else:
        turns = original_length * rates / (2 * math.pi)
        share = np.clip((turns - low_frequency_factor) / (high_frequency_factor - low_frequency_factor), 0.0, 1.0)
    return ((1 - share) / factor + share) * rates


def rotary_length(scaling: str, factor: float) -> float:
    r"""What rotated vectors are multiplied by.

    $0.1 \ln f + 1$ with ``yarn``, which makes attention to long texts sharper (Peng et al., 2023, section 3.4); 1 with
    any other scaling.

    Args:
        scaling: as for ``rotary_rates``.
        factor: $f$.
    """
    return 0.1 * math.log(factor) + 1 if scaling == "yarn" else 1.0


def _yarn_share(head_dim: int, base: float, original_length: int) -> np.ndarray:
    """By how much each pair keeps its speed, ``(head_dim / 2,)``."""

    def pair_with(turns: float) -> float:
        """The number of the pair, not rounded, that turns so often in the original length."""
        return head_dim * math.log(original_length / (turns * 2 * math.pi)) / (2 * math.log(base))

    first = max(math.floor(pair_with(_YARN_FAST)), 0)
    last = min(math.ceil(pair_with(_YARN_SLOW)), head_dim - 1)
    width = last - first or 0.001  # no pair lies between them
    return 1 - np.clip((np.arange(head_dim // 2) - first) / width, 0.0, 1.0)
