"""Cross-entropy of whole-number labels, with or without label smoothing."""

from typing import Any

import tensorflow as tf


def cross_entropy(labels: Any, logits: Any, label_smoothing: float = 0.0) -> Any:
    r"""Cross-entropy with label smoothing (Szegedy et al. 2015, section 7, https://arxiv.org/abs/1512.00567).

    With logits $z$ over $K$ classes, the label $y$ and the smoothing $\epsilon$, the target gives $1 - \epsilon$ to the
    label and spreads $\epsilon$ evenly over all classes, including the label:

    $$L = -(1 - \epsilon) \log p_y - \frac{\epsilon}{K} \sum_k \log p_k
        = -\log p_y + \epsilon \Big( z_y - \frac1K \sum_k z_k \Big), \qquad p = \operatorname{softmax}(z)$$

    The right-hand side needs neither one-hot targets nor a second softmax. With a vocabulary of many thousands of
    tokens they would take longer than the loss itself.

    Args:
        labels: ``(...)`` integers from 0 to K - 1.
        logits: ``(..., K)``; 16-bit logits are converted to float32.
        label_smoothing: from 0 (none) up to 1; 0.1 in the papers of Inception-v3 and the Transformer.

    Returns:
        ``(...)``, the loss of each label, in nats, float32 (float64 for float64 logits). With smoothing its least value
        is not 0 but the target's entropy.
    """
    labels = tf.convert_to_tensor(labels)
    logits = tf.convert_to_tensor(logits)
    if logits.dtype.size < tf.float32.size:
        logits = tf.cast(logits, tf.float32)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    if not label_smoothing:
        return losses
    label_logits = tf.gather(logits, labels, batch_dims=labels.shape.rank)  # (...)
    return losses + label_smoothing * (label_logits - tf.reduce_mean(logits, -1))
