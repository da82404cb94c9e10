"""Metrics of a language model from one row a sequence."""

import numpy as np


def language_metrics(losses: np.ndarray, tokens: np.ndarray) -> dict[str, float]:
    r"""Loss for a token, and perplexity.

    With $L_i$ the summed loss of sequence $i$ and $n_i$ its tokens that count (no padding), in nats: the loss is
    $\sum_i L_i / \sum_i n_i$, in float64, and the perplexity $e$ to that power; infinite where float64 ends.

    Args:
        losses: ``(n,)``, each sequence's losses added up over the tokens that count.
        tokens: ``(n,)``, how many those are.
    """
    loss = float(np.sum(losses, dtype=np.float64) / np.sum(tokens, dtype=np.float64))
    return {"loss": loss, "perplexity": perplexity(loss)}


def perplexity(loss: float) -> float:
    """e to the power of a loss in nats; infinite where float64 ends."""
    with np.errstate(over="ignore"):
        return float(np.exp(loss))
