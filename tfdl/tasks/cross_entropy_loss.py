"""Cross-entropy of whole-number labels, with or without label smoothing."""

from typing import Any

import tensorflow as tf


def cross_entropy(labels: Any, logits: Any, label_smoothing: float = 0.0) -> Any:
    r"""Minus the mean log-probability under a target that is a little unsure of itself.

    With logits $z$ over $K$ classes, the label $y$ and the smoothing $\epsilon$ (Szegedy et al. 2015, section 7,
    https://arxiv.org/abs/1512.00567), the target gives $1 - \epsilon$ to the label and spreads $\epsilon$ evenly over
    all classes, the label's own included:

    $$L = -(1 - \epsilon) \log p_y - \frac{\epsilon}{K} \sum_k \log p_k
        = -\log p_y + \epsilon \Big( z_y - \frac1K \sum_k z_k \Big), \qquad p = \operatorname{softmax}(z)$$

    The right-hand side needs no row of one-hot targets and no second softmax: over a vocabulary of many thousands those
    would cost more than the loss itself.

    Args:
        labels: ``(...)`` integers from 0 to K - 1.
        logits: ``(..., K)``; 16-bit ones are taken to float32.
        label_smoothing: from 0 (none) up to 1; 0.1 in the papers of Inception-v3 and the Transformer.

    Returns:
        ``(...)``, the loss of each label, in nats, float32 (float64 for float64 logits). With smoothing its least value
        is not 0 but the target's entropy.
    """
    labels, logits = tf.convert_to_tensor(labels), tf.convert_to_tensor(logits)
    logits = tf.cast(logits, tf.float32) if logits.dtype.size < tf.float32.size else logits
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    if not label_smoothing:
        return losses
    own = tf.gather(logits, labels, batch_dims=labels.shape.rank)
    return losses + label_smoothing * (own - tf.reduce_mean(logits, -1))
