"""Metrics of a language model, from one row for each sequence."""

import numpy as np


def language_metrics(losses: np.ndarray, tokens: np.ndarray) -> dict[str, float]:
    r"""Loss of a token, and perplexity.

    With $L_i$ the sum of the losses of sequence $i$, in nats, and $n_i$ the number of its tokens without padding, the
    loss is $\sum_i L_i / \sum_i n_i$, in float64. The perplexity is $e$ to the power of the loss.

    Args:
        losses: ``(n,)``, the sum of each sequence's losses.
        tokens: ``(n,)``, the number of each sequence's tokens.
    """
    loss = float(np.sum(losses, dtype=np.float64) / np.sum(tokens, dtype=np.float64))
    return {"loss": loss, "perplexity": perplexity(loss)}


def perplexity(loss: float) -> float:
    """e to the power of a loss in nats; infinite if it is too large for float64."""
    with np.errstate(over="ignore"):
        return float(np.exp(loss))
