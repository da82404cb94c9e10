"""Keras metrics on 1,797 digits, unevenly over four ranks; prints what they, one process and one rank alone find.

``exact_metrics.py largest`` measures with a metric that is no sum.
"""

import json
import sys

import keras
import numpy as np
from sklearn.datasets import load_digits

from tfdl import distributed

ENDS = (0, 900, 1400, 1796, 1797)  # one rank has a single row


class LargestError(keras.metrics.Metric):
    """Over ranks it would be the sum of their largest errors."""

    def __init__(self, name: str = "largest_error"):
        super().__init__(name=name)
        self.largest = self.add_variable((), "zeros", name="largest")

    def update_state(self, y_true, y_pred, sample_weight=None):  # noqa: ARG002
        self.largest.assign(keras.ops.maximum(self.largest, keras.ops.max(keras.ops.abs(y_true - y_pred))))

    def result(self):
        return self.largest


def classifier(*more: keras.metrics.Metric) -> keras.Model:
    metrics = keras.metrics
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10, activation="softmax")])
    model.compile(
        loss="categorical_crossentropy",
        metrics=[
            metrics.CategoricalAccuracy(), metrics.TopKCategoricalAccuracy(5), metrics.Precision(), metrics.Recall(),
            metrics.F1Score(average="macro"), metrics.AUC(multi_label=True, num_labels=10),
            metrics.OneHotMeanIoU(10), *more,
        ],
    )  # fmt: skip
    return model


def main() -> None:
    world = distributed.init()
    digits = load_digits()
    images, labels = digits.data.astype("float32") / 16, np.eye(10, dtype="float32")[digits.target]
    model = classifier(*([LargestError()] if "largest" in sys.argv else []))
    means = images.T @ labels / labels.sum(0)
    model.set_weights([4 * means, -2 * (means**2).sum(0)])  # the nearest mean: right for most
    mine = slice(*ENDS[world.rank : world.rank + 2])

    def measured(rows: slice, *callbacks: keras.callbacks.Callback) -> dict[str, float]:
        return model.evaluate(images[rows], labels[rows], callbacks=list(callbacks), verbose=0, return_dict=True)

    together = measured(mine, distributed.AverageMetrics())
    assert all(found == together for found in world.all_gather_object(together))
    if world.is_chief:
        print(json.dumps({"together": together, "alone": measured(mine), "whole": measured(slice(None))}), flush=True)


main()
