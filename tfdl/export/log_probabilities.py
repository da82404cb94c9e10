"""Compares the probabilities of classifiers by their logarithms."""

from collections.abc import Mapping

import numpy as np

from tfdl.export.parity import Arrays

# Smaller probabilities count as equal: kernels differ in whether they round them to 0.
_SMALLEST = 1e-30


def with_log_probabilities(answers: Mapping[str, Arrays], name: str) -> dict[str, Arrays]:
    """Adds the logarithms of probabilities to answers, relative to the largest of a row where that is larger than 1.

    They are the logits up to a constant of each row. The probabilities alone would hide a wrong answer. Among 10,000
    classes each is about 1e-4, so logits, and the class with them, may be wrong while no probability differs by more
    than the tolerance. All logits of a row are sums over the same features, so kernels differ by a part of the largest.

    Args:
        answers: outputs by name, of several sets of inputs by name.
        name: of the output of a softmax. Answers without it stay as they are.
    """
    return {case: {**outputs, **_logarithms(outputs, name)} for case, outputs in answers.items()}


def _logarithms(outputs: Arrays, name: str) -> Arrays:
    if name not in outputs:
        return {}
    logarithms = np.log(np.maximum(outputs[name], _SMALLEST))  # (..., classes)
    largest = np.abs(logarithms).max(axis=-1, keepdims=True)
    return {f"log {name}": logarithms / np.maximum(largest, 1)}
